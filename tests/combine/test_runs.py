"""Runs that cannot be combined are refused, with what was expected and found."""

import json
import shutil

import numpy as np
import pytest

from mri_saliency.combine.runs import read_runs, shared_methods
from mri_saliency.errors import UserError
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.lock import locked

from ..made_cohort import COHORT_METHODS, SCANS


def edit(path, **changes):
    """Change entries of a JSON file; a name with two underscores is one inside another."""
    content = json.loads(path.read_text())
    for name, value in changes.items():
        *outer, last = name.split("__")
        inside = content
        for part in outer:
            inside = inside[part]
        inside[last] = value
    path.write_text(json.dumps(content))


def edit_records(root, **changes):
    for path in root.rglob("*_attributions.json"):
        edit(path, **changes)


def other_scans(root, **of_run):
    for index, path in enumerate(root.rglob("*_attributions.json")):
        edit(path, source__sha256=f"{index:064}")
    edit(root / "run.json", **of_run)


def roots_of(runs):
    return [run.folder.root for run in runs]


def test_runs_and_what_they_hold(two_runs, capsys):
    for run, name in zip(two_runs, ("one", "two"), strict=True):
        assert run.name.endswith(name) and len(run.maps) == 2 * len(SCANS) and len(run.scans) == len(SCANS)
        assert str(run.table) == "/data/val.csv" and set(run.recipes) == set(COHORT_METHODS)
    assert shared_methods(two_runs) == list(COHORT_METHODS)
    assert capsys.readouterr().err == ""


def test_a_run_may_be_given_twice(two_runs, tmp_path, capsys):
    one, _ = roots_of(two_runs)
    runs = read_runs([one, one], OutputFolder(tmp_path / "combined"))
    assert [run.name for run in runs] == [str(one), f"{one} (2)"]
    assert f"{one}: is given 2 times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "run.json").unlink(), "no run.json of a run there"),
        (lambda root: [path.unlink() for path in root.rglob("*.npy")], "has no finished map"),
        (lambda root: edit(root / "run.json", checkpoint__sha256="1" * 64), "has no finished map"),
        (lambda root: other_scans(root, options__csv_path="/elsewhere/val.csv"), "is of another cohort than"),
        (lambda root: edit_records(root, fingerprint__target=1), r"class \(--target\) is 0 and 1"),
        (lambda root: edit_records(root, fingerprint__explains="log-odds"), "unit is logit and log-odds"),
        (lambda root: edit_records(root, fingerprint__first_slice=9), r"\(--first_slice\) is 10 and 9"),
        (lambda root: edit(root / "run.json", checkpoint__n_logits=3), "number of logits is 1 and 3"),
        (lambda root: edit(root / "run.json", checkpoint__n_slices=8), "number of slices is 9 and 8"),
    ],
)
def test_runs_that_do_not_fit_are_refused(two_runs, tmp_path, change, message):
    roots = roots_of(two_runs)
    change(roots[1])
    with pytest.raises(UserError, match=message):
        read_runs(roots, OutputFolder(tmp_path / "combined"))


def test_one_run_and_an_output_folder_among_the_runs_are_refused(two_runs, tmp_path):
    roots = roots_of(two_runs)
    with pytest.raises(UserError, match="expected the folders of two runs or more, found 1"):
        read_runs(roots[:1], OutputFolder(tmp_path / "combined"))
    (tmp_path / "link").symlink_to(roots[1])
    with pytest.raises(UserError, match="is to be combined, and is --output_dir"):
        read_runs(roots, OutputFolder(tmp_path / "link"))


def test_folds_without_a_common_scan_are_one_cohort_if_their_tables_lie_together(two_runs, tmp_path, capsys):
    roots = roots_of(two_runs)
    other_scans(roots[1], options__csv_path="val_2.csv", status="interrupted")
    assert len(read_runs(roots, OutputFolder(tmp_path / "combined"))) == 2
    error = capsys.readouterr().err
    assert "no scan was explained in two runs" in error and "is not finished (status interrupted)" in error


def test_runs_that_are_written_are_refused_and_damaged_maps_named(two_runs, tmp_path, capsys):
    roots = roots_of(two_runs)
    with locked(roots[1]), pytest.raises(UserError, match="another run writes there"):
        read_runs(roots, OutputFolder(tmp_path / "combined"))
    array = two_runs[1].folder.array("saliency", "sub-A")
    np.save(array, np.full_like(np.load(array), np.nan))
    runs = read_runs(roots, OutputFolder(tmp_path / "combined"))
    assert [len(run.maps) for run in runs] == [2 * len(SCANS), 2 * len(SCANS) - 1]
    error = capsys.readouterr().err
    assert f"{roots[1]}: 1 map with a record" in error and "sub-A_saliency_attributions.npy" in error


def test_scans_that_have_moved_are_found(two_runs, finished_maps, tmp_path):
    roots = roots_of(two_runs)
    moved = [shutil.copy(path, tmp_path / path.name) for path in (finished_maps.parent / "scans").iterdir()]
    for root in roots:
        edit_records(root, source__path="/gone")
    runs = read_runs(roots, OutputFolder(tmp_path / "combined"), moved)
    assert {record.source.path for run in runs for record in run.maps.values()} == set(map(str, moved))


def test_methods_must_be_shared(two_runs, tmp_path, capsys):
    roots = roots_of(two_runs)
    shutil.rmtree(roots[1] / COHORT_METHODS[0])
    runs = read_runs(roots, OutputFolder(tmp_path / "combined"))
    assert shared_methods(runs) == [COHORT_METHODS[1]]
    assert f"{COHORT_METHODS[0]}: only {roots[0]} has maps by it" in capsys.readouterr().err
    shutil.rmtree(roots[0] / COHORT_METHODS[1])
    runs = read_runs(roots, OutputFolder(tmp_path / "combined"))
    with pytest.raises(UserError, match="expected a method of two runs or more, found none"):
        shared_methods(runs)
