"""What scans are compared with, from the command line to the maps' sums."""

import copy
from dataclasses import replace
from pathlib import Path

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch

import generate_saliency_maps as script
from mri_saliency.inputs.checkpoint import prepare_for_attribution
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import air_input, brain_mask

from ..conftest import DIAGNOSIS_COLUMN, N_SLICES, brain, save_scan
from .outputs import QUICK, SUBJECTS, are_close, array_path


def baseline_totals(network, run, baseline_of):
    """Logit at each scan less the logit at its baseline, computed plainly."""
    totals = {}
    for subject, path in zip(SUBJECTS, run.scans, strict=True):
        network_input = load_volume(path, N_SLICES).network_input
        pair = torch.from_numpy(np.stack([network_input, baseline_of(network_input)]))
        with torch.no_grad():
            at_scan, at_baseline = network(pair)[:, 0].tolist()
        totals[subject] = at_scan - at_baseline
    return totals


@pytest.mark.parametrize("baseline", ["zero", "background", "hc_mean", "file"])
def test_baselines(maps_only, run_folder, network, baseline):
    table = pd.read_csv(run_folder.table)
    table.loc[1, DIAGNOSIS_COLUMN] = "HC"  # two of the three scans
    table.to_csv(run_folder.table, index=False)
    healthy = [load_volume(path, N_SLICES).network_input for path in run_folder.scans[:2]]
    chosen = {
        "zero": np.zeros_like,
        "background": air_input,
        # without the scan itself
        "hc_mean": lambda scan: np.mean([x for x in healthy if not np.array_equal(x, scan)], axis=0),
        "file": lambda _: healthy[0],
    }
    argument = run_folder.scans[0] if baseline == "file" else baseline
    options = run_folder.options("--methods", "deep_lift", *QUICK, "--baseline", argument)
    assert script.main([*options, "--max_samples", "0"]) == 0
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv").set_index("subject_id")
    for subject, total in baseline_totals(network, run_folder, chosen[baseline]).items():
        assert table.loc[subject, "completeness_expected"] == pytest.approx(total, rel=1e-3, abs=1e-4)
        assert table.loc[subject, "completeness_verdict"] == "ok"
    for subject, path in zip(SUBJECTS, run_folder.scans, strict=True):
        scan = load_volume(path, N_SLICES).network_input
        null = np.abs(scan - chosen[baseline](scan))
        share = null[brain_mask(scan)].sum() / null.sum() if null.any() else np.nan
        assert table.loc[subject, "brain_share_null"] == pytest.approx(share, rel=1e-4, nan_ok=True)
    assert (table["baseline"] == Path(argument).name).all()
    for ending in ("npy", "json"):
        assert (run_folder.output / f"baseline_hc_mean.{ending}").exists() == (baseline == "hc_mean")


def test_healthy_scans_are_compared_with_other_subjects_in_any_company(maps_only, run_folder, network):
    """Integrated Gradients from hc_mean, with two sessions of a subject, against Captum's."""
    second = save_scan(run_folder.scans[0].with_name("mwp1sub-C_ses-01_T1w.nii"), brain(seed=4))
    rows = [f"scans/{name},{diagnosis},{subject}" for name, diagnosis, subject in (
        ("TLE/12_1.pkl", "right", "12"),
        ("mwp1sub-A_ses-01_T1w.nii", "HC", "one person"),
        ("mwp1sub-B_ses-01_T1w.nii.gz", "HC", "sub-B"),
        (second.name, "HC", "one person"),
    )]  # fmt: skip
    header = f"file,{DIAGNOSIS_COLUMN},sbj_nme"
    options = ["--methods", "integrated_gradients", "--baseline", "hc_mean", *QUICK, "--no_nifti"]
    a, b, tle = (load_volume(path, N_SLICES).network_input for path in run_folder.scans)
    c = load_volume(second, N_SLICES).network_input
    prepared = prepare_for_attribution(copy.deepcopy(network))
    expected = {
        subject: captum.attr.IntegratedGradients(prepared).attribute(
            torch.from_numpy(scan)[None], torch.from_numpy(baseline)[None], n_steps=4
        )[0].numpy()
        for subject, scan, baseline in (
            ("sub-A", a, b), ("sub-B", b, (a + c) / 2), ("sub-C", c, b), ("12", tle, (a + b + c) / 3),
        )
    }  # fmt: skip
    for order, batch_size in ((1, 25), (-1, 3)):
        run_folder.table.write_text("\n".join([header, *rows[::order], ""]))
        run = replace(run_folder, output=run_folder.output.with_name(f"maps_{batch_size}"))
        assert script.main(run.options(*options, "--batch_size", batch_size)) == 0
        for subject, values in expected.items():
            assert are_close(np.load(array_path(run, "integrated_gradients", subject)), values), subject
