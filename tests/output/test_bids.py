"""The output folder tells people and BIDS tools what it is, and the BIDS validator finds no error."""

import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from mri_saliency.methods import METHODS
from mri_saliency.output.bids import describe_dataset, write_dictionary
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_json, write_text
from mri_saliency.output.folder import OutputFolder

from ..made_cohort import made_record

# pip puts it next to Python, which need not be on the path
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
VALIDATOR = shutil.which("bids-validator-deno", path=PATH)
needs_validator = pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")


@pytest.fixture
def folder(tmp_path):
    """An output folder that is described."""
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    describe_dataset(folder)
    return folder


def errors(folder):
    """Return the codes of the validator's errors."""
    done = subprocess.run(
        [VALIDATOR, "--format", "json", folder], capture_output=True, text=True, timeout=120
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    found = {issue["code"] for issue in issues if issue["severity"] == "error"}
    assert (done.returncode == 0) == (not found), done.stderr
    return found


def write_everything(folder):
    """Write a file of each kind, by the names of a run's."""
    for method, subject_id in product(METHODS, ("sub-A", "12_1")):
        folder.open_map(method, subject_id, replace=True)
        of_map = (folder.nifti, folder.array, folder.summary_figure, folder.thumbnail, folder.viewer)
        for path in (file(method, subject_id) for file in of_map):
            path.write_bytes(b"content")
        folder.write_record(made_record(subject_id, method))
    folder.open_groups("saliency")
    for name in ("TLE_minus_HC_neg_log10_p_fwe.nii.gz", "HC.png"):
        folder.group_map("saliency", name).write_bytes(b"content")
    for name in TABLES:
        write_text(folder.table(name), "method\nsaliency\n")
        write_dictionary(folder, name)
    for path in (folder.summary, folder.mean_scan, folder.report, folder.references, folder.atlas_viewer):
        write_text(path, "content")
    write_text(folder.cluster_figure, "content")
    write_json(folder.run_record, {"status": "done"})


@needs_validator
def test_the_validator_finds_no_error_in_a_folder_with_everything(folder):
    write_everything(folder)
    assert not errors(folder.root)


@needs_validator
def test_the_validator_finds_no_error_after_a_run(finished_once):
    assert not errors(finished_once / "maps")


@needs_validator
def test_the_validator_reads_the_folder(folder):
    """The tests before would pass on a validator that ignores all."""
    write_everything(folder)
    (folder.root / ".bidsignore").unlink()
    assert "NOT_INCLUDED" in errors(folder.root)
    (folder.root / "dataset_description.json").write_text("{}")
    assert "JSON_KEY_REQUIRED" in errors(folder.root)


@pytest.mark.parametrize("name", ["README", ".bidsignore"])
def test_a_users_own_file_is_kept_and_an_older_runs_replaced(folder, name):
    path = folder.root / name
    made = path.read_text()
    for text, expected in (("mine\n", "mine\n"), (made + "of an earlier version\n", made)):
        path.write_text(text)
        describe_dataset(folder)
        assert path.read_text() == expected
