"""The maps on disk -> what the cohort shows: agreement, groups, regions, the report.

The second chapter of a run. It reads the sidecars' records and the arrays, needs no network, and lets the
workers do what is done scan by scan or method by method. Like `demo`, it builds on the other modules.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency import figures, groups, measures, outputs, regions, volumes
from mri_saliency.errors import UserError
from mri_saliency.machine import Work, Workers
from mri_saliency.methods import METHODS
from mri_saliency.outputs import OutputFolder
from mri_saliency.volumes import Grid

BACKGROUND_SCANS = 20  # whose mean is drawn under group maps
OUTSIDE_ALARM = 0.5  # share of a map's magnitude outside the brain

GROUPS: dict[str, tuple[str, Callable[[dict], bool]]] = {  # name in files -> title, who belongs
    "HC": ("HC", lambda row: row["true_label"] == 0),
    "TLE": ("TLE", lambda row: row["true_label"] == 1),
    "left": ("TLE, focus on the left", lambda row: row["diagnosis"] == "left"),
    "right": ("TLE, focus on the right", lambda row: row["diagnosis"] == "right"),
    "TLE_correct": ("TLE, predicted TLE", lambda row: row["true_label"] == 1 and row["prediction"] > 0.5),
    "TLE_wrong": ("TLE, predicted HC", lambda row: row["true_label"] == 1 and row["prediction"] <= 0.5),
}
DIFFERENCE = "TLE_minus_HC"
_RELATIVE = "times the mean magnitude"


def statistics_of(records: list[dict]) -> pd.DataFrame:
    """Make the table of statistics, in the order of `in_order`."""
    return pd.DataFrame([record["statistics"] for record in in_order(records)])


def in_order(records: list[dict]) -> list[dict]:
    """Sort scan by scan in the cohort's order, methods in the registry's."""
    methods = list(METHODS)

    def place(record: dict) -> tuple[int, str, int]:
        row = record["statistics"]
        return row["sample_idx"], row["subject_id"], methods.index(row["method"])

    return sorted(records, key=place)


def comparable(records: list[dict]) -> tuple[list[dict], list[str]]:
    """Take those of each method's maps that were made alike, as most were; returns them with notes."""
    ways: dict[str, dict[str, list[dict]]] = {}  # by method, by fingerprint
    for record in records:
        of_method = ways.setdefault(record["method"], {})
        of_method.setdefault(digest_of(record["fingerprint"]), []).append(record)
    alike, notes = [], []
    for method, of_method in ways.items():
        most = max(of_method.values(), key=len)
        alike += most
        n = sum(map(len, of_method.values()))
        if len(most) < n:
            notes.append(
                f"{method}: {n - len(most)} of {n} maps in the folder were made otherwise than most (see "
                "fingerprint in their sidecars); what describes the cohort leaves them out."
            )
    return in_order(alike), notes


def digest_of(fingerprint: dict) -> str:
    """Shorten all that determines a map beside its scan to 12 digits."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:12]


def open_map(folder: OutputFolder, method: str, subject_id: str, mirrored: bool = False) -> np.ndarray:
    """Map a map's file into memory, without pad: float32 (n_slices, 112, 112)."""
    path = folder.array(method, subject_id)
    values = volumes.unpad(np.load(path, mmap_mode="r", allow_pickle=False))
    return values[:, ::-1] if mirrored else values


# --- Methods ------------------------------------------------------------------------------------


def compare_methods(folder: OutputFolder, records: list[dict], workers: Workers) -> pd.DataFrame:
    """Compare every scan's maps with each other; writes and returns a row a scan and pair of methods."""
    methods_of: dict[str, list[str]] = {}
    for record in records:
        methods_of.setdefault(record["subject_id"], []).append(record["method"])
    work = {
        subject_id: workers.submit(_compare_maps, folder, subject_id, methods)
        for subject_id, methods in methods_of.items()
        if len(methods) > 1
    }
    table = pd.DataFrame(
        {"subject_id": subject_id} | row for subject_id, of_scan in work.items() for row in of_scan.result()
    )
    _write_or_remove(folder.agreement, table)
    return table


def _compare_maps(folder: OutputFolder, subject_id: str, methods: list[str]) -> list[dict]:
    return measures.agreement({method: open_map(folder, method, subject_id) for method in methods})


