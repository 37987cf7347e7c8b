"""Densities of an atlas's regions -> in which regions groups of patients differ from the controls."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mri_saliency.cohort.effects import Places
from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.contrasts import choose_contrasts, contrast_test, find_subjects

REGION_TEST_SENTENCE = (  # for a paper
    "The density of regions was compared between groups by its logarithm, in regions where it was above zero "
    "in every scan."
)


def compare_regions(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None = None
) -> list[Places]:
    """Compare the regions of each method and contrast; the rows are those of region_group_test.csv.

    The logarithm of each region's density is compared between the groups as maps are, in
    `mri_saliency.groups.comparison`, with regions as points. A region whose density is zero or unknown in a
    scan is left out, and so are scans without covariates. What concerns the null map is of the scans that
    have one.

    `regions` is from `regions_table`, `pairs` from `Atlas.paired_names`; `covariates` are numbers, indexed
    by the scans' names.
    """
    if covariates is not None and len(regions):
        regions = regions[regions["subject_id"].isin(covariates.index)]
    by_method = regions.groupby("method", sort=False) if len(regions) else ()
    return [places for _, of_method in by_method for places in _compare(of_method, pairs, covariates)]


def region_test_table(places: Sequence[Places]) -> pd.DataFrame:
    """Return region_group_test.csv, each method's smallest p first."""
    rows = pd.DataFrame([row for of_contrast in places for row in of_contrast.rows])
    if rows.empty:
        return rows
    by_method = [part.sort_values("p", kind="stable") for _, part in rows.groupby("method", sort=False)]
    return pd.concat(by_method, ignore_index=True)[list(TABLES["region_group_test"])]


def _compare(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None
) -> Iterator[Places]:
    """Compare one method's regions."""
    maps, nulls = (_logarithms(regions, column) for column in ("density", "density_null"))
    about = regions.drop_duplicates("subject_id").set_index("subject_id").loc[maps.index]
    subjects = find_subjects(
        about["subject"].fillna(about.index.to_series()).to_list(),
        about["diagnosis"].to_list(),
        None if covariates is None else covariates.loc[about.index].to_numpy(np.float64),
    )
    other_side = dict(pairs) | {right: left for left, right in pairs}
    with_mirror = [name for name in maps if other_side.get(name, name) in maps]
    names = {False: list(maps), True: with_mirror}  # by `Contrast.aligned`
    contrasts = [contrast for contrast in choose_contrasts(subjects) if names[contrast.aligned]]
    if not contrasts:
        return

    def by_subject(logarithms: pd.DataFrame) -> dict[bool, np.ndarray]:
        plain, kept, mirrored = (
            subjects.average(list(logarithms[columns].to_numpy(np.float32)).__getitem__)
            for columns in (*names.values(), [other_side.get(name, name) for name in with_mirror])
        )
        return {False: plain, True: subjects.align(kept, mirrored)}

    of_maps, of_nulls = by_subject(maps), by_subject(nulls.reindex_like(maps))
    tested, _ = contrast_test(contrasts, subjects, of_maps)  # the maps' comparison says what is not tested
    for contrast, answer in tested:
        common = {
            "method": regions["method"].iloc[0],
            "contrast": contrast.name,
            "smallest_possible_p": answer.smallest_possible_p,
            "n_patients": subjects.count_patients(contrast),
            "n_controls": subjects.count("HC"),
        }
        numbers = zip(names[contrast.aligned], answer.t.tolist(), answer.p.tolist(), strict=True)
        rows = [common | {"region": name, "t": t, "p": p} for name, t, p in numbers]
        aligned = contrast.aligned
        places = Places(contrast, subjects, of_maps[aligned], of_nulls[aligned], rows)
        places.add_ratios()
        yield places


def _logarithms(regions: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the logarithm of a density, of scans that have one, in the regions in which all have one."""
    in_brain = regions[regions["region"] != OUTSIDE]
    densities = in_brain.pivot(index="subject_id", columns="region", values=column)
    densities = densities.astype(float).dropna(how="all")
    return np.log(densities.loc[:, (densities > 0).all()])
