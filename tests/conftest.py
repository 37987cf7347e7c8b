"""A small run in the contract's form: networks, scans with and without affine, a table."""

import json
import os
import pickle
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # tests in parallel: a core for each, and for what they start
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig

from mri_saliency.inputs.checkpoint import VARIANTS, Variant, build_network
from mri_saliency.inputs.preprocessing import to_network_input, z_scored

from .rehearsal import set_up
from .runs.outputs import run

pytest_plugins = ["tests.made_cohort"]  # its fixtures serve all folders

set_up()

REAL_SHAPE, SYNTHETIC_SHAPE = (113, 137, 113), (112, 136, 112)
AFFINE = np.array([[1.5, 0, 0, -84], [0, 1.5, 0, -120], [0, 0, 1.5, -72], [0, 0, 0, 1.0]])
FLIPPED = np.array([[-1.5, 0, 0, 84], [0, 1.5, 0, -120], [0, 0, 1.5, -72], [0, 0, 0, 1.0]])
DIAGNOSIS_COLUMN = "HC_vs_LTLE_vs_RTLE_string"
N_SLICES = 9  # of the tiny network


def tiny_efficientnet(weights=None):
    """EfficientNetV2's building blocks, one of each kind: the same code, 40 thousand parameters."""
    blocks = [
        FusedMBConvConfig(1, 3, 1, 8, 8, 1),
        FusedMBConvConfig(4, 3, 2, 8, 16, 1),
        MBConvConfig(4, 3, 2, 16, 24, 1),
    ]
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    return EfficientNet(blocks, 0.2, stochastic_depth_prob=0.0, norm_layer=norm, last_channel=64)


VARIANTS["tiny"] = Variant(tiny_efficientnet, len(tiny_efficientnet().state_dict()))


def brain(shape=REAL_SHAPE, seed=0):
    """An ellipsoid of noisy grey matter in air, float32 from 0 to 1 in steps that compress."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    inside = sum((axis / half) ** 2 for axis, half in zip(axes, (0.8, 0.95, 0.8), strict=True)) < 1
    return (inside * generator.integers(8, 41, shape) / 40).astype(np.float32)


def scan_inputs(*seeds, n_slices=N_SLICES):
    """Network inputs of made-up scans, float32 (n, n_slices, 128, 128)."""
    inputs = [to_network_input(z_scored(brain(seed=seed))[0], n_slices) for seed in seeds]
    return torch.from_numpy(np.stack(inputs))


def lively_network(variant="tiny", n_slices=None, n_logits=1, seed=0):
    """An untrained network whose every layer passes signal on, in evaluation mode."""
    n_slices = n_slices or (N_SLICES if variant == "tiny" else 115)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(variant, n_slices, n_logits)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
            # weak residual branches, as after training: without, rounding grows tenfold on the way through
            if getattr(module, "use_res_connect", False):
                last = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)][-1]
                nn.init.constant_(last.weight, 0.3)
        scan = scan_inputs(9, n_slices=n_slices)
        # from noise to a brain, and both with a weak and a strong signal
        weights = torch.tensor([0.0, 0.3, 0.7, 1.0, 0.0, 0.3, 0.7, 1.0])[:, None, None, None]
        inputs = weights * scan + (1 - weights) * torch.randn(8, n_slices, 128, 128)
        inputs[4:] *= 0.2
        with torch.no_grad():
            network.train()(inputs)
        nn.init.normal_(network.classifier[1].weight, std=0.1)
    return network.eval()


def save_checkpoint(path, network, prefix="backbone."):
    """Save as the laboratory's training code does: Adam's state and NumPy scalars inside."""
    parameters = [torch.zeros(3, requires_grad=True)]
    optimizer = torch.optim.Adam(parameters)
    parameters[0].grad = torch.ones(3)
    optimizer.step()
    content = {
        "epoch": 7,
        "model_state_dict": {prefix + name: value for name, value in network.state_dict().items()},
        "optimizer_state_dict": optimizer.state_dict(),
        "metrics": {"auc": np.float64(0.9), "loss": np.float32(0.1), "accuracy": 0.8, "n": np.int64(3)},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def save_scan(path, voxels, affine=AFFINE):
    """Write a volume in the format that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({"image": voxels, "label": 1}))
    elif path.suffix == ".npy":
        np.save(path, voxels)
    elif path.suffix == ".mgz":
        nib.MGHImage(voxels, affine).to_filename(path)
    else:
        image = nib.Nifti1Image(voxels, affine)
        image.set_sform(affine, 4)
        image.to_filename(path)
    return path


