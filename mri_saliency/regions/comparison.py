"""Densities of an atlas's regions -> in which regions groups of patients differ from the controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.contrasts import choose_contrasts, contrast_test, exceeds_null, find_subjects
from mri_saliency.statistics.sign_flips import N_FLIPS

REGION_TEST_SENTENCE = (  # for a paper
    "The density of regions was compared between groups by its logarithm, in regions where it was above zero "
    "in every scan."
)
_KEY = ["contrast", "region"]
_ENDS = ("", "_low", "_high")


def compare_regions(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the rows of region_group_test.csv, each method's smallest p first.

    The logarithm of each region's density is compared between the groups as maps are, in
    `mri_saliency.groups.comparison`, with regions as points: p is corrected for all regions and contrasts of
    a method. A region whose density is zero or unknown in a scan is left out, and so are scans without
    covariates. What concerns the null map is of the scans that have one.

    `regions` has a row a scan, method and region; `pairs` are the names (left, right) of the regions that
    exist on both sides; `covariates` are numbers, indexed by the scans' names.
    """
    if covariates is not None and len(regions):
        regions = regions[regions["subject_id"].isin(covariates.index)]
    found = [
        table.assign(method=method)
        for method, of_method in (regions.groupby("method", sort=False) if len(regions) else ())
        if len(table := _compare_with_null(of_method, pairs, covariates))
    ]
    return pd.concat(found, ignore_index=True)[list(TABLES["region_group_test"])] if found else pd.DataFrame()


def _compare_with_null(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the rows of one method."""
    about = regions.drop_duplicates("subject_id").set_index("subject_id")
    maps, nulls = (_logarithms(regions, column) for column in ("density", "density_null"))
    table = _compare(maps, about, pairs, covariates)
    if table.empty:
        return table
    common, nulls = maps.align(nulls, join="inner")
    for name, values in (("ratio_null", nulls), ("ratio_over_null", common - nulls)):
        other = _compare(values, about, pairs, covariates, n_flips=0)
        columns = {f"ratio{end}": f"{name}{end}" for end in _ENDS}
        other = other.reindex(columns=[*_KEY, *columns]).rename(columns=columns)
        table = table.merge(other, on=_KEY, how="left")
    ends = np.log(table[["ratio", "ratio_over_null_low", "ratio_over_null_high"]].to_numpy(float))
    table["exceeds_null"] = pd.Series([exceeds_null(*row) for row in ends], table.index, dtype=object)
    return table.sort_values("p", kind="stable")


def _logarithms(regions: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the logarithm of a density, of scans that have one, in the regions in which all have one."""
    in_brain = regions[regions["region"] != OUTSIDE]
    densities = in_brain.pivot(index="subject_id", columns="region", values=column)
    densities = densities.astype(float).dropna(how="all")
    return np.log(densities.loc[:, (densities > 0).all()])


def _compare(
    logarithms: pd.DataFrame,
    about: pd.DataFrame,
    pairs: list[tuple[str, str]],
    covariates: pd.DataFrame | None,
    n_flips: int = N_FLIPS,
) -> pd.DataFrame:
    """Compare some logarithms, (scans, regions), between the groups; a row a contrast and region."""
    about = about.loc[logarithms.index]
    subjects = find_subjects(
        about["subject"].fillna(about.index.to_series()).to_list(),
        about["diagnosis"].to_list(),
        None if covariates is None else covariates.loc[about.index].to_numpy(np.float64),
    )
    names, contrasts = list(logarithms.columns), choose_contrasts(subjects)
    other_side = dict(pairs) | {right: left for left, right in pairs}
    with_mirror = [name for name in names if other_side.get(name, name) in names]
    contrasts = [contrast for contrast in contrasts if (with_mirror if contrast.aligned else names)]
    if not contrasts:
        return pd.DataFrame()
    of_scans = logarithms.to_numpy(np.float32)
    values = subjects.average(lambda index: of_scans[index])
    places = [names.index(name) for name in with_mirror]
    mirrored = values[:, [names.index(other_side.get(name, name)) for name in with_mirror]]
    aligned = subjects.align(values[:, places], mirrored)
    tested, _ = contrast_test(  # the maps' has the notes
        contrasts, subjects, {False: values, True: aligned}, n_flips
    )
    tables = []
    for contrast, answer in tested:
        of_contrast = with_mirror if contrast.aligned else names
        ratios = zip(_ENDS, (answer.effect, *answer.interval()), strict=True)
        columns = {f"ratio{end}": np.exp(values) for end, values in ratios} | {"t": answer.t, "p": answer.p}
        columns |= {"n_patients": subjects.count_patients(contrast), "n_controls": subjects.count("HC")}
        tables.append(pd.DataFrame({"contrast": contrast.name, "region": of_contrast} | columns))
    return pd.concat(tables) if tables else pd.DataFrame()
