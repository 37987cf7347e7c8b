"""Densities of an atlas's regions -> in which regions groups of patients differ from the controls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mri_saliency.cohort.effects_figure import SHOWN, Effect
from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.contrasts import (
    CONTRASTS,
    choose_contrasts,
    contrast_test,
    find_subjects,
    ratios_beside_null,
)
from mri_saliency.statistics.sign_flips import SIGNIFICANT

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
    found = []
    for method, of_method in regions.groupby("method", sort=False) if len(regions) else ():
        compared = _Compared(of_method, pairs, covariates)
        if compared.contrasts:
            found.append(compared.test().assign(method=method))
    return pd.concat(found, ignore_index=True)[list(TABLES["region_group_test"])] if found else pd.DataFrame()


def region_effects(
    regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None, tested: pd.DataFrame
) -> dict[str, list[Effect]]:
    """Return each method's significant regions with the largest |t|; the rest is from `compare_regions`."""
    effects: dict[str, list[Effect]] = {}
    significant = tested[tested["p"] <= SIGNIFICANT] if len(tested) else tested
    for method, rows in significant.groupby("method", sort=False) if len(significant) else ():
        compared = _Compared(regions[regions["method"] == method], pairs, covariates)
        strongest = rows.sort_values("t", key=abs, ascending=False).head(SHOWN).to_dict("records")
        effects[method] = [compared.effect(row) for row in strongest]
    return effects


class _Compared:
    """What is compared of one method's regions."""

    def __init__(
        self, regions: pd.DataFrame, pairs: list[tuple[str, str]], covariates: pd.DataFrame | None
    ) -> None:
        if covariates is not None:
            regions = regions[regions["subject_id"].isin(covariates.index)]
        maps, nulls = (_logarithms(regions, column) for column in ("density", "density_null"))
        about = regions.drop_duplicates("subject_id").set_index("subject_id").loc[maps.index]
        self.subjects = find_subjects(
            about["subject"].fillna(about.index.to_series()).to_list(),
            about["diagnosis"].to_list(),
            None if covariates is None else covariates.loc[about.index].to_numpy(np.float64),
        )
        self._other_side = dict(pairs) | {right: left for left, right in pairs}
        with_mirror = [name for name in maps if self._other_side.get(name, name) in maps]
        self.regions = {False: list(maps), True: with_mirror}  # by `Contrast.aligned`
        chosen = choose_contrasts(self.subjects)
        self.contrasts = [contrast for contrast in chosen if self.regions[contrast.aligned]]
        if self.contrasts:
            self.maps, self.nulls = map(self._by_subject, (maps, nulls.reindex_like(maps)))

    def _by_subject(self, logarithms: pd.DataFrame) -> dict[bool, np.ndarray]:
        """Return the subjects' means, as contrasts compare them: (n_subjects, n_regions)."""
        sides = [[self._other_side.get(name, name) for name in self.regions[True]], *self.regions.values()]
        mirrored, plain, kept = (
            self.subjects.average(list(logarithms[names].to_numpy(np.float32)).__getitem__) for names in sides
        )
        return {False: plain, True: self.subjects.align(kept, mirrored)}

    def test(self) -> pd.DataFrame:
        """Return the rows of the method, the smallest p first."""
        tested, _ = contrast_test(
            self.contrasts, self.subjects, self.maps
        )  # the maps' says what is not tested
        tables = [pd.DataFrame({"p": []})]
        for contrast, answer in tested:
            maps, nulls = self.maps[contrast.aligned], self.nulls[contrast.aligned]
            tables.append(
                ratios_beside_null(contrast, self.subjects, maps, nulls, _RATIOS).assign(
                    contrast=contrast.name,
                    region=self.regions[contrast.aligned],
                    t=answer.t,
                    p=answer.p,
                    smallest_possible_p=answer.smallest_possible_p,
                    n_patients=self.subjects.count_patients(contrast),
                    n_controls=self.subjects.count("HC"),
                )
            )
        return pd.concat(tables[1:] or tables).sort_values("p", kind="stable")

    def effect(self, row: Mapping) -> Effect:
        """Return what a figure shows of a row."""
        contrast = CONTRASTS[row["contrast"]]
        place = self.regions[contrast.aligned].index(row["region"])
        values = np.stack([of_map[contrast.aligned][:, place] for of_map in (self.maps, self.nulls)])
        return Effect.of(contrast, self.subjects, values, row, _RATIOS)


def _logarithms(regions: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the logarithm of a density, of scans that have one, in the regions in which all have one."""
    in_brain = regions[regions["region"] != OUTSIDE]
    densities = in_brain.pivot(index="subject_id", columns="region", values=column)
    densities = densities.astype(float).dropna(how="all")
    return np.log(densities.loc[:, (densities > 0).all()])
