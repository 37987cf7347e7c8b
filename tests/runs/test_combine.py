"""Finished runs are combined: means, spread and agreement in a folder that is described as a run's."""

import json
import shutil
from itertools import product

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.image import to_scan_grid
from mri_saliency.output.folder import OutputFolder

from ..combine.test_runs import edit, edit_records
from ..conftest import lively_network, make_maps_only, run_in, save_checkpoint
from ..made_cohort import save_halves
from .outputs import SUBJECTS, contents

METHODS = ("integrated_gradients", "saliency")
OPTIONS = ("--methods", *METHODS, "--n_steps", "3", "--key_slices", "5")


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory, made_run):
    """Two runs of two networks on the same three scans; `runs` copies them."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(made_run, folder)
    run = run_in(folder)
    save_checkpoint(folder / "fold_2" / "best_model.pth", lively_network(seed=1))
    other = ("--model_path", folder / "fold_2" / "best_model.pth", "--output_dir", folder / "maps_2")
    with pytest.MonkeyPatch.context() as patch:
        make_maps_only(patch)
        for more in ((), other):
            assert script.main(run.options(*OPTIONS, *more)) == 0
    return folder


@pytest.fixture
def runs(tmp_path, made_runs):
    """Two finished runs in folders of the test's own; their scans are where they were made."""
    for name in ("maps", "maps_2"):
        shutil.copytree(made_runs / name, tmp_path / name)
    return tmp_path / "maps", tmp_path / "maps_2"


def options(*runs, output, more=()):
    names = ["--combine", *runs, "--output_dir", output, "--key_slices", 5, "--workers", 0, *more]
    return list(map(str, names))


def combine(*runs, output, more=()):
    return script.main(options(*runs, output=output, more=more))


def load(root, method, subject):
    return np.load(OutputFolder(root).array(method, subject))


def image(path):
    return nib.load(path).get_fdata(dtype=np.float32)


def test_means_and_what_differs(runs, tmp_path, capsys):
    output = tmp_path / "combined"
    assert combine(*runs, output=output) == 0
    folder = OutputFolder(output)
    page = folder.report.read_text()
    assert "agree between these 2 networks" in page
    assert "too few scans" in page and "fold_2/best_model.pth</td>" in page
    table = pd.read_csv(folder.statistics)
    assert (table["n_networks"] == 2).all() and len(table) == 6
    table = table.set_index(["method", "subject_id"])
    parts = [pd.read_csv(run / "attribution_statistics.csv").set_index(table.index.names) for run in runs]
    for name in ("prediction", "completeness_sum", "completeness_expected"):
        expected = np.mean([part.loc[table.index, name] for part in parts], axis=0)
        np.testing.assert_allclose(table[name], expected, rtol=1e-12)
    for method, subject in product(METHODS, SUBJECTS):
        maps = np.stack([load(run, method, subject).astype(float) for run in runs])
        mean = load(output, method, subject)
        np.testing.assert_allclose(mean, maps.mean(axis=0), rtol=1e-6)
        assert table.loc[(method, subject), "abs_mean"] == pytest.approx(np.abs(mean).mean(dtype=float))
        grid = folder.read_record(method, subject).grid
        images = {folder.nifti: maps.mean(axis=0), folder.spread: maps.std(axis=0, ddof=1)}
        for path_of, values in (images | {folder.difference: maps[1] - maps[0]}).items():
            expected = to_scan_grid(unpad(values), grid)
            found = image(path_of(method, subject))
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        assert folder.sign_agreement(method, subject).exists() == (method != "saliency")
    # the maps add up to the mean change of the logit as well as those of the runs do
    total = load(output, "integrated_gradients", "sub-A").sum(dtype=float)
    row = table.loc[("integrated_gradients", "sub-A")]
    assert total == pytest.approx(row["completeness_sum"], rel=1e-4)

    before = contents(output)
    capsys.readouterr()
    assert combine(*runs, output=output) == 0  # nothing is made again
    assert "0 maps made in" in capsys.readouterr().out
    assert contents(output) == before
    again = ("--output_dir", output, "--report_only", "--workers", "0", "--key_slices", "5")
    assert script.main([*map(str, again)]) == 0
    assert contents(output) == before
    assert json.loads(folder.run_record.read_text())["status"] == "done"


