"""The output folder tells people and BIDS tools what it is, and the BIDS validator finds no error."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.attribution.baselines import AveragedScan, Baseline, HealthyMean
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES, write_dictionary
from mri_saliency.output.files import write_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, scan_uri
from mri_saliency.run.plan import describe_difference
from mri_saliency.run.run_record import prepare_folder

from ..runs.outputs import run
from .records import record

# pip puts it next to Python, which need not be on the path
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
VALIDATOR = shutil.which("bids-validator-deno", path=PATH)
needs_validator = pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
ZERO = Baseline("zero", None)


@pytest.fixture
def folder(tmp_path):
    """An output folder next to the folder of the cohort's table, which is a link to where it really is."""
    (tmp_path / "disk" / "my data").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "my data")
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    return folder


def describe(folder):
    prepare_folder(folder, ZERO, folder.root.parent / "data")
    return json.loads(folder.dataset_description.read_text())


def errors(folder):
    """Return the validator's errors: its codes and the files."""
    done = subprocess.run(
        [VALIDATOR, "--format", "json", folder], capture_output=True, text=True, timeout=120
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    found = [(issue["code"], issue.get("location")) for issue in issues if issue["severity"] == "error"]
    assert (done.returncode == 0) == (not found), done.stderr
    return found


def write_everything(folder):
    """Write a file of each kind, by the names of a run's."""
    for method, subject_id in (("saliency", "sub-A"), ("integrated_gradients", "12_1")):
        folder.open_map(method, subject_id, replace=True)
        paths = [folder.nifti(method, subject_id), folder.summary_figure(method, subject_id)]
        paths += [folder.array(method, subject_id), folder.slice_figure(method, subject_id, 40)]
        for path in paths:
            path.write_bytes(b"content")
        folder.write_record(record(subject_id, method))
    folder.open_groups("saliency")
    for name in ("TLE_minus_HC_neg_log10_p.nii.gz", "HC.png"):
        folder.group_map("saliency", name).write_bytes(b"content")
    for name in TABLES:
        (folder.root / f"{name}.csv").write_text("method\nsaliency\n")
        write_dictionary(folder, name)
    for path in (folder.summary, folder.mean_scan, folder.report, folder.references):
        path.write_bytes(b"content")
    write_json(folder.run_record, {"status": "done"})


@needs_validator
def test_the_validator_finds_no_error_in_a_folder_with_everything(folder):
    describe(folder)
    write_everything(folder)
    assert errors(folder.root) == []


@needs_validator
def test_the_validator_finds_no_error_after_a_run(run_folder):
    assert run(run_folder) == 0
    assert errors(run_folder.output) == []


@needs_validator
def test_the_validator_reads_the_folder(folder):
    """The test before would pass on a validator that ignores all."""
    describe(folder)
    write_everything(folder)
    (folder.root / ".bidsignore").unlink()
    assert {code for code, _ in errors(folder.root)} >= {"NOT_INCLUDED"}
    folder.dataset_description.write_text("{}")
    assert "JSON_KEY_REQUIRED" in {code for code, _ in errors(folder.root)}


def test_the_description_has_no_absolute_path(folder):
    description = describe(folder)
    assert str(folder.root.parent) not in folder.dataset_description.read_text()
    assert description["DatasetLinks"] == {"source": "../disk/my%20data"}
    assert description["SourceDatasets"] == [{"URL": "bids:source:"}]
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Version"]


def test_sources_lead_from_the_dataset_to_the_scan(folder):
    """As BIDS resolves them: the link from the folder, then the path from the link."""
    source = folder.root.parent / "data"
    scan = source / "HC" / "sub A#1.nii"
    scan.parent.mkdir()
    scan.write_text("a scan")
    uri = scan_uri(scan, source)
    assert uri == "bids:source:HC/sub%20A%231.nii"
    link = describe(folder)["DatasetLinks"]["source"].replace("%20", " ")
    path = uri.removeprefix("bids:source:").replace("%20", " ").replace("%23", "#")
    assert (folder.root / link / path).read_text() == "a scan"
    assert scan_uri(source.parent / "other" / "x.nii", source) == "bids:source:../other/x.nii"


def test_a_sidecar_has_uris_from_the_source_folder():
    content = record().to_json(Path("/"))  # the record's scan is /data/sub-A.nii
    assert content["Sources"] == [content["SpatialReference"]] == ["bids:source:data/sub-A.nii"]
    assert record().to_json()["Sources"] == ["bids:source:sub-A.nii"]


def test_sources_of_an_earlier_version_do_not_matter_on_resume(tmp_path):
    scan = tmp_path / "sub-A.nii"
    before = record()
    content = before.to_json() | {"Sources": [scan.as_uri()], "SpatialReference": scan.as_uri()}
    found = MapRecord.from_json(json.loads(json.dumps(content)))
    assert found == before
    assert describe_difference(found, before.recipe, scan) is None


def test_the_readme_names_what_is_in_the_folder(folder):
    describe(folder)
    readme = (folder.root / "README").read_text()
    for word in ("attributions.npy", "attributions.nii.gz", "attributions.json", "summary.png"):
        assert word in readme
    for word in ("group_maps/", "_neg_log10_p", "report.html", "references.bib", "run.json", ".bidsignore"):
        assert word in readme
    assert max(map(len, readme.splitlines())) <= 100


def test_every_method_is_ignored(folder):
    describe(folder)
    ignored = (folder.root / ".bidsignore").read_text().splitlines()
    assert {f"/{method}" for method in METHODS} < set(ignored)


@pytest.mark.parametrize("name", ["README", ".bidsignore"])
def test_a_users_own_file_is_kept_and_an_older_runs_replaced(folder, name):
    path = folder.root / name
    path.write_text("mine\n")
    describe(folder)
    assert path.read_text() == "mine\n"
    path.unlink()
    describe(folder)
    made = path.read_text()
    path.write_text(made + "of an earlier version\n")
    describe(folder)
    assert path.read_text() == made


def test_the_mean_control_is_written(folder):
    scans = tuple(AveragedScan(f"/{name}.nii", name, name * 64) for name in "ab")
    healthy = HealthyMean(np.array([2.0, 4.0]), scans, 10)
    prepare_folder(folder, Baseline(healthy.identity, healthy.mean, healthy), folder.root.parent)
    assert np.load(folder.hc_mean).tolist() == [1, 2]
    content = json.loads(folder.hc_mean_scans.read_text())
    assert HealthyMean.from_json(content, np.load(folder.hc_mean)).scans == scans