@dataclass
class RunFolder:
    """Paths of a run, and the options that name them."""

    model: Path
    parameters: Path
    table: Path
    output: Path
    scans: list[Path]

    def options(self, *more):
        return [
            *("--model_path", str(self.model)),
            *("--parameters_path", str(self.parameters)),
            *("--csv_path", str(self.table)),
            *("--output_dir", str(self.output)),
            *("--device", "cpu", "--workers", "0", "--key_slices", "2", "5"),
            *map(str, more),
        ]


SCANS = ("mwp1sub-A_ses-01_T1w.nii", "mwp1sub-B_ses-01_T1w.nii.gz", "TLE/12_1.pkl")


def make_run(folder, network):
    """Three scans as the contract has them: .nii, .nii.gz with a negative x step, .pkl."""
    save_checkpoint(folder / "fold_1" / "best_model.pth", network)
    parameters = {"dropout_rate": 0.5, "batch_size": 128, "device": "cuda:0"}
    (folder / "parameters.json").write_text(json.dumps(parameters))
    synthetic = brain(SYNTHETIC_SHAPE, seed=3)
    synthetic = (synthetic - synthetic.mean()) / synthetic.std()
    flipped = np.ascontiguousarray(brain(seed=2)[::-1])
    volumes = ((brain(seed=1), AFFINE), (flipped, FLIPPED), (synthetic, None))
    for name, (voxels, affine) in zip(SCANS, volumes, strict=True):
        save_scan(folder / "scans" / name, voxels, affine)
    rows = {
        "file": [f"scans/{name}" for name in SCANS] + ["absent.nii"],
        DIAGNOSIS_COLUMN: ["HC", "left", "right", "other"],
        "sbj_nme": ["sub-A", "sub-B", "12", None],
    }
    pd.DataFrame(rows).to_csv(folder / "val.csv", index=False)
    return run_in(folder)


def run_in(folder):
    """Return the paths of the run that `make_run` wrote into a folder, or of its copy."""
    return RunFolder(
        folder / "fold_1" / "best_model.pth",
        folder / "parameters.json",
        folder / "val.csv",
        folder / "maps",
        [folder / "scans" / name for name in SCANS],
    )


def pytest_collection_modifyitems(items):
    """Begin with whole runs, which last longest, so that parallel processes end together."""
    items.sort(key=lambda item: ("test_demo_run" not in item.nodeid, "tests/runs" not in item.nodeid))


@pytest.fixture(scope="session")
def network():
    """The tiny network."""
    return lively_network()


@pytest.fixture(scope="session")
def made_run(tmp_path_factory, network):
    """A run's inputs, made once; `run_folder` copies them."""
    folder = tmp_path_factory.mktemp("made") / "run"
    make_run(folder, network)
    return folder


@pytest.fixture
def run_folder(tmp_path, made_run):
    """A run of three scans, in a folder of the test's own."""
    shutil.copytree(made_run, tmp_path / "run")
    return run_in(tmp_path / "run")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory, made_run):
    """A finished run; `finished` copies it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(made_run, folder)
    with pytest.MonkeyPatch.context() as patch:
        draw_empty_figures(patch)
        assert run(run_in(folder)) == 0
    return folder


@pytest.fixture
def finished(tmp_path, finished_once):
    """A finished run in a folder of the test's own; its scans are recognised by their content."""
    shutil.copytree(finished_once, tmp_path / "run")
    return run_in(tmp_path / "run")


def draw_empty_figures(patch):
    """Leave out what is in the cohort's figure, which takes a second."""
    from matplotlib.figure import Figure

    patch.setattr("mri_saliency.cohort.comparable.cohort_figure", lambda *_: Figure())


def make_maps_only(patch):
    """Leave out the cohort's chapter, and what is in the figures."""
    pixel = np.full((1, 1, 4), 255, np.uint8)
    writer = "mri_saliency.run.map_writer"
    patch.setattr(f"{writer}.summary_figure", lambda _: pixel)
    patch.setattr(f"{writer}.slice_figures", lambda shown: [pixel] * len(shown.view.key_slices))
    patch.setattr("mri_saliency.describe_cohort", lambda *_: None)
    patch.setattr("mri_saliency.write_report", lambda *_, **__: [])


@pytest.fixture
def maps_only(monkeypatch):
    """Make maps alone in this test."""
    make_maps_only(monkeypatch)
