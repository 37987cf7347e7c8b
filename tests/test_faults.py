"""A run survives what happens to it: it resumes, loses nothing, and a fault costs what it must."""

import errno
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import generate_saliency_maps as script
from mri_saliency import outputs
from mri_saliency.attribution import Explainer
from mri_saliency.errors import UserError
from mri_saliency.machine import Workers

from .conftest import DIAGNOSIS_COLUMN, brain, lively_network, make_run, save_checkpoint, save_scan
from .worker_jobs import double, kill_worker, nothing

SCRIPT = Path(script.__file__)
QUICK = ("--n_steps", "4", "--n_samples", "2", "--batch_size", "1", "--key_slices", "40", "60")
METHODS = ("--methods", "saliency", "gradient_shap")


def run(run_folder, *more):
    return script.main(run_folder.options(*METHODS, *QUICK, *more))


def array_path(run_folder, method="saliency", subject="sub-A"):
    return run_folder.output / method / subject / f"{subject}_{method}_attributions.npy"


def contents(folder):
    """Everything in an output folder, without what tells of a run: times, run.json, report.html."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name in ("run.json", "report.html"):
            continue
        if name.endswith("attributions.json"):
            content = json.loads(path.read_text())
            del content["statistics"]["seconds"]
            found[name] = content
        elif name.endswith(".csv"):
            found[name] = pd.read_csv(path).drop(columns="seconds", errors="ignore").to_csv()
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(Explainer, "attribute", refuse)
    monkeypatch.setattr(Explainer, "logits", refuse)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory, network):
    folder = tmp_path_factory.mktemp("finished") / "run"
    made = make_run(folder, network)
    assert run(made) == 0
    shutil.copytree(folder, folder.with_name("kept"))
    return made


@pytest.fixture
def finished(finished_once):
    """A finished run, as it was when it finished."""
    folder = finished_once.table.parent
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("kept"), folder)
    return finished_once


# --- Resume -------------------------------------------------------------------------------------


def test_the_same_command_again_costs_no_network_pass(finished, no_network, capsys):
    before = contents(finished.output)
    assert run(finished) == 0
    assert contents(finished.output) == before
    assert "0 maps in" in capsys.readouterr().out
    record = json.loads((finished.output / "run.json").read_text())
    assert record["counts"] == {"maps": 0, "kept": 6, "failures": 0}
    assert [earlier["counts"]["maps"] for earlier in record["earlier_runs"]] == [6]


def test_a_touched_or_moved_scan_is_the_same_scan(finished, no_network):
    os.utime(finished.scans[0], ns=(0, 0))
    moved = finished.scans[2].parent.parent / finished.scans[2].name
    finished.scans[2].rename(moved)
    table = finished.table.read_text()
    finished.table.write_text(table.replace(str(finished.scans[2]), str(moved)))
    assert run(finished) == 0


def test_other_methods_run_alone_and_the_table_describes_all(run_folder, monkeypatch):
    asked = []
    attribute = Explainer.attribute
    monkeypatch.setattr(Explainer, "attribute", lambda s, m, b: asked.append(m) or attribute(s, m, b))
    for method in ("saliency", "input_x_gradient"):
        assert script.main(run_folder.options("--methods", method, *QUICK)) == 0
    assert script.main(run_folder.options("--methods", "saliency", "input_x_gradient", *QUICK)) == 0
    assert asked == ["saliency"] * 3 + ["input_x_gradient"] * 3
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["method"].tolist() == ["saliency", "input_x_gradient"] * 3
    assert table["sample_idx"].tolist() == [0, 0, 1, 1, 2, 2]


def test_other_slices_are_drawn_from_the_arrays(finished, monkeypatch, tmp_path):
    before = contents(finished.output)
    with monkeypatch.context() as patch:
        patch.setattr(Explainer, "attribute", lambda *_: pytest.fail("the network was asked"))
        assert run(finished, "--key_slices", "50", "70", "--no_nifti") == 0
    after = contents(finished.output)
    slices = {name for name in after if "slice_" in name}
    assert {int(name.split("slice_")[1].split(".")[0]) for name in slices} == {40, 50, 60, 70}
    unchanged = [name for name in before if name.endswith((".npy", ".gz", "slice_40.png"))]
    assert all(before[name] == after[name] for name in unchanged)
    assert finished.output.rename(tmp_path / "redrawn")
    assert run(finished, "--key_slices", "50", "70") == 0
    afresh = contents(finished.output)
    pictures = [name for name in afresh if name.endswith(".png")]
    assert len([name for name in pictures if not name.startswith("group_maps")]) == 1 + 6 * 3
    assert all(afresh[name] == after[name] for name in pictures)


def test_maps_made_otherwise_are_not_overwritten_unasked(finished, capsys):
    before = contents(finished.output)
    assert run(finished, "--noise_std", "0.2", "--baseline", "hc_mean") == 2
    error = capsys.readouterr().err
    assert "3 maps are there" in error and "noise_std was 0.1, now 0.2" in error and "--overwrite" in error
    assert contents(finished.output) == before
    assert run(finished, "--noise_std", "0.2", "--key_slices", "40", "--overwrite") == 0
    after = contents(finished.output)
    name = "gradient_shap/sub-A/sub-A_gradient_shap_attributions.npy"
    assert after[name] != before[name]
    # a picture of the earlier map must not stay beside the new one; the other method's may
    assert not array_path(finished, "gradient_shap").with_name("sub-A_gradient_shap_slice_60.png").exists()
    assert array_path(finished).with_name("sub-A_saliency_slice_60.png").exists()


def test_another_scan_or_checkpoint_is_noticed(finished, capsys):
    save_scan(finished.scans[0], brain(seed=9))
    assert run(finished) == 2
    assert "the scan's file has changed" in capsys.readouterr().err
    save_checkpoint(finished.model, lively_network(seed=3))
    assert run(finished) == 2
    assert "checkpoint was" in capsys.readouterr().err


def test_another_programs_maps_are_not_overwritten_unasked(run_folder, capsys):
    path = array_path(run_folder)
    path.parent.mkdir(parents=True)
    np.save(path, np.ones(3))
    assert run(run_folder) == 2
    assert "another program made it" in capsys.readouterr().err
    assert np.load(path).shape == (3,)
    assert run(run_folder, "--overwrite") == 0


@pytest.mark.parametrize("damage", ["no sidecar", "half a sidecar", "half an array", "no picture"])
def test_a_map_that_is_not_whole_is_made_again(finished, damage):
    before = contents(finished.output)
    path = array_path(finished)
    sidecar = path.with_suffix(".json")
    if damage == "no sidecar":
        sidecar.unlink()
    elif damage == "half a sidecar":
        sidecar.write_bytes(sidecar.read_bytes()[:300])
    elif damage == "half an array":
        os.truncate(path, 1000)
    else:
        path.with_name("sub-A_saliency_slice_40.png").unlink()
    (path.parent / ".left.123.part").write_bytes(b"half")
    assert run(finished) == 0
    assert contents(finished.output) == before


def run_and_exit(options):
    os.setpgrp()
    os.close(1)
    os.close(2)
    os.open(os.devnull, os.O_WRONLY), os.open(os.devnull, os.O_WRONLY)
    os._exit(script.main(options))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_at_any_moment_it_ends_as_if_undisturbed(run_folder, monkeypatch):
    # NumPy on one thread, as in workers, so that the comparison can be byte by byte
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "mri_saliency.figures", "mri_saliency.measures"])

    def start(workers, output):
        options = run_folder.options("--methods", "saliency", *QUICK)
        options += ["--workers", str(workers), "--max_samples", "2", "--no_nifti", "--key_slices", "50"]
        options[options.index("--output_dir") + 1] = str(output)
        process = context.Process(target=run_and_exit, args=(options,))
        process.start()
        return process

    undisturbed = run_folder.output.with_name("undisturbed")
    found, durations_s = [], {}
    for workers in (0, 1, 0):  # the first starts the fork server too
        began = time.monotonic()
        process = start(workers, undisturbed)
        process.join()
        durations_s[workers] = time.monotonic() - began
        assert process.exitcode == 0
        found.append(contents(undisturbed))
        shutil.rmtree(undisturbed)
    expected = found[0]
    assert found == [expected] * 3

    moments = random.Random(0)
    for kill in range(20):
        workers = int(kill % 10 == 0)
        process = start(workers, run_folder.output)
        process.join(moments.uniform(0.1, 0.9) * durations_s[workers])
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:  # it was done: begin anew
            assert contents(run_folder.output) == expected
            shutil.rmtree(run_folder.output)
    process = start(0, run_folder.output)
    process.join()
    assert process.exitcode == 0
    assert contents(run_folder.output) == expected


# --- Interrupts ---------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_run_within_seconds(run_folder, number):
    options = run_folder.options("--methods", "saliency", "smooth_grad", "--n_samples", "80")
    workers = str(int(number == signal.SIGTERM))
    command = [sys.executable, str(SCRIPT), *options, "--batch_size", "1", "--workers", workers]
    # where the tests themselves run in the background of a shell, SIGINT is ignored, and that is inherited
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    while not list(run_folder.output.rglob("*_attributions.json")):
        assert process.poll() is None
        time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(number)
    error = process.communicate()[1]
    assert time.monotonic() - began < 20
    assert process.returncode == 130
    assert "To continue: python" in error and "Traceback" not in error
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert len(table) == len(list(run_folder.output.rglob("*_attributions.json"))) > 0
    assert json.loads((run_folder.output / "run.json").read_text())["status"] == "interrupted"
    assert not list(run_folder.output.rglob("*.part"))


# --- The device ---------------------------------------------------------------------------------


def test_a_device_that_cannot_take_the_network_is_named(run_folder, monkeypatch, capsys):
    to = torch.nn.Module.to

    def full(module, *device, **form):
        if device:
            raise torch.OutOfMemoryError("out of memory")
        return to(module, **form)

    monkeypatch.setattr("torch.nn.Module.to", full)
    assert run(run_folder) == 2
    assert "error: --device: cpu cannot be used now (out of memory)" in capsys.readouterr().err


def test_checks_that_fail_leave_the_report(run_folder, monkeypatch, capsys):
    def fail(*_):
        raise UserError("the device has too little memory")

    monkeypatch.setattr("mri_saliency.checks.check_maps", fail)
    assert run(run_folder, "--check_maps", "2") == 1
    assert "error: --check_maps: the device has too little memory" in capsys.readouterr().err
    assert (run_folder.output / "report.html").exists()
    assert json.loads((run_folder.output / "run.json").read_text())["status"] == "interrupted"


# --- The disk -----------------------------------------------------------------------------------


def test_a_full_disk_ends_the_run_with_one_error(run_folder, monkeypatch, capsys):
    fsync, n_synced = os.fsync, []

    def full_disk(descriptor):
        n_synced.append(descriptor)
        if len(n_synced) > 7:  # two maps are whole by then
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        assert run(run_folder) == 1
    error = capsys.readouterr().err
    assert error.count("cannot be written (No space left on device)") == 1 and "Traceback" not in error
    assert len(list(run_folder.output.rglob("*_attributions.json"))) == 2
    assert not list(run_folder.output.rglob("*.part"))
    assert run(run_folder) == 0


def test_a_folder_deleted_meanwhile_ends_the_run(run_folder, monkeypatch, capsys):
    attribute = Explainer.attribute

    def delete(self, method, batch):
        shutil.rmtree(run_folder.output)
        return attribute(self, method, batch)

    monkeypatch.setattr(Explainer, "attribute", delete)
    assert run(run_folder) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert not run_folder.output.exists()


def test_a_small_disk_is_warned_of(run_folder, monkeypatch, capsys):
    monkeypatch.setattr(outputs.OutputFolder, "free_bytes", lambda _: 10_000_000)
    assert run(run_folder) == 0
    assert "the new maps need about 0.1 GB, and 0.0 GB are free" in capsys.readouterr().err


# --- Scans and workers --------------------------------------------------------------------------


def spoil(path, fault):
    content = path.read_bytes()
    path.unlink()
    if fault == "a folder":
        path.mkdir()
    elif fault == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "another shape":
        save_scan(path, brain((60, 60, 60)))
    elif fault == "not a number":
        save_scan(path, np.full((113, 137, 113), np.nan, np.float32))
    elif fault == "another kind of file":
        path.write_bytes(pickle.dumps({"image": 1}))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing", "no such file"),
        ("a folder", "is a folder"),
        ("truncated", "cannot be read"),
        ("empty", "cannot be read"),
        ("another shape", "coronal slices"),
        ("not a number", "NaN"),
        ("another kind of file", "cannot be read"),
    ],
)
def test_a_bad_scan_costs_only_itself(maps_only, run_folder, fault, reason):
    spoil(run_folder.scans[1], fault)
    assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--no_nifti")) == 1
    failures = pd.read_csv(run_folder.output / "failures.csv")
    assert failures["subject_id"].tolist() == ["sub-B"] and reason in failures["reason"][0]
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["subject_id"].tolist() == ["sub-A", "12"]


def test_a_defect_in_drawing_costs_one_map_and_shows_its_traceback(run_folder, monkeypatch, capsys):
    from mri_saliency import figures

    summary_figure = figures.summary_figure

    def defect(view):
        if view.title.startswith("sub-B"):
            raise ZeroDivisionError("a defect")
        return summary_figure(view)

    monkeypatch.setattr(figures, "summary_figure", defect)
    assert run(run_folder) == 1
    assert len(pd.read_csv(run_folder.output / "failures.csv")) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ten_failures_alike_stop_the_run(run_folder, capsys):
    rows = [{"file": f"/absent/sub-{i:02}.nii", DIAGNOSIS_COLUMN: "HC"} for i in range(30)]
    pd.DataFrame(rows).to_csv(run_folder.table, index=False)
    assert run(run_folder) == 1
    error = capsys.readouterr().err
    assert "stopped: the first 10 scans all failed for the same reason" in error
    assert error.count("failed: sub-") == 10


def test_a_dead_worker_is_replaced(tmp_path):
    with Workers(2, nothing) as workers:
        first = workers.submit(kill_worker, tmp_path / "once", always=False)
        others = [workers.submit(double, i) for i in range(5)]
        assert first.result() == "done"
        assert [work.result() for work in others] == [0, 2, 4, 6, 8]
        deadly = workers.submit(kill_worker, tmp_path / "always", always=True)
        others = [workers.submit(double, i) for i in range(3)]
        with pytest.raises(UserError, match="killed, twice"):
            deadly.result()
        assert [work.result() for work in others] == [0, 2, 4]
        assert workers.submit(double, 21).result() == 42


# --- Hostile input ------------------------------------------------------------------------------


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_hostile_files_and_names_reach_nothing_outside_the_folder(run_folder):
    root = run_folder.output.parent
    marker = root / "attacked"
    hostile = root / "hostile"
    names = ["=cmd|'!A0'_a.npy", "x" * 240 + ".npy", "..\\..\\b.npy", "new\nline_c.npy", "..npy", "-e_f.npy"]
    rows = []
    for index, name in enumerate(names):
        path = save_scan(hostile / str(index) / name, brain(seed=index))
        rows.append({"file": str(path), DIAGNOSIS_COLUMN: "left"})
    attack = hostile / "attack.pkl"
    attack.write_bytes(pickle.dumps({"image": Attack(marker), "label": 1}))
    up = "../" * 30
    rows += [{"file": name, DIAGNOSIS_COLUMN: "HC"} for name in (str(attack), f"{up}etc/passwd", "/dev/zero")]
    pd.DataFrame(rows).to_csv(run_folder.table, index=False)
    outside = {path for path in root.rglob("*")}
    options = run_folder.options("--methods", "saliency", *QUICK, "--no_nifti")
    assert script.main(options) == 1
    made = {path for path in root.rglob("*")} - outside
    assert made and all(path.is_relative_to(run_folder.output) for path in made)
    assert not marker.exists()
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert len(table) == len(names)
    assert table["subject_id"].str.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}").all()
    failures = pd.read_csv(run_folder.output / "failures.csv")
    assert len(failures) == 3 and failures["reason"].str.contains("could run code|unknown kind|no such").all()


# --- torchrun -----------------------------------------------------------------------------------


def torchrun(run_folder, output, *more):
    options = run_folder.options(*METHODS, *QUICK, "--workers", "0")
    options[options.index("--output_dir") + 1] = str(output)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *more]
    return subprocess.Popen([*command, str(SCRIPT), *options], stderr=subprocess.PIPE, text=True)


def close(a, b):
    """Whether two maps agree to 1e-5 of their maximum."""
    return np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def assert_same_maps(folder, expected):
    arrays, there = (
        sorted(path.relative_to(root) for path in root.rglob("*_attributions.npy"))
        for root in (expected, folder)
    )
    assert arrays and arrays == there
    for path in arrays:
        assert close(np.load(folder / path), np.load(expected / path)), path


def test_two_ranks_make_what_one_process_makes(finished):
    finished.scans[0].unlink()
    output = finished.output.with_name("ranks")
    process = torchrun(finished, output)
    error = process.communicate()[1]
    assert process.returncode == 1, error  # one scan failed
    assert pd.read_csv(output / "failures.csv")["subject_id"].tolist() == ["sub-A"] * 2
    assert error.count("6 of 6 maps") == 1
    shutil.rmtree(finished.output / "saliency" / "sub-A")
    shutil.rmtree(finished.output / "gradient_shap" / "sub-A")
    assert_same_maps(output, finished.output)
    found, expected = (pd.read_csv(f / "attribution_statistics.csv") for f in (output, finished.output))
    expected = expected[expected["subject_id"] != "sub-A"].reset_index(drop=True)
    for column in ("subject_id", "method", "sample_idx", "diagnosis"):
        assert found[column].equals(expected[column])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_killed_rank_does_not_lose_the_cohort(finished):
    output = finished.output.with_name("ranks")
    process = torchrun(finished, output, "--max-restarts", "1")
    while not list(output.rglob("*_attributions.json")):
        assert process.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    error = process.communicate()[1]
    assert process.returncode == 0, error
    assert_same_maps(output, finished.output)


# --- The same map, always -----------------------------------------------------------------------


def test_a_scans_map_is_the_same_however_it_is_run(finished):
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
        assert close(alone, np.load(array_path(finished, method, "sub-B")))
    shutil.rmtree(output / "saliency")
    shutil.copy(finished.table, finished.table.with_name("again.csv"))
    output.rename(reference.with_name("again"))
    assert_same_maps(made("again"), reference)
