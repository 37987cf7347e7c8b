"""Asymmetries of paired regions -> how well they tell left from right TLE, and how well grey matter does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mri_saliency.inputs.atlas import Atlas
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_figure, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.figures import lateralisation_figure
from mri_saliency.statistics.intervals import auc_difference_interval, auc_interval, pair_wins
from mri_saliency.wording import ClassNames, counted

LEAST_SUBJECTS = 5  # with TLE of each side
# column prefix -> asymmetry, and its sign on the side of the focus, fixed before any data: attribution rises
# there, grey matter is lost
_SCORES = {"": ("asymmetry", 1), "grey_matter_": ("grey_matter_asymmetry", -1)}


def lateralise(
    folder: OutputFolder,
    regions: pd.DataFrame,
    atlas: Atlas,
) -> tuple[pd.DataFrame, list[str]]:
    """Write `lateralisation_table` and its figure; without rows, there are no files.

    `regions` is from `mri_saliency.regions.densities.measure_regions`. The notes, for the user, say what is
    missing.
    """
    pairs = atlas.paired_names()
    table = lateralisation_table(regions, pairs)
    write_or_remove_table(folder.lateralisation, table)
    if len(table):
        write_figure(folder.lateralisation_figure, lateralisation_figure(table, folder.class_names))
    else:
        folder.lateralisation_figure.unlink(missing_ok=True)
    return table, _notes(regions, pairs, table, folder.class_names.tle)


def lateralisation_table(regions: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Compare left with right TLE by the asymmetry of attribution, and of grey matter, of paired regions.

    Parameters
    ----------
    regions : DataFrame
        A row a scan, method and region. A subject's sessions are averaged first.
    pairs : list of tuple
        The names (left, right) of the regions that exist on both sides.

    Returns
    -------
    DataFrame
        The rows of lateralisation.csv: for each method, the pairs in the order of their mean density in TLE,
        a choice that does not depend on the sides; none for a pair below `LEAST_SUBJECTS` of a side.
    """
    rows: list[dict] = []
    asymmetries = [asymmetry for asymmetry, _ in _SCORES.values()]
    for method, maps in regions.groupby("method", sort=False) if len(regions) else ():
        means = maps.groupby(["region", "diagnosis", "subject"])[asymmetries].mean().reset_index("diagnosis")
        density = maps[maps["diagnosis"].isin(["left", "right"])].groupby("region")["density"].mean()
        of_method = []
        for left, right in pairs:
            if left in means.index and (comparison := _compare_sides(means.loc[left])):
                names = {"method": method, "left_region": left, "right_region": right}
                of_method.append(names | {"density": density.reindex([left, right]).mean()} | comparison)
        rows += sorted(of_method, key=lambda row: -row["density"])
    return pd.DataFrame(rows, columns=list(TABLES["lateralisation"]))


def lateralisation_sentences(table: pd.DataFrame, names: ClassNames) -> list[str]:
    """Return how sides were told apart, in sentences for a paper; none without rows of lateralisation.csv."""
    if table.empty:
        return []
    n_pairs = len(table[["left_region", "right_region"]].drop_duplicates())
    n_left, n_right = table["n_left"].max(), table["n_right"].max()
    sentences = [
        f"How well the asymmetry of {counted(n_pairs, 'pair')} of regions told left from right {names.tle} "
        f"({n_left} and {n_right} subjects) was measured by the area under the ROC curve, with a 95% "
        "interval [@newcombe2006]. More attribution was expected on the side of the focus. The intervals "
        "were not corrected for the number of pairs."
    ]
    if table["auc_difference"].notna().any():
        sentences.append(
            "The area was compared with that of the grey matter's asymmetry, less grey matter being expected "
            "on the side of the focus; the interval of the difference came from the two areas' intervals "
            "[@zou2008] and their covariance [@delong1988]."
        )
    return sentences


def _compare_sides(subjects: pd.DataFrame) -> dict | None:
    """Compare left with right TLE by a pair's asymmetries; None if too few subjects have one of attribution.

    `subjects` has a row a subject, with ``diagnosis`` and both asymmetries.
    """
    row: dict = {}
    for prefix, (asymmetry, sign) in _SCORES.items():
        defined = subjects.dropna(subset=[asymmetry])
        wins = _wins(defined["diagnosis"], sign * defined[asymmetry])
        row |= dict(zip((f"{prefix}n_left", f"{prefix}n_right"), wins.shape, strict=True))
        if min(wins.shape) >= LEAST_SUBJECTS:
            row |= _with_interval(f"{prefix}auc", float(wins.mean()), auc_interval(wins))
    both = subjects.dropna()
    a, b = (_wins(both["diagnosis"], sign * both[asymmetry]) for asymmetry, sign in _SCORES.values())
    if min(a.shape) >= LEAST_SUBJECTS:
        row |= _with_interval("auc_difference", float(a.mean() - b.mean()), auc_difference_interval(a, b))
    return row if "auc" in row else None


def _wins(diagnosis: pd.Series, score: pd.Series) -> np.ndarray:
    """Return `pair_wins` of left against right TLE."""
    return pair_wins(*(score[diagnosis == side].to_numpy() for side in ("left", "right")))


def _with_interval(name: str, value: float, interval: tuple[float, float]) -> dict[str, float]:
    return {name: value, f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _notes(regions: pd.DataFrame, pairs: list[tuple[str, str]], table: pd.DataFrame, tle: str) -> list[str]:
    """Return what is missing in the comparison of sides, and why."""
    if not len(regions):
        return []
    known = regions.dropna(subset=["asymmetry"]).groupby(["region", "diagnosis"])["subject"].nunique()
    n = known.groupby("diagnosis").max().reindex(["left", "right"], fill_value=0)
    if not pairs:
        return ["no region of the atlas has a left and a right side in its name, so sides are not compared."]
    if not len(table):
        return [
            f"left and right {tle} are not compared by regions: it needs {LEAST_SUBJECTS} subjects of each "
            f"side whose maps have both regions of a pair, and there are at most {n['left']} and "
            f"{n['right']}."
        ]
    with_side = regions[regions["diagnosis"].isin(["left", "right"])].dropna(subset=["asymmetry"])
    known = with_side.groupby("subject_id")["grey_matter_asymmetry"].count() > 0
    if known.all():
        return []
    return [
        f"the grey matter of {(~known).sum()} of {len(known)} scans with {tle} cannot be measured (the file "
        "is gone, or its intensities are normalised): attribution is compared with the others' alone."
    ]