def test_a_run_combined_with_itself_agrees(runs, tmp_path, capsys):
    output = tmp_path / "combined"
    atlas, names = save_halves(tmp_path)
    more = ("--atlas", atlas, "--atlas_names", names)
    assert combine(runs[0], runs[0], output=output, more=more) == 0
    assert "is given 2 times" in capsys.readouterr().err
    folder = OutputFolder(output)
    for method, subject in product(METHODS, SUBJECTS):
        np.testing.assert_array_equal(load(output, method, subject), load(runs[0], method, subject))
        assert not image(folder.spread(method, subject)).any()
        assert not image(folder.difference(method, subject)).any()
    table = pd.read_csv(folder.statistics)
    assert (table.loc[table["method"] == "integrated_gradients", "sign_agreement"] == 1).all()
    rows = pd.read_csv(folder.run_agreement)
    np.testing.assert_allclose(rows["rank_correlation"], 1)
    assert rows["sign_agreement"].dropna().tolist() == [1, 1, 1]
    regions = pd.read_csv(folder.run_regions)
    per_run = [rows["density"].to_numpy() for _, rows in regions.groupby("run")]
    assert len(per_run) == 2 and (per_run[0] == per_run[1]).all() and folder.regions.exists()
    page = folder.report.read_text()
    assert "The runs do not differ" in page and "runs of one network" in page


def test_scans_of_one_run_alone_and_maps_that_come_later(maps_only, runs, tmp_path):
    output, first = tmp_path / "combined", OutputFolder(runs[0])
    away = tmp_path / "away"
    shutil.move(first.array("saliency", "12").parent, away)
    assert combine(*runs, output=output, more=["--no_nifti"]) == 0
    assert not list(output.rglob("*/*/*.nii.gz"))
    assert combine(*runs, output=output) == 0
    folder = OutputFolder(output)
    table = pd.read_csv(folder.statistics).set_index(["method", "subject_id"])["n_networks"]
    assert table["saliency", "12"] == 1 and table["integrated_gradients", "12"] == 2
    assert not folder.spread("saliency", "12").exists()
    np.testing.assert_array_equal(load(output, "saliency", "12"), load(runs[1], "saliency", "12"))
    assert len(pd.read_csv(folder.run_agreement)) == 5
    shutil.move(away, first.array("saliency", "12").parent)
    assert combine(*runs, output=output) == 0
    assert (pd.read_csv(folder.statistics)["n_networks"] == 2).all()
    assert folder.spread("saliency", "12").exists()
    shutil.rmtree(folder.sidecar("saliency", "12").parent)
    assert combine(*runs, output=output, more=("--key_slices", "4")) == 0  # one is made, the others redrawn
    assert folder.spread("saliency", "sub-A").exists() and folder.spread("saliency", "12").exists()
    assert folder.slice_figure("saliency", "sub-A", 4).exists()


def test_scans_are_matched_by_content(maps_only, runs, tmp_path):
    output, second = tmp_path / "combined", OutputFolder(runs[1])
    for method in METHODS:  # under another name in the second run, and that name is another scan's there
        for subject, new_name in (("12", "other"), ("sub-A", "12"), ("other", "sub-A")):
            rename(second, method, subject, new_name)
    assert combine(*runs, output=output) == 0
    assert set(pd.read_csv(output / "attribution_statistics.csv", dtype=str)["subject_id"]) == set(SUBJECTS)
    expected = (load(runs[0], "saliency", "sub-A") + load(runs[1], "saliency", "12")) / 2
    np.testing.assert_allclose(load(output, "saliency", "sub-A"), expected, rtol=1e-6)


def rename(folder, method, subject, new_name):
    old, new = (folder.sidecar(method, name) for name in (subject, new_name))
    content = json.loads(old.read_text().replace(f"{subject}_{method}", f"{new_name}_{method}"))
    content["subject_id"] = content["statistics"]["subject_id"] = new_name
    old.parent.rename(new.parent)
    for path in list(new.parent.iterdir()):
        path.rename(path.with_name(path.name.replace(f"{subject}_{method}", f"{new_name}_{method}")))
    new.write_text(json.dumps(content))


def test_a_refusal_leaves_nothing(maps_only, runs, tmp_path, capsys):
    before = contents(runs[0])
    assert combine(*runs, output=runs[0]) == 2
    assert combine(*runs, output=tmp_path / "combined", more=["--report_only"]) == 2
    assert "leave --report_only out" in capsys.readouterr().err
    edit_records(runs[1], statistics__diagnosis="TLE")
    assert combine(*runs, output=tmp_path / "combined") == 2
    assert "has the diagnoses HC and TLE" in capsys.readouterr().err
    assert contents(runs[0]) == before and not (tmp_path / "combined").exists()


def test_a_scan_that_changed_costs_its_maps(maps_only, runs, tmp_path, made_runs, capsys):
    for root in runs:
        for method in METHODS:
            path = OutputFolder(root).sidecar(method, "sub-A")
            edit(path, source__path=str(made_runs / "scans/gone.nii"))
            path = OutputFolder(root).sidecar(method, "12")
            edit(path, source__sha256="f" * 64)
    output = tmp_path / "combined"
    assert combine(*runs, output=output) == 1
    error = capsys.readouterr().err
    assert "failed: sub-A" in error and "has changed since the maps to combine were made" in error
    failures = pd.read_csv(output / "tables/failures.csv", dtype=str)
    assert sorted(failures["subject_id"]) == ["12", "12", "sub-A", "sub-A"]
    assert len(pd.read_csv(output / "attribution_statistics.csv")) == 2
