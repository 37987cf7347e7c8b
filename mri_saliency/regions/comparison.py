"""Densities of an atlas's regions -> in which regions groups of patients differ from the controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.contrasts import choose_contrasts, contrast_test, find_subjects

REGION_TEST_SENTENCE = (  # for a paper
    "The density of regions was compared between groups by its logarithm, in regions where it was above zero "
    "in every scan."
)


def compare_regions(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the rows of region_group_test.csv, each method's smallest p first.

    The logarithm of each region's density is compared between the groups as maps are, in
    `mri_saliency.groups.comparison`, with regions as points: p is corrected for all regions and contrasts of
    a method. A region whose density is zero or unknown in a scan is left out, and so are scans without
    covariates.

    `regions` has a row a scan, method and region; `pairs` are the names (left, right) of the regions that
    exist on both sides; `covariates` are numbers, indexed by the scans' names.
    """
    if covariates is not None and len(regions):
        regions = regions[regions["subject_id"].isin(covariates.index)]
    rows: list[dict] = []
    for _, of_method in regions.groupby("method", sort=False) if len(regions) else ():
        rows += sorted(_compare(of_method, pairs, covariates), key=lambda row: row["p"])
    return pd.DataFrame(rows)


def _compare(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None
) -> list[dict]:
    """Return the rows of one method."""
    scans = regions.drop_duplicates("subject_id")
    subjects = find_subjects(
        scans["subject"].fillna(scans["subject_id"]).to_list(),
        scans["diagnosis"].to_list(),
        None if covariates is None else covariates.loc[scans["subject_id"]].to_numpy(np.float64),
    )
    contrasts = choose_contrasts(subjects)
    in_brain = regions[regions["region"] != OUTSIDE]
    densities = in_brain.pivot(index="subject_id", columns="region", values="density")
    densities = densities.reindex(scans["subject_id"]).astype(float)
    densities = densities.loc[:, (densities > 0).all()]
    names = list(densities.columns)
    if not contrasts or not names:
        return []
    logarithms = np.log(densities.to_numpy()).astype(np.float32)
    values = subjects.average(lambda index: logarithms[index])
    other_side = dict(pairs) | {right: left for left, right in pairs}
    with_mirror = [name for name in names if other_side.get(name, name) in names]
    places = [names.index(name) for name in with_mirror]
    mirrored = values[:, [names.index(other_side.get(name, name)) for name in with_mirror]]
    aligned = subjects.align(values[:, places], mirrored)
    tested, _ = contrast_test(contrasts, subjects, {False: values, True: aligned})  # the maps' has the notes
    return [
        {
            "method": regions["method"].iloc[0],
            "contrast": contrast.name,
            "region": name,
            "ratio": float(np.exp(answer.effect[place])),
            "t": float(answer.t[place]),
            "p": float(answer.p[place]),
            "n_patients": subjects.count_patients(contrast),
            "n_controls": subjects.count("HC"),
        }
        for contrast, answer in tested
        for place, name in enumerate(with_mirror if contrast.aligned else names)
    ]
