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
    sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.inputs.grid import Grid
from mri_saliency.statistics.contrasts import Subjects, choose_contrasts, hypothesis
from mri_saliency.statistics.intervals import wilson_interval
from mri_saliency.statistics.sign_flips import SIGNIFICANT, sign_flip_test

SHAPE = (8, 24, 24)
SPACE = AnalysisSpace(Grid((24, 8, 24), None, 0, 0, 8), np.ones(SHAPE, bool), smooth_mm=6.0)
SIZES = ((10, 10), (20, 10), (40, 15), (60, 60))  # HC and TLE, half of these on each side
SPREADS = (1.0, 1.5, 2.0)
N_FLIPS = 250
LOG_SPREAD = 0.5  # the controls' standard deviation of log-normal maps' logarithms
FOCI = {"9 x 12 x 12 mm": np.s_[1:7, 2:10, 8:16], "6 x 6 x 6 mm": np.s_[2:6, 4:8, 10:14]}  # on the left
STRENGTH = 4.0  # of an effect: standard errors of the difference of one side's mean from the controls'
# Of a logarithm: sevenfold, in 1.4 % of the brain. In 8 % it would move the map's median, and so the rest.
FOREIGN_EFFECT, FOREIGN_FOCUS = 2.0, "6 x 6 x 6 mm"


@dataclass(frozen=True)
class Cell:
    """One kind of cohort.

    Attributes
    ----------
    maps : str
        "normal": signed maps of normal values; the patients' spread differs in two fifths of the brain.
        "log-normal": magnitudes whose logarithm is normal; their spread differs everywhere.
    is_smooth : bool
        Whether neighbouring voxels of a map are alike before the tool smooths it.
    spread : float
        The patients' standard deviation over the controls'.
    n_hc, n_tle : int
        Subjects.
    variant : str
        "plain"; "covariates": age and site move the maps and differ between the groups; "sessions": every
        second subject has two scans (intraclass correlation 0.8); "foreign side": patients with a focus on
        the left differ there, and errors are counted everywhere else.
    focus : str
        A name in `FOCI`: where every patient differs, by `STRENGTH`; none without a name.
    """

    maps: str
    is_smooth: bool
    spread: float
    n_hc: int
    n_tle: int
    variant: str = "plain"
    focus: str = ""

    def name(self) -> str:
        """Return the cell in words, columns of the table."""
        texture = "smooth" if self.is_smooth else "rough"
        what = self.focus or self.variant
        return f"{self.maps} | {texture} | {self.spread:g} | {self.n_hc}/{self.n_tle} | {what}"


def error_cells() -> list[Cell]:
    """Return the cells in which no difference exists, or none but that on the foreign side."""
    cells = [
        Cell(maps, is_smooth, spread, *size)
        for maps, is_smooth, spread, size in itertools.product(
            ("normal", "log-normal"), (True, False), SPREADS, SIZES
        )
    ]
    variants = itertools.product(("covariates", "sessions", "foreign side"), (1.0, 2.0), SIZES)
    return cells + [Cell("log-normal", True, spread, *size, variant) for variant, spread, size in variants]


def power_cells() -> list[Cell]:
    """Return the cells in which every patient differs at the focus."""
    return [
        Cell("log-normal", is_smooth, 1.0, *size, focus=focus)
        for focus, is_smooth, size in itertools.product(FOCI, (True, False), SIZES)
    ]


@dataclass(frozen=True, eq=False)
class Cohort:
    """A simulated cohort: maps by scan, (n_scans, *SHAPE), and its subjects."""

    maps: np.ndarray
    subjects: Subjects
    is_signed: bool


