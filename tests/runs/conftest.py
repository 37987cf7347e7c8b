"""A finished run, made once and copied for each test."""

import shutil

import pytest

from ..conftest import run_in
from .outputs import run


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory, made_run):
    """A finished run; `finished` copies it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(made_run, folder)
    assert run(run_in(folder)) == 0
    return folder


@pytest.fixture
def finished(tmp_path, finished_once):
    """A finished run in a folder of the test's own; its scans are recognised by their content."""
    shutil.copytree(finished_once, tmp_path / "run")
    return run_in(tmp_path / "run")


@pytest.fixture
def maps_only(monkeypatch):
    """Leave out the cohort's chapter, for tests of single maps."""
    monkeypatch.setattr("mri_saliency.describe_cohort", lambda *_: None)
    monkeypatch.setattr("mri_saliency.write_report", lambda *_, **__: [])
