"""The same command goes on where the last one stopped, and nothing is overwritten unasked."""

import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.attribution.explainer import Explainer

from .outputs import (
    METHODS,
    QUICK,
    SEED_COLUMNS,
    are_close,
    array_path,
    assert_same_maps,
    contents,
    file_names,
    run,
)

FINISHED_RUN = Path(__file__).with_name("finished_run.tar.xz")  # by version 0.1.0


@pytest.fixture
def no_network(monkeypatch):
    """Fail the test if the network is passed."""

    def refuse(*_):
        raise AssertionError("the network was passed")

    monkeypatch.setattr(Explainer, "attribute", refuse)
    monkeypatch.setattr(Explainer, "batch", refuse)


def test_the_same_command_again_costs_no_network_pass(finished, no_network, capsys):
    before = contents(finished.output)
    assert run(finished) == 0
    after = contents(finished.output)
    changed = [name for name in after if after[name] != before.get(name)]
    assert after.keys() == before.keys()
    assert all(name.endswith("_attributions.json") for name in changed)  # the copied scans are elsewhere
    assert "0 maps made in" in capsys.readouterr().out
    record = json.loads((finished.output / "run.json").read_text())
    assert record["counts"] == {"maps": 0, "kept": 6, "failures": 0}
    assert [earlier["counts"]["maps"] for earlier in record["earlier_runs"]] == [6]


@pytest.fixture
def finished_before(tmp_path):
    """A folder that an earlier version finished: two scans, Integrated Gradients, two slices."""
    with tarfile.open(FINISHED_RUN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "finished_run"


def options_in(folder, *more):
    paths = {"model": "best_model.pth", "parameters": "parameters.json", "csv": "val.csv"}
    named = [part for name, path in paths.items() for part in (f"--{name}_path", str(folder / path))]
    settings = ["--baseline", "background", "--n_steps", "4", "--methods", "integrated_gradients"]
    where = ["--output_dir", str(folder / "maps"), "--device", "cpu", "--workers", "0"]
    return [*named, *settings, *where, *more]


def test_a_folder_of_an_earlier_version_is_refused_and_left_alone(finished_before, no_network, capsys):
    maps = finished_before / "maps"
    before = {path: path.read_bytes() for path in maps.rglob("*") if path.is_file()}
    assert len(before) > 10 and FINISHED_RUN.stat().st_size < 300_000
    again = ["--output_dir", str(maps), "--report_only"]
    combined = ["--combine", str(maps), str(maps), "--output_dir", str(finished_before / "combined")]
    for options in (options_in(finished_before, "--key_slices", "1"), again, combined):
        assert script.main(options) == 2
        error = capsys.readouterr().err
        assert "another version of this program wrote it" in error and "--overwrite" in error
    assert {path: path.read_bytes() for path in maps.rglob("*") if path.is_file()} == before


def test_maps_are_those_of_an_earlier_version(maps_only, finished_before, tmp_path):
    made = finished_before / "maps"
    shutil.copytree(made, tmp_path / "expected")
    assert script.main(options_in(finished_before, "--key_slices", "1", "--overwrite")) == 0
    assert_same_maps(made, tmp_path / "expected")
    record = json.loads((made / "run.json").read_text())
    assert record["counts"] == {"maps": 2, "kept": 0, "failures": 0} and record["earlier_runs"] == []
    found, expected = (
        pd.read_csv(path / "attribution_statistics.csv") for path in (made, tmp_path / "expected")
    )
    pd.testing.assert_frame_equal(found[SEED_COLUMNS], expected[SEED_COLUMNS], rtol=1e-4)


def test_a_touched_or_moved_scan_is_the_same_scan(maps_only, finished, no_network):
    os.utime(finished.scans[0], ns=(0, 0))
    moved = finished.scans[2].parent.parent / finished.scans[2].name
    finished.scans[2].rename(moved)
    finished.table.write_text(finished.table.read_text().replace("TLE/12_1.pkl", "12_1.pkl"))
    assert run(finished) == 0
    sidecars = finished.output.rglob("*_attributions.json")
    places = {path.name: json.loads(path.read_text())["source"]["path"] for path in sidecars}
    assert places["12_saliency_attributions.json"] == str(moved) and all(map(os.path.isfile, places.values()))


def test_other_slices_are_drawn_from_the_arrays(finished, no_network, monkeypatch, tmp_path):
    before = contents(finished.output)
    assert run(finished, "--key_slices", "3", "7", "--no_nifti") == 0
    after = contents(finished.output)
    slices = {name for name in after if "slice_" in name}
    assert {int(name.split("slice_")[1].split(".")[0]) for name in slices} == {2, 3, 5, 7}
    unchanged = [name for name in before if name.endswith((".npy", ".gz", "slice_2.png"))]
    assert all(before[name] == after[name] for name in unchanged)
    finished.output.rename(tmp_path / "redrawn")
    monkeypatch.undo()
    assert run(finished, "--key_slices", "3", "7") == 0
    fresh = contents(finished.output)
    pictures = [name for name in fresh if re.match(r"(saliency|gradient_shap)/.*png", name)]
    assert len(pictures) == 6 * 4
    for name in pictures:  # the same shapes; pixels may differ where a rounding crosses a colour's edge
        assert abs(len(fresh[name]) - len(after[name])) < 0.02 * len(fresh[name])


def test_maps_made_in_another_way_are_not_overwritten_unasked(maps_only, finished, capsys):
    before = contents(finished.output)
    assert run(finished, "--noise_std", "0.2", "--baseline", "background") == 2
    error = capsys.readouterr().err
    assert "holds 3 maps that were made in another way" in error
    assert "noise_std was 0.1, now 0.2" in error and "--overwrite" in error
    assert contents(finished.output) == before
    assert run(finished, "--noise_std", "0.2", "--key_slices", "2", "--overwrite") == 0
    after = contents(finished.output)
    name = "gradient_shap/sub-A/sub-A_gradient_shap_attributions.npy"
    assert after[name] != before[name]
    # a picture of the earlier map must not stay beside the new one; the other method's may
    assert not array_path(finished, "gradient_shap").with_name("sub-A_gradient_shap_slice_5.png").exists()
    assert array_path(finished).with_name("sub-A_saliency_slice_5.png").exists()


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_another_programs_files_are_never_overwritten(maps_only, run_folder, more, capsys):
    theirs = [array_path(run_folder), run_folder.output / "tables/failures.csv"]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_text("theirs")
    assert run(run_folder, *more) == 2
    error = capsys.readouterr().err
    assert "saliency, tables/failures.csv. Choose another --output_dir" in error
    assert {run_folder.output / name for name in file_names(run_folder.output)} == set(theirs)
    assert all(path.read_text() == "theirs" for path in theirs)


def test_a_report_of_damaged_maps_names_them(finished, capsys):
    path = array_path(finished)
    os.truncate(path, 1000)
    options = ["--output_dir", str(finished.output), "--report_only", "--workers", "0", "--key_slices", "2"]
    assert script.main(options) == 0
    named = f"1 map with a record, but with a file that is missing.* left out .*{path.name} has 1000 of"
    assert re.search(named, capsys.readouterr().err)
    assert re.search(named, (finished.output / "report.html").read_text())
    (finished.output / "tables/failures.csv").write_bytes(b"\x89PNG")
    assert script.main(options) == 2
    assert "failures.csv: is not as this program wrote it" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["no sidecar", "half a sidecar", "half an array", "NaN", "no picture"])