def simulate(cell: Cell, generator: np.random.Generator) -> Cohort:
    """Draw a cohort."""
    n_left = (cell.n_tle + 1) // 2
    diagnoses = np.repeat(["HC", "left", "right"], [cell.n_hc, n_left, cell.n_tle - n_left]).astype(object)
    is_patient = diagnoses != "HC"
    is_signed = cell.maps == "normal"
    unit = 1.0 if is_signed else LOG_SPREAD
    fields = np.float32(unit) * _fields(len(diagnoses), cell.is_smooth, generator)
    spread = np.ones(SHAPE, np.float32)
    spread[:, :, : SHAPE[2] * 2 // 5 if is_signed else None] = cell.spread
    fields[is_patient] *= spread
    error = unit * np.sqrt(cell.spread**2 / n_left + 1 / cell.n_hc)
    effects = dict.fromkeys(("left", "right"), STRENGTH * error if cell.focus else 0.0)
    if cell.variant == "foreign side":
        effects["left"] = FOREIGN_EFFECT
    for side, focus in zip(effects, _foci(cell), strict=True):
        fields[diagnoses == side] += np.float32(effects[side]) * focus

    covariates = np.empty((len(diagnoses), 0))
    if cell.variant == "covariates":
        age = generator.normal(0, 1, len(diagnoses)) + 0.8 * is_patient
        site = (generator.random(len(diagnoses)) < np.where(is_patient, 0.65, 0.35)).astype(float)
        covariates = np.column_stack([age, site])
        slopes = unit * _fields(2, True, generator)
        fields += np.tensordot(covariates, slopes, axes=1).astype(np.float32)
    scans = [[index] for index in range(len(diagnoses))]
    if cell.variant == "sessions":
        second = np.arange(0, len(diagnoses), 2)
        noise = _fields(len(diagnoses) + len(second), cell.is_smooth, generator)
        noise *= np.float32(0.5 * unit)  # a quarter of the variance between subjects
        noise[: len(diagnoses)][is_patient] *= cell.spread
        noise[len(diagnoses) :][is_patient[second]] *= cell.spread
        fields = np.concatenate([fields, fields[second]]) + noise
        for place, index in enumerate(second):
            scans[index].append(len(diagnoses) + place)
    maps = fields if is_signed else np.exp(fields)
    return Cohort(maps, Subjects(scans, diagnoses, covariates), is_signed)


def _foci(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Return a cell's focus on the left and on the right: bool (*SHAPE)."""
    left = np.zeros(SHAPE, bool)
    left[FOCI[cell.focus or FOREIGN_FOCUS]] = True
    return left, left[:, ::-1]


def _fields(n: int, is_smooth: bool, generator: np.random.Generator) -> np.ndarray:
    """Return normal values with standard deviation 1, float32 (n, *SHAPE)."""
    values = generator.standard_normal((n, *SHAPE), np.float32)
    if is_smooth:
        values = gaussian_filter(values, (0, 2, 2, 2), mode="wrap")
        values /= values.std()
    return values


def find_differences(cohort: Cohort) -> dict[str, np.ndarray]:
    """Return where the tool finds each contrast significant: bool, on the coarse grid."""
    analysed = AnalysisSpace.signed if cohort.is_signed else AnalysisSpace.magnitudes
    values = cohort.subjects.average(lambda index: analysed(SPACE, cohort.maps[index]))
    mirrored = cohort.subjects.average(lambda index: analysed(SPACE, SPACE.mirror(cohort.maps[index])))
    contrasts, _ = choose_contrasts(cohort.subjects)
    family = {}
    for contrast in contrasts:
        try:
            family[contrast.name] = hypothesis(contrast, cohort.subjects, values, mirrored)
        except np.linalg.LinAlgError:  # too few subjects for the covariates: the tool tests nothing
            continue
    results = sign_flip_test(list(family.values()), n_flips=N_FLIPS)
    return {
        name: (tested.p <= SIGNIFICANT).reshape(SPACE.inside.shape)
        for name, tested in zip(family, results, strict=True)
    }


def find_differences_by_labels(cohort: Cohort, generator: np.random.Generator) -> np.ndarray:
    """Return where a permutation of the labels finds TLE and HC different: bool, on the coarse grid.

    The test that the sign flips replaced: block means of maps over their mean magnitude; the difference over
    the controls' standard deviation (Glass's delta), with the largest one of each relabelling.
    """
    magnitudes = np.abs(cohort.maps[[scans[0] for scans in cohort.subjects.scans]])
    relative = magnitudes / magnitudes.mean(axis=(1, 2, 3), keepdims=True)
    coarse = (n // 2 for n in SHAPE)
    blocks = relative.reshape(len(relative), *itertools.chain(*((n, 2) for n in coarse))).mean(axis=(2, 4, 6))
    values = blocks.reshape(len(blocks), -1)
    is_case = cohort.subjects.diagnoses != "HC"
    labels = np.stack([is_case, *(generator.permutation(is_case) for _ in range(N_FLIPS))])
    controls = (~labels).astype(np.float64)
    n_controls = controls[0].sum()
    control_means = controls @ values / n_controls
    case_means = labels @ values.astype(np.float64) / is_case.sum()
    variances = (controls @ values.astype(np.float64) ** 2 - n_controls * control_means**2) / (n_controls - 1)
    scores = np.abs(case_means - control_means) / np.sqrt(variances)
    largest = scores.max(axis=1)
    p = (largest[:, None] >= scores[0] * (1 - 1e-9)).mean(axis=0)
    return (p <= SIGNIFICANT).reshape(SPACE.inside.shape)


def count_findings(cell: Cell, seed: int, n_cohorts: int) -> tuple[int, int]:
    """Return in how many cohorts something is found: by this test, and by permuting labels.

    With a focus, in the focus; without, where no group differs.
    """
    left, right = map(_near, _foci(cell))
    near = {"left_minus_HC": left, "right_minus_HC": right, "aligned_minus_HC": left}
    by_flips = by_labels = 0
    for generator in np.random.default_rng(seed).spawn(n_cohorts):
        cohort = simulate(cell, generator)
        found = find_differences(cohort)
        if cell.focus:
            by_flips += any((found[name] & near[name]).any() for name in found)
            by_labels += bool((find_differences_by_labels(cohort, generator) & (left | right)).any())
        else:
            true = dict.fromkeys(found, np.zeros(SPACE.inside.shape, bool))
            if cell.variant == "foreign side":
                true |= {"left_minus_HC": left, "aligned_minus_HC": left}
            by_flips += any((found[name] & ~true[name]).any() for name in found)
            if cell.variant == "plain" and not cohort.is_signed:
                by_labels += bool(find_differences_by_labels(cohort, generator).any())
    return by_flips, by_labels


def _near(region: np.ndarray) -> np.ndarray:
    """Return the coarse points that an effect in a region reaches once it is smoothed: bool."""
    spread = gaussian_filter(region.astype(float), 6.0 / 2.355 / 1.5, truncate=6) > 1e-5
    return spread[::2, ::2, ::2] | spread[1::2, 1::2, 1::2]


def run_cells(cells: list[Cell], n_cohorts: int, processes: int, seed: int = 0) -> pd.DataFrame:
    """Simulate cells; return a row for each: ``cell``, ``flips`` and ``labels`` (cohorts with findings)."""
    parts = 5  # of a cell, so that processes end together
    jobs = [
        (cell, 1000 * seed + parts * index + part, n_cohorts // parts)
        for index, cell in enumerate(cells)
        for part in range(parts)
    ]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        counts = []
        for done, count in enumerate(pool.map(count_findings, *zip(*jobs, strict=True)), 1):
            counts.append(count)
            print(f"\r{done} of {len(jobs)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    totals = np.array(counts).reshape(len(cells), parts, 2).sum(axis=1)
    return pd.DataFrame({"cell": cells, "flips": totals[:, 0], "labels": totals[:, 1]})


def print_table(rows: pd.DataFrame, n_cohorts: int, title: str) -> None:
    """Print a Markdown table of shares with their 95 % intervals."""
    n = n_cohorts // 5 * 5
    print(f"\n{title}, {n} cohorts a cell\n")
    print("maps | texture | spread | HC/TLE | cohort | this test (95 % interval) | by labels")
    print("---|---|---|---|---|---|---")
    for row in rows.itertuples():
        low, high = wilson_interval(row.flips, n)
        has_labels = row.cell.focus or (row.cell.variant == "plain" and row.cell.maps == "log-normal")
        labels = f"{row.labels / n:.1%}" if has_labels else "–"
        print(f"{row.cell.name()} | {row.flips / n:.1%} ({low:.1%} to {high:.1%}) | {labels}")


def print_summary(rows: pd.DataFrame, n_cohorts: int) -> None:
    """Print a Markdown table of the smallest and largest share over textures and sizes."""
    n = n_cohorts // 5 * 5
    print("\nmaps | cohort | spread | this test, smallest to largest | by labels")
    print("---|---|---|---|---")
    rows = rows.assign(
        maps=[cell.maps for cell in rows["cell"]],
        cohort=[cell.focus or cell.variant for cell in rows["cell"]],
        spread=[cell.spread for cell in rows["cell"]],
    )
    for (maps, cohort, spread), cells in rows.groupby(["maps", "cohort", "spread"], sort=False):
        ranges = [
            f"{cells[name].min() / n:.1%} to {cells[name].max() / n:.1%}" for name in ("flips", "labels")
        ]
        has_labels = cohort in FOCI or (cohort == "plain" and maps == "log-normal")
        print(f"{maps} | {cohort} | {spread:g} | {ranges[0]} | {ranges[1] if has_labels else '–'}")


def main() -> None:
    """Run all cells and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=1000, help="simulated cohorts in each cell")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    for title, cells in (("Family-wise error at 5 %", error_cells()), ("Power", power_cells())):
        rows = run_cells(cells, options.cohorts, options.processes)
        print_table(rows, options.cohorts, title)
        print_summary(rows, options.cohorts)


if __name__ == "__main__":
    main()
