"""Simulate cohorts, and print how often the test of groups errs, and how often it finds what is there.

    python tests/calibration.py                    # all cells, 1000 cohorts each
    python tests/calibration.py --cohorts 100      # a quick look

Each cohort's maps go through the tool's own functions, from the smoothing to the corrected p. The maps are
small (8 x 24 x 24 voxels of 1.5 mm), and there are 250 flips instead of 1000.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a core for each process
    sys.path[0] = str(Path(__file__).parent.parent)  # this file's folder has names of the standard library

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.special import gammaincinv, ndtr, ndtri
from scipy.stats import binomtest

from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.groups.sentences import limits_of_test
from mri_saliency.inputs.grid import Grid
from mri_saliency.methods import METHODS
from mri_saliency.statistics.contrasts import CONTRASTS, Subjects, choose_contrasts, contrast_test
from mri_saliency.statistics.sign_flips import SIGNIFICANT

SHAPE = (8, 24, 24)
SPACE = AnalysisSpace(Grid((24, 8, 24), None, 0, 0, 8), np.ones(SHAPE, bool), smooth_mm=6.0)
SIZES = ((10, 10), (20, 10), (40, 15), (60, 60))  # HC and TLE, half of these on each side
SPREADS = (1.0, 1.5, 2.0)
N_FLIPS = 250
LOG_SPREAD = 0.5  # the controls' standard deviation of the maps' logarithms, which are normal
FOCI = {"9 x 12 x 12 mm": np.s_[1:7, 2:10, 8:16], "6 x 6 x 6 mm": np.s_[2:6, 4:8, 10:14]}  # on the left
STRENGTH = 4.0  # of an effect: standard errors of the difference of one side's mean from the controls'
# Of a logarithm: sevenfold, in 1.4 % of the brain. In 8 % it would move the map's median, and so the rest.
FOREIGN_EFFECT, FOREIGN_FOCUS = 2.0, "6 x 6 x 6 mm"
SKEWS = {"skewed": 1.3, "very skewed": 2.3}  # of the logarithms; smoothing leaves three quarters of it
OWN_EFFECT, OWN_SHARE = 4.0, 0.05  # of a patient's own places: standard deviations, share of the brain


@dataclass(frozen=True)
class Cell:
    """One kind of cohort.

    Its names: "plain"; "covariates": age and site move the maps and differ between the groups; "sessions":
    every second subject has two scans (intraclass correlation 0.8); "foreign side": patients with a focus on
    the left differ there, and errors are counted everywhere else; one in `SKEWS`: the logarithms of all are
    skewed alike; "own places": each patient differs in other places, in the mean by nothing; "own baseline":
    maps are distances from the controls' mean; "unequal slopes": age moves the patients' maps alone, and they
    are older. A name in `FOCI`: every patient differs there, by `STRENGTH`, and findings there are counted.
    """

    is_smooth: bool  # whether neighbouring voxels of a map are alike before the tool smooths it
    spread: float  # the patients' standard deviation over the controls'
    n_hc: int
    n_tle: int
    cohort: str = "plain"


def error_cells() -> list[Cell]:
    """Return the cells in which no difference exists, or none but that on the foreign side."""
    plain = itertools.product((True, False), SPREADS, SIZES)
    others = itertools.product(("covariates", "sessions", "foreign side"), (1.0, 2.0), SIZES)
    unequal = itertools.product(("skewed", "very skewed", "own places"), ((200, 40), (100, 20), (60, 40)))
    return [
        *(Cell(is_smooth, spread, *size) for is_smooth, spread, size in plain),
        *(Cell(True, spread, *size, cohort) for cohort, spread, size in others),
        *(Cell(True, 1.0, *size, cohort) for cohort, size in unequal),
        *(Cell(True, 1.0, *size, "own baseline") for size in ((6, 80), (15, 80), (20, 80))),
        Cell(True, 1.0, 60, 40, "unequal slopes"),
    ]


def power_cells() -> list[Cell]:
    """Return the cells in which every patient differs at the focus."""
    return [
        Cell(is_smooth, 1.0, *size, focus)
        for focus, is_smooth, size in itertools.product(FOCI, (True, False), SIZES)
    ]


def simulate(cell: Cell, generator: np.random.Generator) -> tuple[np.ndarray, Subjects]:
    """Draw a cohort: its maps by scan, (n_scans, *SHAPE), and its subjects."""
    n_left = (cell.n_tle + 1) // 2
    diagnoses = np.repeat(["HC", "left", "right"], [cell.n_hc, n_left, cell.n_tle - n_left]).astype(object)
    is_patient = diagnoses != "HC"
    fields = _fields(len(diagnoses), cell.is_smooth, generator)
    if cell.cohort in SKEWS:
        shape = 4 / SKEWS[cell.cohort] ** 2  # of a gamma distribution
        normal = np.linspace(-7, 7, 20_001)  # gammaincinv of every value would take a second
        skewed = (gammaincinv(shape, ndtr(normal)) - shape) / np.sqrt(shape)
        fields = np.interp(fields, normal, skewed).astype(np.float32)
    if cell.cohort == "own places":
        places = _fields(cell.n_tle, True, generator) > ndtri(1 - OWN_SHARE)
        fields[is_patient] += np.float32(OWN_EFFECT) * (places - np.float32(OWN_SHARE))
    fields *= np.float32(LOG_SPREAD)
    fields[is_patient] *= np.float32(cell.spread)
    error = LOG_SPREAD * np.sqrt(cell.spread**2 / n_left + 1 / cell.n_hc)
    effects = dict.fromkeys(("left", "right"), STRENGTH * error if cell.cohort in FOCI else 0.0)
    if cell.cohort == "foreign side":
        effects["left"] = FOREIGN_EFFECT
    for side, focus in zip(effects, _foci(cell), strict=True):
        fields[diagnoses == side] += np.float32(effects[side]) * focus

    covariates = np.empty((len(diagnoses), 0))
    if cell.cohort == "unequal slopes":
        covariates = generator.normal(0, 1, (len(diagnoses), 1)) + 0.8 * is_patient[:, None]
        slope = LOG_SPREAD * _fields(1, True, generator)
        age = (covariates - covariates.mean()) * is_patient[:, None]
        fields += np.tensordot(age, slope, axes=1).astype(np.float32)
    if cell.cohort == "covariates":
        age = generator.normal(0, 1, len(diagnoses)) + 0.8 * is_patient
        site = (generator.random(len(diagnoses)) < np.where(is_patient, 0.65, 0.35)).astype(float)
        covariates = np.column_stack([age, site])
        slopes = LOG_SPREAD * _fields(2, True, generator)
        fields += np.tensordot(covariates, slopes, axes=1).astype(np.float32)
    scans = [[index] for index in range(len(diagnoses))]
    if cell.cohort == "sessions":
        second = np.arange(0, len(diagnoses), 2)
        noise = _fields(len(diagnoses) + len(second), cell.is_smooth, generator)
        noise *= np.float32(0.5 * LOG_SPREAD)  # a quarter of the variance between subjects
        noise[np.concatenate([is_patient, is_patient[second]])] *= cell.spread
        fields = np.concatenate([fields, fields[second]]) + noise
        for place, index in enumerate(second):
            scans[index].append(len(diagnoses) + place)
    maps = np.exp(fields)
    if cell.cohort == "own baseline":
        weights = np.where(is_patient, 1 / cell.n_hc, 1 / (cell.n_hc - 1))[:, None]  # not of itself
        others = ~is_patient & ~np.eye(len(fields), dtype=bool)
        maps = np.abs(fields - np.tensordot((weights * others).astype(np.float32), fields, axes=1))
    return maps, Subjects(scans, diagnoses, covariates)


def _foci(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Return a cell's focus on the left and on the right: bool (*SHAPE)."""
    left = np.zeros(SHAPE, bool)
    left[FOCI.get(cell.cohort, FOCI[FOREIGN_FOCUS])] = True
    return left, left[:, ::-1]


