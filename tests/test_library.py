"""The package as a library: the manual's example runs."""

import re
import textwrap

import nibabel as nib
import numpy as np
import pytest
import torch

import mri_saliency

from .conftest import AFFINE, REAL_SHAPE, brain, save_checkpoint, save_scan, scan_inputs
from .test_manual import MANUAL

SECTION = MANUAL.split("## As a library")[1].split("\n## ")[0]
(EXAMPLE,) = re.findall(r"(?:^    .*\n|^\n(?=    ))+", SECTION, re.MULTILINE)


def test_the_manuals_example_makes_a_map_and_its_image(tmp_path, monkeypatch, network, capsys):
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 10
    save_checkpoint(tmp_path / "best_model.pth", network)
    save_scan(tmp_path / "mwp1sub-A01_ses-01_T1w.nii", brain(seed=1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    names = {}
    exec(textwrap.dedent(EXAMPLE), names)
    with torch.no_grad():
        (change,) = network(scan_inputs(1)) - network(torch.zeros_like(scan_inputs(1)))
    attribution = names["attribution"]
    assert attribution.expected_total == pytest.approx(float(change), abs=1e-4)
    assert attribution.values.sum(dtype=float) == pytest.approx(float(change), rel=0.02)
    image = nib.load(tmp_path / "map.nii.gz")
    assert image.shape == REAL_SHAPE and image.header.get_intent()[2] == "logit"
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.get_fdata().sum() == pytest.approx(attribution.total, rel=1e-4)
    assert len(capsys.readouterr().out.split()) >= 3


def test_every_name_is_there_and_listed():
    assert set(mri_saliency.__all__) <= set(dir(mri_saliency))
    for name in mri_saliency.__all__:
        assert getattr(mri_saliency, name).__name__ == name
    names = {}
    exec("from mri_saliency import *", names)
    assert set(mri_saliency.__all__) <= set(names)
    with pytest.raises(AttributeError, match="no attribute 'Explorer'"):
        mri_saliency.Explorer  # noqa: B018
