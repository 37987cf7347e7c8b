"""A run survives what happens to it: it loses nothing, and a fault costs what it must."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.attribution.explainer import Explainer

from .outputs import ONE_METHOD, TINY_SCRIPT, assert_same_output, run

# --- a crash at every write ---


class Crash(BaseException):
    """The process is gone: nothing catches this."""


def crash_after(n_replacements, options):
    """Run until so many files have appeared under their names; return whether the run ended before."""
    with pytest.MonkeyPatch.context() as patch:
        left = n_replacements

        def crashing(change):
            def changed(path, *args, **keywords):
                nonlocal left
                if left == 0:
                    raise Crash
                left -= change is replace
                return change(path, *args, **keywords)

            return changed

        replace = Path.replace
        for name in ("replace", "unlink", "mkdir", "write_bytes"):
            patch.setattr(Path, name, crashing(getattr(Path, name)))
        try:
            script.main(options)
        except Crash:
            return False
    return True


def assert_every_crash_is_recovered_from(options, output, expected):
    """Crash at every replacement of a file in turn, each time resume, and compare; return how many."""
    n = 0
    while not crash_after(n, options):
        assert script.main(options) == 0
        assert_same_output(output, expected)
        yield n
        n += 1


def test_a_crash_at_any_write_of_a_map_is_recovered_from(maps_only, run_folder, tmp_path):
    options = run_folder.options(*ONE_METHOD, "--max_samples", "2", "--key_slices", "5")
    expected = tmp_path / "undisturbed"
    assert script.main(options) == 0
    run_folder.output.rename(expected)
    crashes = 0
    for _ in assert_every_crash_is_recovered_from(options, run_folder.output, expected):
        shutil.rmtree(run_folder.output)
        crashes += 1
    assert crashes >= 2 * 5 + 5  # five files a map, and run.json at each step, and the tables


def test_a_crash_at_any_write_of_the_cohort_is_recovered_from(finished, tmp_path):
    for maps_of_others in ("gradient_shap", "saliency/sub-B", "saliency/12"):
        shutil.rmtree(finished.output / maps_of_others)
    options = ["--output_dir", str(finished.output), "--report_only", "--workers", "0", "--key_slices", "2"]
    assert script.main(options) == 0
    expected = tmp_path / "undisturbed"
    shutil.copytree(finished.output, expected)
    crashes = sum(1 for _ in assert_every_crash_is_recovered_from(options, finished.output, expected))
    assert crashes >= 6


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_run_that_is_really_killed_ends_as_if_undisturbed(run_folder, tmp_path):
    """SIGKILLs of the whole process group, at the first and at the second finished map."""
    options = run_folder.options(*ONE_METHOD, "--key_slices", "5")
    assert script.main(options) == 0
    expected = tmp_path / "undisturbed"
    run_folder.output.rename(expected)
    for n_maps, workers in ((1, 1), (2, 0)):
        command = [sys.executable, str(TINY_SCRIPT), *options, "--workers", str(workers)]
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        while len(list(run_folder.output.rglob("*_attributions.json"))) < n_maps:
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert script.main(options) == 0
    assert_same_output(run_folder.output, expected)


# --- interrupts ---


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_signal_ends_the_run_within_seconds(run_folder):
    options = run_folder.options("--methods", "saliency", "smooth_grad", "--n_samples", "5000")
    command = [sys.executable, str(TINY_SCRIPT), *options, "--batch_size", "1", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(run_folder.output.rglob("*_attributions.json")):
        assert process.poll() is None
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    error = process.communicate()[1]
    assert time.monotonic() - began < 20
    assert process.returncode == 130
    assert "To continue: python" in error and "Traceback" not in error
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    n_maps = len(list(run_folder.output.rglob("*_attributions.json")))
    assert len(table) == n_maps > 0
    record = json.loads((run_folder.output / "run.json").read_text())
    assert record["status"] == "interrupted" and record["counts"]["maps"] == n_maps
    assert not list(run_folder.output.rglob("*.part"))


# --- the disk ---


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_ends_the_run_with_one_error(maps_only, run_folder, monkeypatch, capsys, workers):
    if workers:  # a process of its own has a disk of its own: here the second map's folder cannot be made
        assert script.main(run_folder.options(*ONE_METHOD, "--max_samples", "1")) == 0
        blocked = run_folder.output / "saliency" / "sub-B"
        blocked.write_text("a file")
        assert run(run_folder, "--workers", "1") == 1
        blocked.unlink()
    else:
        fsync, n_synced = os.fsync, []

        def full_disk(descriptor):
            n_synced.append(descriptor)
            if len(n_synced) > 7:  # two maps are whole by then
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full_disk)
            assert run(run_folder) == 1
        assert len(list(run_folder.output.rglob("*_attributions.json"))) == 2
    error = capsys.readouterr().err
    assert error.count("cannot be written") == 1 and "Traceback" not in error
    assert not list(run_folder.output.rglob("*.part"))
    assert run(run_folder) == 0


def test_a_folder_deleted_meanwhile_ends_the_run(maps_only, run_folder, monkeypatch, capsys):
    attribute = Explainer.attribute

    def delete(self, method, batch):
        shutil.rmtree(run_folder.output)
        return attribute(self, method, batch)

    monkeypatch.setattr(Explainer, "attribute", delete)
    assert run(run_folder) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert not run_folder.output.exists()
