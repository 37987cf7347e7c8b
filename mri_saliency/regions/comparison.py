"""Densities of an atlas's regions -> in which regions groups of patients differ from the controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.contrasts import (
    choose_contrasts,
    contrast_test,
    find_subjects,
    ratios_beside_null,
)

REGION_TEST_SENTENCE = (  # for a paper
    "The density of regions was compared between groups by its logarithm, in regions where it was above zero "
    "in every scan."
)
_RATIOS = ("ratio", "ratio_null", "ratio_over_null")


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
    tables = [
        _compare(of_method, pairs, covariates).assign(method=method)
        for method, of_method in (regions.groupby("method", sort=False) if len(regions) else ())
    ]
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True)[list(TABLES["region_group_test"])] if found else pd.DataFrame()


def _compare(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the rows of one method."""
    maps, nulls = (_logarithms(regions, column) for column in ("density", "density_null"))
    nulls = nulls.reindex(index=maps.index, columns=maps.columns)
    about = regions.drop_duplicates("subject_id").set_index("subject_id").loc[maps.index]
    subjects = find_subjects(
        about["subject"].fillna(about.index.to_series()).to_list(),
        about["diagnosis"].to_list(),
        None if covariates is None else covariates.loc[about.index].to_numpy(np.float64),
    )
    other_side = dict(pairs) | {right: left for left, right in pairs}
    with_mirror = [name for name in maps.columns if other_side.get(name, name) in maps.columns]
    names = {False: list(maps.columns), True: with_mirror}  # by `Contrast.aligned`
    contrasts = [contrast for contrast in choose_contrasts(subjects) if names[contrast.aligned]]
    if not contrasts:
        return pd.DataFrame()

    def by_subject(logarithms: pd.DataFrame) -> dict[bool, np.ndarray]:
        plain, mirrored = (
            subjects.average(list(logarithms[columns].to_numpy(np.float32)).__getitem__)
            for columns in (names[False], [other_side.get(name, name) for name in with_mirror])
        )
        places = [names[False].index(name) for name in with_mirror]
        return {False: plain, True: subjects.align(plain[:, places], mirrored)}

    of_maps, of_nulls = by_subject(maps), by_subject(nulls)
    tested, _ = contrast_test(contrasts, subjects, of_maps)  # the maps' comparison says what is not tested
    tables = [
        ratios_beside_null(
            contrast, subjects, of_maps[contrast.aligned], of_nulls[contrast.aligned], _RATIOS
        ).assign(
            contrast=contrast.name,
            region=names[contrast.aligned],
            t=answer.t,
            p=answer.p,
            smallest_possible_p=answer.smallest_possible_p,
            n_patients=subjects.count_patients(contrast),
            n_controls=subjects.count("HC"),
        )
        for contrast, answer in tested
    ]
    return pd.concat(tables or [pd.DataFrame({"p": []})]).sort_values("p", kind="stable")


def _logarithms(regions: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the logarithm of a density, of scans that have one, in the regions in which all have one."""
    in_brain = regions[regions["region"] != OUTSIDE]
    densities = in_brain.pivot(index="subject_id", columns="region", values=column)
    densities = densities.astype(float).dropna(how="all")
    return np.log(densities.loc[:, (densities > 0).all()])
