"""A made-up finished cohort: seven scans, two methods, random maps, and the network nowhere."""

import json
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.attribution.result import Attribution
from mri_saliency.checks.table import (
    ANOTHER,
    BY_MAGNITUDE,
    DIFFERENCE,
    MAP,
    RANDOM,
    SHUFFLED,
    WHOLE,
    Row,
)
from mri_saliency.combine.runs import read_runs
from mri_saliency.inputs.atlas import read_atlas
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import FIRST_SLICE, Grid
from mri_saliency.inputs.loading import ScanContext, load_scan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.statistics import MapStatistics, measure_map, prediction
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_array
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.output.record import MapRecord, MeasuredMap, Recipe
from mri_saliency.runtime.workers import Workers

from .conftest import AFFINE, FLIPPED, N_SLICES, REAL_SHAPE, SYNTHETIC_SHAPE, brain, save_scan

COHORT_METHODS = ("saliency", "input_x_gradient")
GRID = Grid(REAL_SHAPE, AFFINE, 4, FIRST_SLICE, N_SLICES)
DRAWING = Drawing(scale=2.0, overlay_scale=1.0, smooth_mm=6.0, telling_slice=4)
RECIPE = Recipe(maths=1, checkpoint="0" * 64, first_slice=FIRST_SLICE, target=0)
OTHER_AFFINE = nib.affines.from_matvec(2 * np.eye(3), (-113, -137, -113))  # voxels of 2 mm
# subject -> diagnosis, affine (None: a synthetic volume), logit
SCANS = {
    "sub-A": ("HC", AFFINE, -2.0),
    "sub-B": ("left", FLIPPED, 1.5),
    "12": ("right", None, -0.5),
    "sub-D": ("HC", AFFINE, 0.7),
    "sub-E": ("HC", AFFINE, -3.0),
    "sub-F": ("right", AFFINE, 2.5),
    "sub-G": ("left", OTHER_AFFINE, 0.2),
}


def made_record(
    subject_id="sub-A", method="saliency", *, recipe=RECIPE, logits=(-1.0,), files=(), **statistics
):
    """A record; `logits` give the prediction, `files` are endings, `statistics` replace single numbers."""
    content = dict.fromkeys(column.name for column in fields(MapStatistics)) | {
        "method": method,
        "shape": "(9, 128, 128)",
        **{"mean": 0.0, "std": 1.0, "min": -1.0, "max": 1.0, "abs_mean": 0.5},
        **{"positive_ratio": 0.5, "negative_ratio": 0.5, "peak_slice": 4, "brain_share": 0.7},
        **{"subject_id": subject_id, "subject": subject_id, "true_label": 0, "diagnosis": "HC"},
        **prediction(np.array(logits)),
        **{"target": 0, "sample_idx": 0, "seconds": 0.1},
    }
    row = MapStatistics(**content | statistics)
    source = FileIdentity(f"/scans/{subject_id}.nii", 1, 1, "0" * 64, "0" * 64)
    files = {f"{subject_id}_{method}_{ending}": 1 for ending in files}
    profile = (1 / N_SLICES,) * N_SLICES
    measured = MeasuredMap(subject_id, method, source, GRID, 1000, recipe, row, profile, "0.3.0+0123456789ab")
    return measured.drawn((2, 5), DRAWING, files)


def write_map(folder: OutputFolder, context: ScanContext, method: str, *, values, logits):
    """Write a map's array and record into a folder; returns the record."""
    total = float(values.sum(dtype=np.float64))
    expected = 1.001 * total if METHODS[method].completes else None
    attribution = Attribution(values, total, expected, np.asarray(logits), 0, 0.1)
    subject_id = context.scan.subject_id
    folder.open_map(method, subject_id, replace=True)
    array = folder.array(method, subject_id)
    write_array(array, values)
    measured = MeasuredMap.of(values, measure_map(attribution, context, method, None), context, RECIPE)
    record = measured.drawn((2, 5), DRAWING, {array.name: array.stat().st_size})
    folder.write_record(record)
    return record


def _write_scan(folder: Path, subject_id: str, seed: int) -> Scan:
    diagnosis, affine, _ = SCANS[subject_id]
    if affine is None:
        path = save_scan(folder / f"{subject_id}_1.pkl", brain(SYNTHETIC_SHAPE, seed))
    else:
        voxels = brain(seed=seed)
        if affine is FLIPPED:
            voxels = np.ascontiguousarray(voxels[::-1])
        path = save_scan(folder / f"mwp1{subject_id}_T1w.nii", voxels, affine)
    return Scan(subject_id, path, int(diagnosis != "HC"), diagnosis, list(SCANS).index(subject_id))