def summarise(folder: OutputFolder, records: list[dict], agreement: pd.DataFrame) -> None:
    """Draw the cohort's summary."""
    statistics = statistics_of(records)
    statistics["class"] = np.where(statistics["true_label"] == 0, "HC", "TLE")
    methods = [method for method in METHODS if method in set(statistics["method"])]

    shares: dict[tuple[str, str], list[list[float]]] = {}
    for record in records:
        name = "TLE" if record["statistics"]["true_label"] else "HC"
        shares.setdefault((record["method"], name), []).append(record["slice_profile"])
    profiles = {key: np.mean(of_class, axis=0) for key, of_class in sorted(shares.items())}

    matrix = measures.agreement_matrix(agreement, methods, "rank_correlation")
    strength = {}
    for method in methods:
        rows = statistics[statistics["method"] == method]
        strength[method] = measures.rank_correlation(rows["confidence"], rows["abs_mean"])
    outputs.write_figure(folder.summary, figures.cohort_figure(statistics, profiles, matrix, strength))


# --- Groups -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CommonSpace:
    """Where the cohort's maps can be laid over each other, and what lies under them."""

    grid: Grid
    mirrored: dict[str, bool]  # by subject; a scan on another grid is not in it
    mean_scan: np.ndarray  # (n_slices, 112, 112): the mean network input of a few scans; zero if unknown
    brain: np.ndarray | None  # bool, its shape; None if unknown


