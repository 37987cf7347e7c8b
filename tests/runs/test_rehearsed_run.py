"""A whole run on a device writes what it writes on the CPU."""

import numpy as np
import pandas as pd
import torch

import generate_saliency_maps as script

from ..rehearsal import NAME, rehearsed
from .outputs import QUICK, assert_same_maps
from .test_expected_gradients import cohort  # noqa: F401

OPTIONS = ("--methods", "integrated_gradients", "expected_gradients", "--n_references", "4")
OPTIONS += (*QUICK, "--baseline", "hc_mean", "--check_maps", "3", "--workers", "0")


def test_maps_and_checks_are_the_cpus(cohort, tmp_path, monkeypatch, maps_only):  # noqa: F811
    assert script.main(cohort.options(*OPTIONS)) == 0
    expected = cohort.output.rename(tmp_path / "expected")
    monkeypatch.setattr("mri_saliency.run.prepare.choose_device", lambda *_: torch.device(NAME, 0))
    with rehearsed():
        assert script.main(cohort.options(*OPTIONS)) == 0
    assert_same_maps(cohort.output, expected)
    tables = [pd.read_csv(next(root.rglob("map_checks.csv"))) for root in (cohort.output, expected)]
    assert len(tables[0]) == len(tables[1]) > 50
    found, wanted = (table.select_dtypes("number") for table in tables)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