@pytest.fixture(scope="session")
def finished_maps(tmp_path_factory):
    """The cohort's folder; `cohort` copies it."""
    root = tmp_path_factory.mktemp("cohort")
    folder = OutputFolder(root / "maps")
    folder.create()
    generator = np.random.default_rng(0)
    for seed, (subject_id, (_, _, logit)) in enumerate(SCANS.items()):
        scan = _write_scan(root / "scans", subject_id, seed)
        loaded = load_scan(scan, n_slices=N_SLICES, first_slice=FIRST_SLICE)
        for method in COHORT_METHODS:
            values = generator.standard_normal((N_SLICES, 128, 128)).astype(np.float32)
            values = values if METHODS[method].signed else np.abs(values)
            write_map(folder, loaded.context, method, values=values, logits=[logit])
    return folder.root


@dataclass
class Cohort:
    """A finished folder that a test may write to, and its maps' records."""

    folder: OutputFolder
    records: list[MapRecord]

    def load(self, method, subject_id):
        """A map without pad, on the grid that most scans share."""
        values = self.folder.load_map(method, subject_id)
        return values[:, ::-1] if subject_id == "sub-B" else values  # the one with a negative x step


@pytest.fixture
def cohort(tmp_path, finished_maps):
    shutil.copytree(finished_maps, tmp_path / "maps")
    folder = OutputFolder(tmp_path / "maps")
    return Cohort(folder, folder.records(RECIPE.checkpoint))


RUN = {
    "format": FORMAT,
    "status": "done",
    "working_directory": "/data",
    "options": {"csv_path": "val.csv", "baseline": "zero"},
    "settings": {},
    "tool": {"name": "mri-saliency-maps", "version": "0.3.0", "source": "0123456789ab"},
    "versions": {},
    "device": {"name": "cpu", "hardware": "cpu"},
    "checkpoint": {"sha256": RECIPE.checkpoint, "network": "tiny", "n_slices": N_SLICES, "n_logits": 1},
    "earlier_runs": [],
}


@pytest.fixture
def two_runs(tmp_path, finished_maps):
    """Two runs on seven scans, four of them on one grid; the second's maps are like the first's."""
    generator = np.random.default_rng(1)
    roots = tmp_path / "one", tmp_path / "two"
    for root in roots:
        shutil.copytree(finished_maps, root)
        (root / "run.json").write_text(json.dumps(RUN))
    for path in sorted(roots[1].rglob("*_attributions.npy")):
        values = np.load(path)
        np.save(path, values + generator.standard_normal(values.shape).astype(np.float32))
    return read_runs(roots, OutputFolder(tmp_path / "combined"))


@pytest.fixture
def no_workers():
    """Workers that run each job at once, in this process."""
    with Workers(0) as workers:
        yield workers


def save_atlas(path, affine=None, swap=False):
    """A 3 mm atlas of MNI space: left (1) and right (2) of the midline, and a front block (7)."""
    if affine is None:
        affine = np.array([[3, 0, 0, -90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1.0]])
    labels = np.zeros((61, 73, 61), np.int16)
    x_mm = affine[0, 0] * np.arange(61) + affine[0, 3]
    labels[x_mm < -3], labels[x_mm > 3] = (2, 1) if swap else (1, 2)
    y_mm = affine[1, 1] * np.arange(73) + affine[1, 3]
    labels[:, y_mm > 30] = 7
    nib.Nifti1Image(labels, affine).to_filename(path)
    return path


def save_names(path, text="index\tname\n1\tLeft Side\n2\tRight Side\n7\tFront\n99\tElsewhere\n"):
    path.write_text(text)
    return path


def save_halves(folder):
    """An atlas on the scans' grid, left and right half as far as the tiny network looks, and its names."""
    labels = np.zeros(REAL_SHAPE, np.int16)
    labels[:57, :40], labels[57:, :40] = 1, 2
    nib.Nifti1Image(labels, AFFINE).to_filename(folder / "halves.nii.gz")
    names = save_names(folder / "halves.csv", "index,name\n1,Left Half\n2,Right Half\n")
    return folder / "halves.nii.gz", names


@pytest.fixture
def atlas(tmp_path):
    """The atlas of `save_atlas`, read."""
    return read_atlas(save_atlas(tmp_path / "mni.nii.gz"), save_names(tmp_path / "mni.tsv"))


HOSTILE = '<script>document.title="run"</script>'
REPORT_METHODS = ("integrated_gradients", "saliency")