def find_common_space(
    folder: OutputFolder, records: list[dict], workers: Workers
) -> tuple[CommonSpace, list[str]]:
    """Find the grid that most scans share, and average a few scans on it; returns it with notes.

    The average is kept in the folder, for when the scans are out of reach.
    """
    first = {record["subject_id"]: record for record in records}
    with_affine = [record["grid"] for record in first.values() if record["grid"]["affine"]]
    candidates = with_affine or [record["grid"] for record in first.values()]
    common = Grid.from_record(json.loads(Counter(map(json.dumps, candidates)).most_common(1)[0][0]))
    mirrored = {}
    for subject_id, record in first.items():
        orientation = volumes.orientation_to(Grid.from_record(record["grid"]), common)
        if orientation:
            mirrored[subject_id] = orientation == "mirrored"
    notes = []
    if len(mirrored) < len(first):
        notes.append(
            f"{len(first) - len(mirrored)} scans lie on another grid than most; group maps leave them out."
        )

    some = list(mirrored)[:: -(-len(mirrored) // BACKGROUND_SCANS)]
    work = {subject_id: workers.submit(_load_input, first[subject_id]) for subject_id in some}
    shape = (common.n_slices, volumes.INPUT_SIZE, volumes.INPUT_SIZE)
    total, count = np.zeros(shape), 0
    for subject_id, loading in work.items():
        try:
            values = loading.result()
        except UserError:  # the scans may be gone since
            continue
        total += values[:, ::-1] if mirrored[subject_id] else values
        count += 1
    if count:
        mean_scan = (total / count).astype(np.float32)
        outputs.write_array(folder.mean_scan, mean_scan)
    else:
        mean_scan = outputs.read_array(folder.mean_scan, shape)
    if mean_scan is None:
        notes.append(
            "no scan can be read any more: group maps have no anatomy under them, and TLE is not tested "
            "against HC, for which the brain must be known."
        )
        return CommonSpace(common, mirrored, volumes.unpad(np.zeros(shape, np.float32)), None), notes
    brain = volumes.brain_mask(mean_scan)
    return CommonSpace(common, mirrored, volumes.unpad(mean_scan), volumes.unpad(brain)), notes


def _load_input(record: dict) -> np.ndarray:
    path, first_slice = Path(record["source"]["path"]), record["fingerprint"]["first_slice"]
    return volumes.load_volume(path, record["grid"]["n_slices"], first_slice).network_input


def map_groups(
    folder: OutputFolder, records: list[dict], space: CommonSpace, key_slices: list[int], workers: Workers
) -> dict[str, dict[str, Path]]:
    """Write the group maps of every method; returns their figures, by method and group."""
    rows: dict[str, list[dict]] = {method: [] for method in METHODS}
    for record in records:
        if record["subject_id"] in space.mirrored:
            rows[record["method"]].append(record["statistics"])
    work: dict[str, list[Work]] = {}
    for method, of_method in rows.items():
        if of_method:
            folder.open_groups(method)
            args = (folder, method, of_method, space, key_slices)
            work[method] = [workers.submit(part, *args) for part in (_average_groups, _compare_groups)]
    return {
        method: {name: path for part in parts for name, path in part.result().items()}
        for method, parts in work.items()
    }


def _average_groups(
    folder: OutputFolder, method: str, rows: list[dict], space: CommonSpace, key_slices: list[int]
) -> dict[str, Path]:
    """Average one method's maps by group; returns the figures' paths."""
    targets_differ = METHODS[method].signed and len({row["target"] for row in rows}) > 1
    members = {name: np.array([belongs(row) for row in rows]) for name, (_, belongs) in GROUPS.items()}
    writer = _GroupWriter(folder, method, space, key_slices)
    means = groups.group_means(_openers(folder, rows, space), members)
    writer.write_means(means, "; maps toward different classes are mixed" if targets_differ else "")
    return writer.drawn


def _compare_groups(
    folder: OutputFolder, method: str, rows: list[dict], space: CommonSpace, key_slices: list[int]
) -> dict[str, Path]:
    """Compare one method's maps of TLE with those of HC, if they can be; returns the figure's path."""
    is_case = np.array([GROUPS["TLE"][1](row) for row in rows])
    writer = _GroupWriter(folder, method, space, key_slices)
    # maps of different logits cannot be compared
    testable = space.brain is not None and len({row["target"] for row in rows}) == 1
    if testable and min(is_case.sum(), (~is_case).sum()) >= groups.LEAST_MAPS:
        openers = _openers(folder, rows, space)
        relative = [partial(_relative, *of_map) for of_map in zip(openers, rows, strict=True)]
        means = groups.group_means(relative, {"HC": ~is_case, "TLE": is_case})
        test = groups.compare_groups(relative, is_case, space.brain)
        writer.write_difference(means["TLE"].signed - means["HC"].signed, test)
    return writer.drawn


def _openers(folder: OutputFolder, rows: list[dict], space: CommonSpace) -> list[groups.OpenMap]:
    return [
        partial(open_map, folder, row["method"], row["subject_id"], space.mirrored[row["subject_id"]])
        for row in rows
    ]


def _relative(open_one: groups.OpenMap, row: dict) -> np.ndarray:
    """Open a map in units of its own mean magnitude: where attribution goes, not how much there is."""
    return open_one() / np.float32(row["abs_mean"] or 1)


class _GroupWriter:
    """Writes and draws one method's group maps; `drawn` has the figures' paths by group."""

    def __init__(self, folder: OutputFolder, method: str, space: CommonSpace, key_slices: list[int]) -> None:
        self.drawn: dict[str, Path] = {}
        self._folder, self._method, self._space, self._key_slices = folder, METHODS[method], space, key_slices

    def write_means(self, means: dict[str, groups.GroupMean], caveat: str) -> None:
        """Write every group's mean map and mean magnitude; all share their scales."""
        scale = max(figures.colour_scale(mean.signed) for mean in means.values())
        magnitude_scale = max(figures.colour_scale(mean.magnitude) for mean in means.values())
        unit = self._method.unit
        for name, mean in means.items():
            self._write(f"{name}_mean", mean.signed, f"mean of {mean.n} {name}, {unit}{caveat}")
            self._write(f"{name}_magnitude", mean.magnitude, f"mean magnitude of {mean.n} {name}, {unit}")
            title = f"{GROUPS[name][0]}: mean of {mean.n} scan{'s' if mean.n > 1 else ''}"
            view = self._view(mean.signed, title, f"all groups of a method share one scale{caveat}", scale)
            picture = figures.group_figure(view, self._shown(mean.magnitude), magnitude_scale)
            self._draw(name, picture)

    def write_difference(self, difference: np.ndarray, test: groups.Comparison) -> None:
        """Write the difference of TLE and HC, and its test; maps in units of their mean magnitude."""
        self._write(f"{DIFFERENCE}_difference", difference, f"TLE less HC, {_RELATIVE}")
        self._write(f"{DIFFERENCE}_score", test.score, "TLE less HC, standard errors", nearest=True)
        self._write(f"{DIFFERENCE}_p", test.p, "p, family-wise corrected", nearest=True, fill=1.0)
        found = np.mean(test.p[self._space.brain] <= groups.SIGNIFICANT)
        where = f"in {found:.2%} of the brain" if found else "nowhere"
        subtitle = (
            f"significant {where}: opaque and outlined "
            f"(p ≤ {groups.SIGNIFICANT} family-wise, {groups.N_PERMUTATIONS} permutations)"
        )
        title = f"TLE minus HC: {test.n_cases} and {test.n_controls} scans"
        view = self._view(difference, title, subtitle, figures.colour_scale(difference))
        picture = figures.difference_figure(
            replace(view, signed=True, unit=_RELATIVE),
            self._shown(test.score),
            self._shown(test.p),
            test.threshold,
            groups.SIGNIFICANT,
        )
        self._draw(DIFFERENCE, picture)

    def _write(self, name: str, values: np.ndarray, what: str, **how: object) -> None:
        image = volumes.to_nifti(values, self._space.grid, f"{self._method.name}, {what}", **how)
        outputs.write_nifti(self._folder.group_map(self._method.name, f"{name}.nii.gz"), image)

    def _draw(self, name: str, picture: np.ndarray) -> None:
        self.drawn[name] = self._folder.group_map(self._method.name, f"{name}.png")
        outputs.write_picture(self.drawn[name], picture)

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return volumes.upright(values[self._key_slices], self._space.grid)

    def _view(self, values: np.ndarray, title: str, subtitle: str, scale: float) -> figures.MapView:
        grid = self._space.grid
        return figures.MapView(
            anatomy=self._shown(self._space.mean_scan),
            attribution=self._shown(values),
            slice_titles=grid.slice_titles(self._key_slices),
            title=f"{self._method.name}   {title}",
            subtitle=subtitle,
            extent=grid.extent,
            in_mm=grid.affine is not None,
            signed=self._method.signed,
            unit=self._method.unit,
            scale=scale,
            window=figures.intensity_window(self._space.mean_scan),
        )


# --- Regions ------------------------------------------------------------------------------------


def check_atlas(path: Path, names_path: Path | None, grid: dict) -> None:
    """Raise UserError if an atlas cannot serve, or does not lie where a scan's `grid` does."""
    _read_atlas(path, names_path)
    if grid["affine"]:
        _labels_on(path, names_path, json.dumps(grid))


def measure_regions(
    folder: OutputFolder, records: list[dict], path: Path, names_path: Path | None, workers: Workers
) -> pd.DataFrame:
    """Divide every map among an atlas's regions; writes the table and its figure.

    Returns the table's rows with the column `diagnosis`; none for scans without an affine.
    """
    placed = [record for record in records if record["grid"]["affine"]]
    work = [workers.submit(_divide_map, folder, record, path, names_path) for record in placed]
    table = pd.DataFrame([row for of_map in work for row in of_map.result()])
    _write_or_remove(folder.regions, table.drop(columns="diagnosis", errors="ignore"))
    if len(table):
        outputs.write_figure(folder.region_figure, figures.region_figure(table, regions.densest(table)))
    return table


def _divide_map(folder: OutputFolder, record: dict, path: Path, names_path: Path | None) -> list[dict]:
    row = record["statistics"]
    values = open_map(folder, record["method"], record["subject_id"])
    labels = _labels_on(path, names_path, json.dumps(record["grid"]))
    n_voxels = len(values) * volumes.INPUT_SIZE**2
    brain = regions.BrainMass(
        mass=row["abs_mean"] * n_voxels,
        share=row["brain_share"],
        n_voxels=record["brain_voxels"],
        n_outside=n_voxels - record["brain_voxels"],
    )
    about = {key: row[key] for key in ("subject_id", "method", "diagnosis")}
    return [
        about | region for region in regions.region_rows(values, labels, _read_atlas(path, names_path), brain)
    ]


@lru_cache(maxsize=1)
def _read_atlas(path: Path, names_path: Path | None) -> regions.Atlas:
    return regions.read_atlas(path, names_path)


@lru_cache(maxsize=4)
def _labels_on(path: Path, names_path: Path | None, grid: str) -> np.ndarray:
    place = Grid.from_record(json.loads(grid))
    shape = (place.n_slices, volumes.RESIZED, volumes.RESIZED)
    return _read_atlas(path, names_path).on_network_grid(place.input_affine, shape)


# --- The report ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    """What the cohort's maps show together, for the report.

    Attributes
    ----------
    agreement : DataFrame
        As `compare_methods` returns it.
    group_figures : dict
        As `map_groups` returns it.
    regions : DataFrame or None
        As `measure_regions` returns it.
    verdicts : dict
        As `judge_checks` returns it.
    alarms : list of str
        As `alarms_of` returns it.
    """

    agreement: pd.DataFrame
    group_figures: dict[str, dict[str, Path]]
    regions: pd.DataFrame | None
    verdicts: dict[str, dict[str, str]]
    alarms: list[str]


def judge_checks(folder: OutputFolder, records: list[dict]) -> dict[str, dict[str, str]]:
    """Judge the checks in the folder, of methods whose maps are made as then: method -> check -> answer."""
    table = outputs.read_table(folder.checks)
    if table is None or "fingerprint" not in table:
        return {}
    from mri_saliency import checks

    then = dict(zip(table["method"], table["fingerprint"], strict=True))
    now = {record["method"]: digest_of(record["fingerprint"]) for record in records}
    return {
        method: verdict.answers()
        for method, verdict in checks.verdicts(table).items()
        if then[method] == now.get(method)
    }


def alarms_of(records: list[dict], verdicts: dict[str, dict[str, str]]) -> list[str]:
    """Say what of the cohort needs a look, in sentences."""
    statistics = statistics_of(records)
    alarms = []
    for method, rows in statistics.groupby("method", sort=False):
        outside = (rows["brain_share"].astype(float) < 1 - OUTSIDE_ALARM).sum()
        if outside:
            alarms.append(
                f"{method}: in {outside} of {len(rows)} scans more than {OUTSIDE_ALARM:.0%} of the "
                "attribution lies outside the brain, the mark of a shortcut."
            )
        unfinished = (rows["completeness_verdict"] == "check").sum()
        if unfinished:
            counts = [name for name in METHODS[method].settings if name.startswith("n_")]
            remedy = "".join(f"; raise --{name}" for name in counts)
            alarms.append(
                f"{method}: {unfinished} of {len(rows)} maps do not add up to the logit's change{remedy}."
            )
        zero = (rows["abs_mean"] == 0).sum()
        if zero:
            alarms.append(f"{method}: {zero} of {len(rows)} maps are zero everywhere.")
    for method, answers in verdicts.items():
        failed = [question for question, answer in answers.items() if answer == "NO"]
        if failed:
            alarms.append(f"{method}: fails the check “{'”, “'.join(failed)}”.")
    return alarms


def write_report(folder: OutputFolder, records: list[dict], findings: Findings, *, embed: bool) -> None:
    """Write report.html, its pictures linked, or with `embed` inside."""
    from mri_saliency import report

    statistics = statistics_of(records)
    pairs = zip(statistics["subject_id"], statistics["method"], strict=True)
    divided = findings.regions is not None and len(findings.regions) > 0
    failures = outputs.read_table(folder.failures)
    page = report.Report(
        run=folder.last_run(),
        statistics=statistics,
        alarms=findings.alarms,
        figures={"summary": folder.summary}
        | ({"regions": folder.region_figure} if divided else {})
        | ({"checks": folder.check_figure} if findings.verdicts and folder.check_figure.exists() else {}),
        group_figures={
            method: {GROUPS.get(name, ("TLE minus HC",))[0]: path for name, path in drawn.items()}
            for method, drawn in findings.group_figures.items()
        },
        summaries={(subject, method): folder.summary_figure(method, subject) for subject, method in pairs},
        agreement=findings.agreement,
        regions=findings.regions if divided else None,
        densest=regions.densest(findings.regions) if divided else {},
        verdicts=findings.verdicts,
        failures=[] if failures is None else failures.to_dict("records"),
        embedded=embed,
    )
    link = outputs.data_url if embed else partial(outputs.relative_url, folder=folder.root)
    outputs.write_text(folder.report, report.render(page, link))


def _write_or_remove(path: Path, table: pd.DataFrame) -> None:
    if len(table):
        outputs.write_table(path, table)
    else:
        path.unlink(missing_ok=True)