def _fields(n: int, is_smooth: bool, generator: np.random.Generator) -> np.ndarray:
    """Return normal values with standard deviation 1, float32 (n, *SHAPE)."""
    values = generator.standard_normal((n, *SHAPE), np.float32)
    if is_smooth:
        values = gaussian_filter(values, (0, 2, 2, 2), mode="wrap")
        values /= values.std()
    return values


def find_differences(maps: np.ndarray, subjects: Subjects, cohort: str) -> tuple[dict[str, np.ndarray], bool]:
    """Return where the tool finds each contrast, bool on the coarse grid, and whether it warns."""
    values = subjects.average(lambda index: SPACE.magnitudes(maps[index]))
    mirrored = subjects.average(lambda index: SPACE.magnitudes(SPACE.mirror(maps[index])))
    if cohort == "own places":  # which raise the mean of smoothed maps, everywhere alike
        controls = subjects.members("HC")
        for of_maps in (values, mirrored):
            of_maps[~controls] -= of_maps[~controls].mean() - of_maps[controls].mean()
    both = {False: values, True: subjects.align(values, mirrored)}
    tested, _ = contrast_test(choose_contrasts(subjects), subjects, both, N_FLIPS)
    limits = limits_of_test(METHODS["saliency"], subjects, tested, uses_controls=cohort == "own baseline")
    found = {asked.name: (answer.p <= SIGNIFICANT).reshape(SPACE.inside.shape) for asked, answer in tested}
    return found, bool(limits)


