"""Asymmetries of paired regions -> how well they tell left from right TLE, and how well grey matter does."""

import numpy as np
import pandas as pd

from mri_saliency.inputs.atlas import HEMISPHERES, Atlas
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.statistics.intervals import auc_difference_interval, auc_interval, pair_wins
from mri_saliency.wording import ClassNames, counted, listed

LEAST_SUBJECTS = 5  # with TLE of each side
RESPONSE_OF_A_SIDE = (
    "Attribution that tells the sides by whole hemispheres is a response to the whole side: where foci "
    "are aligned, differences far from the focus are such a response, and no finding there."
)
# asymmetry -> its sign on the side of the focus, fixed before any data: attribution rises there, grey matter
# is lost
_SIGNS = {"asymmetry": 1, "grey_matter_asymmetry": -1, "hemisphere_asymmetry": 1}


def lateralise(folder: OutputFolder, regions: pd.DataFrame, atlas: Atlas) -> tuple[pd.DataFrame, list[str]]:
    """Write `lateralisation_table`; without rows, there is no file.

    The notes, for the user, say what is missing.
    """
    pairs = atlas.paired_names()
    table = lateralisation_table(regions, pairs)
    write_or_remove_table(folder.lateralisation, table)
    return table, _notes(regions, pairs, table, folder.class_names.tle)


def lateralisation_table(regions: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Compare left with right TLE by the asymmetry of attribution, and of grey matter, of paired regions.

    A subject's sessions are averaged first. Returns the rows of lateralisation.csv: for each method with
    pairs, the whole hemispheres and then these, in the order of their mean density in TLE, a choice that
    does not depend on the sides; none for a pair below `LEAST_SUBJECTS` of a side.
    """
    rows: list[dict] = []
    for method, maps in regions.groupby("method", sort=False) if len(regions) else ():
        scans = maps.drop_duplicates("subject_id").assign(region=HEMISPHERES[0], density=np.nan)
        scans = scans.assign(**{name: scans[f"hemisphere_{name}"] for name in list(_SIGNS)[:2]})
        both = pd.concat([maps, scans.assign(hemisphere_asymmetry=np.nan)])
        means = both.groupby(["region", "diagnosis", "subject"])[list(_SIGNS)].mean().reset_index("diagnosis")
        density = maps[maps["diagnosis"].isin(["left", "right"])].groupby("region")["density"].mean()
        of_method = []
        for left, right in [HEMISPHERES, *pairs]:
            if left in means.index and (comparison := _compare_sides(means.loc[left])):
                names = {"method": method, "left_region": left, "right_region": right}
                of_method.append(names | {"density": density.reindex([left, right]).mean()} | comparison)
        if {row["left_region"] for row in of_method} - {HEMISPHERES[0]}:
            rows += sorted(of_method, key=lambda row: (row["left_region"] != HEMISPHERES[0], -row["density"]))
    return pd.DataFrame(rows, columns=list(TABLES["lateralisation"]))


def lateralisation_sentences(table: pd.DataFrame, names: ClassNames) -> list[str]:
    """Return how sides were told apart, in sentences for a paper; none without rows of lateralisation.csv."""
    if table.empty:
        return []
    is_whole = table["left_region"] == HEMISPHERES[0]
    pairs, whole = table[~is_whole], table[is_whole]
    n_pairs = len(pairs[["left_region", "right_region"]].drop_duplicates())
    n_left, n_right = pairs["n_left"].max(), pairs["n_right"].max()
    sentences = [
        f"How well the asymmetry of {counted(n_pairs, 'pair')} of regions told left from right {names.tle} "
        f"({n_left} and {n_right} subjects) was measured by the area under the ROC curve, with a 95% "
        "interval [@newcombe2006]. More attribution was expected on the side of the focus. The intervals "
        "were not corrected for the number of pairs."
    ]
    references = {
        "hemisphere_difference": "the whole hemisphere's attribution",
        "auc_difference": "the pair's grey matter, less of which was expected on the side of the focus",
    }
    known = [words for column, words in references.items() if pairs[column].notna().any()]
    if known:
        sentences.append(
            f"A pair's area was compared with that of {listed(known)}; the interval of the difference came "
            "from the two areas' intervals [@zou2008] and their covariance [@delong1988]."
        )
    if tells := [METHODS[name].title for name in whole.loc[whole["auc_low"] > 0.5, "method"]]:
        sentences += [f"The whole hemisphere told the sides: {listed(tells)}.", RESPONSE_OF_A_SIDE]
    return sentences


def _compare_sides(subjects: pd.DataFrame) -> dict | None:
    """Compare left with right TLE by a pair's asymmetries, a row a subject; None if too few have one."""
    row: dict = {}
    for prefix in ("", "grey_matter_"):
        [wins] = _wins(subjects, f"{prefix}asymmetry")
        row |= dict(zip((f"{prefix}n_left", f"{prefix}n_right"), wins.shape, strict=True))
        if min(wins.shape) >= LEAST_SUBJECTS:
            row |= _with_interval(f"{prefix}auc", float(wins.mean()), auc_interval(wins))
    for name, reference in (("auc", "grey_matter"), ("hemisphere", "hemisphere")):
        a, b = _wins(subjects, "asymmetry", f"{reference}_asymmetry")
        if min(a.shape) >= LEAST_SUBJECTS:
            interval = auc_difference_interval(a, b)
            row |= _with_interval(f"{name}_difference", float(a.mean() - b.mean()), interval)
    if "hemisphere_difference" in row:
        row["better_than_hemisphere"] = "yes" if row["hemisphere_difference_low"] > 0 else "no"
    return row if "auc" in row else None


def _wins(subjects: pd.DataFrame, *asymmetries: str) -> list[np.ndarray]:
    """Return `pair_wins` of left against right TLE by each asymmetry, of the subjects who have them all."""
    known = subjects.dropna(subset=list(asymmetries))
    sides = [known[known["diagnosis"] == side] for side in ("left", "right")]
    return [pair_wins(*(_SIGNS[name] * side[name].to_numpy() for side in sides)) for name in asymmetries]


def _with_interval(name: str, value: float, interval: tuple[float, float]) -> dict[str, float]:
    return {name: value, f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _notes(regions: pd.DataFrame, pairs: list[tuple[str, str]], table: pd.DataFrame, tle: str) -> list[str]:
    """Return why sides are not compared, if they are not."""
    if not len(regions) or len(table):
        return []
    if not pairs:
        return ["no region of the atlas has a left and a right side in its name, so sides are not compared."]
    known = regions.dropna(subset=["asymmetry"]).groupby(["region", "diagnosis"])["subject"].nunique()
    n = known.groupby("diagnosis").max().reindex(["left", "right"], fill_value=0)
    return [
        f"left and right {tle} are not compared by regions: it needs {LEAST_SUBJECTS} subjects of each side "
        f"whose maps have both regions of a pair, and there are at most {n['left']} and {n['right']}."
    ]
