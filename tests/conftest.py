"""A small run in the contract's form: lively networks, scans with and without affine, a table."""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mri_saliency.checkpoint import build_network
from mri_saliency.machine import leave
from mri_saliency.volumes import to_network_input, z_scored

REAL_SHAPE, SYNTHETIC_SHAPE = (113, 137, 113), (112, 136, 112)
AFFINE = np.array([[1.5, 0, 0, -84], [0, 1.5, 0, -120], [0, 0, 1.5, -72], [0, 0, 0, 1.0]])
FLIPPED = np.array([[-1.5, 0, 0, 84], [0, 1.5, 0, -120], [0, 0, 1.5, -72], [0, 0, 0, 1.0]])
DIAGNOSIS_COLUMN = "HC_vs_LTLE_vs_RTLE_string"


def pytest_sessionfinish(session):
    """Leave as the tool does: nothing that a library left behind keeps the finished tests from ending."""
    session.config.add_cleanup(lambda: leave(int(session.exitstatus)))


def brain(shape=REAL_SHAPE, seed=0):
    """An ellipsoid of noisy grey matter in air, float32 from 0 to 1."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    inside = sum((axis / 0.8) ** 2 for axis in axes) < 1
    return (inside * generator.uniform(0.2, 1, shape)).astype(np.float32)


def scan_inputs(*seeds, n_slices=115):
    """Network inputs of made-up scans, float32 (n, n_slices, 128, 128)."""
    inputs = [to_network_input(z_scored(brain(seed=seed)), n_slices) for seed in seeds]
    return torch.from_numpy(np.stack(inputs))


def lively_network(variant="S", n_slices=115, n_logits=1, seed=0):
    """An untrained network whose every layer passes signal on, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(variant, n_slices, n_logits)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        # weak residual branches, as after training: without, rounding grows tenfold on the way through
        for module in network.modules():
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
    metrics = {"auc": np.float64(0.9), "loss": np.float32(0.1), "accuracy": 0.8, "n": np.int64(3)}
    content = {
        "epoch": 7,
        "model_state_dict": {prefix + name: value for name, value in network.state_dict().items()},
        "optimizer_state_dict": optimizer.state_dict(),
        "metrics": metrics,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def save_scan(path, voxels, affine=AFFINE):
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
            *("--device", "cpu", "--workers", "0"),
            *map(str, more),
        ]


def make_run(folder, network):
    """Three scans as the contract has them: .nii, .nii.gz with a negative x step, .pkl."""
    model, parameters = folder / "fold_1" / "best_model.pth", folder / "parameters.json"
    save_checkpoint(model, network)
    parameters.write_text(json.dumps({"dropout_rate": 0.5, "batch_size": 128, "device": "cuda:0"}))
    flipped = np.ascontiguousarray(brain(seed=2)[::-1])
    synthetic = brain(SYNTHETIC_SHAPE, seed=3)
    synthetic = (synthetic - synthetic.mean()) / synthetic.std()
    scans = [
        save_scan(folder / "scans" / "mwp1sub-A_ses-01_T1w.nii", brain(seed=1)),
        save_scan(folder / "scans" / "mwp1sub-B_ses-01_T1w.nii.gz", flipped, FLIPPED),
        save_scan(folder / "scans" / "TLE" / "12_1.pkl", synthetic),
    ]
    rows = pd.DataFrame(
        {
            "file": [str(scan) for scan in scans] + [str(folder / "absent.nii")],
            DIAGNOSIS_COLUMN: ["HC", "left", "right", "other"],
            "sbj_nme": ["sub-A", "sub-B", "12", None],
        }
    )
    rows.to_csv(folder / "val.csv", index=False)
    return RunFolder(model, parameters, folder / "val.csv", folder / "maps", scans)


@pytest.fixture(scope="session")
def network():
    return lively_network()


@pytest.fixture
def maps_only(monkeypatch):
    """Leave out a run's second chapter, for tests of single maps."""
    monkeypatch.setattr("generate_saliency_maps.describe_cohort", lambda *_: None)


@pytest.fixture
def run_folder(tmp_path, network):
    return make_run(tmp_path, network)