def count_findings(cell: Cell, seed: int, n_cohorts: int) -> tuple[int, int]:
    """Return in how many cohorts something is found: with a focus, there; without, where no group differs.

    And in how many the tool warns of its error.
    """
    left, right = map(_near, _foci(cell))
    is_focal = cell.cohort in FOCI
    counted = dict.fromkeys(CONTRASTS, np.full(SPACE.inside.shape, not is_focal))
    if is_focal or cell.cohort == "foreign side":
        counted |= dict.fromkeys(("left_minus_HC", "aligned_minus_HC"), left == is_focal)
    if is_focal:
        counted["right_minus_HC"] = right
    cohorts = (simulate(cell, generator) for generator in np.random.default_rng(seed).spawn(n_cohorts))
    n_found, n_warned = 0, 0
    for cohort in cohorts:
        differences, is_warned = find_differences(*cohort, cell.cohort)
        n_found += any((found & counted[name]).any() for name, found in differences.items())
        n_warned += is_warned
    return n_found, n_warned


def _near(region: np.ndarray) -> np.ndarray:
    """Return the coarse points that an effect in a region reaches once it is smoothed: bool."""
    spread = gaussian_filter(region.astype(float), 6.0 / 2.355 / 1.5, truncate=6) > 1e-5
    return spread[::2, ::2, ::2] | spread[1::2, 1::2, 1::2]


def main() -> None:
    """Run all cells; print a row for each, and the smallest and largest share over textures and sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=1000, help="simulated cohorts in each cell")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    pd.set_option("display.max_rows", None, "display.max_columns", None, "display.width", 160)
    n = options.cohorts
    for title, cells in (("Family-wise error at 5 %", error_cells()), ("Power", power_cells())):
        rows = pd.DataFrame(cells)
        with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
            counts = [*pool.map(count_findings, cells, range(len(cells)), itertools.repeat(n))]
        rows[["share", "low", "high", "warned"]] = [
            (found / n, *binomtest(found, n).proportion_ci(method="wilson"), warned / n)
            for found, warned in counts
        ]
        if cells[0].cohort not in FOCI:  # at most 7 %, its limit 9 %, or most cohorts are warned of
            is_kept = (rows["share"] <= 0.07) & (rows["high"] <= 0.09)
            rows["kept"] = np.where(is_kept, "yes", np.where(rows["warned"] > 0.5, "warned", "NO"))
        summary = rows.groupby(["cohort", "spread"], sort=False)["share"].agg(["min", "max"])
        print(f"\n{title}, {n} cohorts a cell; 95 % intervals\n\n{rows.round(3)}\n\n{summary.round(3)}")


if __name__ == "__main__":
    main()