def test_a_map_that_is_not_whole_is_made_again(maps_only, finished, finished_once, damage):
    path = array_path(finished)
    sidecar = path.with_suffix(".json")
    if damage == "no sidecar":
        sidecar.unlink()
    elif damage == "half a sidecar":
        os.truncate(sidecar, 300)
    elif damage == "half an array":
        os.truncate(path, 1000)
    elif damage == "NaN":
        np.save(path, np.full_like(np.load(path), np.nan))
    else:
        path.with_name("sub-A_saliency_slice_2.png").unlink()
    (path.parent / ".left.123.mri-saliency.part").write_bytes(b"half")
    assert run(finished) == 0
    expected = finished_once / "maps"
    assert file_names(finished.output) == file_names(expected)
    assert_same_maps(finished.output, expected)
    assert json.loads((finished.output / "run.json").read_text())["counts"]["maps"] <= 1


def test_a_scans_map_is_the_same_however_it_is_run(maps_only, finished):
    """In other batches, another order, other company, with workers, and after an interruption."""
    reference = finished.output

    def made(name, *more, rows=slice(None)):
        table = pd.read_csv(finished.table)
        path = finished.table.with_name(f"{name}.csv")
        table.iloc[rows].to_csv(path, index=False)
        output = reference.with_name(name)
        options = finished.options(*METHODS, *QUICK, *more)
        options[options.index("--csv_path") + 1] = str(path)
        options[options.index("--output_dir") + 1] = str(output)
        assert script.main(options) == 0
        return output

    assert_same_maps(made("batches", "--batch_size", "7"), reference)
    assert_same_maps(made("reversed", rows=slice(None, None, -1)), reference)
    assert_same_maps(made("workers", "--workers", "2"), reference)
    output = made("alone", rows=slice(1, 2))
    for method in ("saliency", "gradient_shap"):
        alone = np.load(output / method / "sub-B" / f"sub-B_{method}_attributions.npy")
        assert are_close(alone, np.load(array_path(finished, method, "sub-B")))
    shutil.rmtree(output / "saliency")
    output.rename(reference.with_name("again"))
    assert_same_maps(made("again"), reference)