def report_records(n=6):
    """Records of n scans: scan 0 is HC and wrong, all others right; the last has a hostile name."""
    records = []
    for i in range(n):
        label = i % 2
        probability = 0.8 if i == 0 else (0.9 - 0.01 * (i % 40) if label else 0.1 + 0.01 * (i % 40))
        for method in REPORT_METHODS:
            complete = method != "saliency"
            record = made_record(
                HOSTILE if i == n - 1 else f"sub-{i:03}",
                method,
                logits=[np.log(probability / (1 - probability))],
                true_label=label,
                diagnosis=("left", "right")[i // 2 % 2] if label else "HC",
                completeness_verdict=("ok", "check")[i == 2] if complete else None,
                completeness_error=0.123 if complete else None,
                sample_idx=i,
                brain_share_null=0.6 if complete else None,
            )
            records.append(record)
    return records


def pictured(records, root=None, scales=None):
    """Give records a thumbnail of a map whose own colour scale is that in `scales`; write it into `root`."""
    folder, drawn = OutputFolder(root or Path("maps")), []
    for record, scale in zip(records, scales or [1.0] * len(records), strict=True):
        path = folder.thumbnail(record.method, record.subject_id)
        if root:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((112, 224, 4), 120, np.uint8)).save(path)
        drawing = replace(DRAWING, scale=2 * scale, overlay_scale=scale)
        drawn.append(replace(record, drawing=drawing, files={**record.files, path.name: 1}))
    return drawn


CHECKED = ("a", "b", "c", "d")  # scans of `checks_table`
LEVELS = {MAP: 0.1, DIFFERENCE: 0.4, SHUFFLED: 0.5, ANOTHER: 0.6, RANDOM: 0.7}


def checks_table(method="smooth_grad", *, weights=0.1, noise=0.9, others=0.5, levels=None, regions=0.8):
    """Make a table of checks whose numbers are known; a method passes all of them by default.

    `weights`, `noise`, `others`: similarity to the shuffled network's, the repeated and other scans' maps.
    `levels`: order -> height of its deletion curve half way, scan by scan or for all (insertion: 1 less it;
    by magnitude: its own, or the same). `regions`: rank correlation over regions, None without an atlas.
    """
    own = [MAP, SHUFFLED, ANOTHER]
    levels = LEVELS | (levels or {})
    levels = {order + BY_MAGNITUDE: levels[order] for order in own} | levels
    pairs = [f"{a} and {b}" for i, a in enumerate(CHECKED) for b in CHECKED[i + 1 :]]
    rows = [Row("subjects", method, pair, WHOLE, "signed", others) for pair in pairs]
    for index, scan in enumerate(CHECKED):
        rows += [Row("weights", method, scan, WHOLE, name, weights) for name in ("signed", "partial")]
        rows += [Row(check, method, scan, WHOLE, "signed", noise) for check in ("noise", "seed")]
        for order, level in levels.items():
            name = method if order.removesuffix(BY_MAGNITUDE) in own else order
            level = (np.broadcast_to(level, len(CHECKED)) + (0.0, 0.02, -0.02, 0.01))[index]
            for check, values in (("deletion", (7, 7 * level, 0)), ("insertion", (0, 7 - 7 * level, 7))):
                steps = zip(("0", "50", "100"), values, strict=True)
                rows += [Row(check, name, scan, step, "logit", value, order) for step, value in steps]
        if regions is not None:
            rows.append(Row("region", "ablation", scan, "Left Side", "logit", 1.5, None))
            rows.append(Row("region_ranks", method, scan, WHOLE, "absolute", regions + index / 100))
            rows.append(Row("region_ranks", method, scan, WHOLE, "absolute", 0.2, SHUFFLED))
            rows.append(Row("region_ranks", "difference", scan, WHOLE, "absolute", 0.3, DIFFERENCE))
    return pd.DataFrame(rows, columns=Row._fields)


def sided_regions(n=6, n_controls=6, effect=1.0, hemispheres=0.0):
    """A table of regions: n subjects with TLE of each side, whose hippocampus is asymmetric by `effect`."""
    generator, halves = np.random.default_rng(0), np.random.default_rng(1)
    towards = {"HC": 0, "left": 1, "right": -1}
    rows = []
    for diagnosis, count in (("HC", n_controls), ("left", n), ("right", n)):
        for number in range(count):
            subject = f"{diagnosis}{number}"
            of_brain = np.tanh(hemispheres * towards[diagnosis] + 0.3 * halves.standard_normal())
            for pair, strength in (("insula", 0), ("hippocampus", effect * towards[diagnosis])):
                attribution = np.tanh(strength + 0.3 * generator.standard_normal())
                grey_matter = 0.1 * (0.2 * generator.standard_normal() - strength)
                rows += [
                    {"subject_id": f"scan-{subject}", "subject": subject, "diagnosis": diagnosis}
                    | {"method": "saliency", "region": f"{side} {pair}", "asymmetry": attribution}
                    | {"density": 2.0 if pair == "hippocampus" else 1.5, "density_null": 1.0}
                    | {"grey_matter_asymmetry": grey_matter, "hemisphere_asymmetry": of_brain}
                    | {"hemisphere_grey_matter_asymmetry": -0.1 * of_brain}
                    for side in ("Left", "Right")
                ]
    return pd.DataFrame(rows)


SIDED_PAIRS = [("Left insula", "Right insula"), ("Left hippocampus", "Right hippocampus")]
