"""torchrun's ranks share a run, and the death of one loses nothing."""

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

from .outputs import TINY_SCRIPT, assert_same_maps

OPTIONS = ("--methods", "saliency", "expected_gradients", "--n_references", "4", "--key_slices", "5")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_two_ranks_make_what_one_process_makes_though_one_is_killed(maps_only, run_folder):
    run = run_folder
    run.table.write_text(run.table.read_text().replace("left", "HC"))  # of two subjects, to compare with
    assert script.main(run.options(*OPTIONS)) == 0
    run.scans[2].unlink()
    for method in ("saliency", "expected_gradients"):
        shutil.rmtree(run.output / method / "12")

    output = run.output.with_name("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", TINY_SCRIPT, *run.options(*OPTIONS, "--output_dir", output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(output.rglob("*_attributions.json")):
        assert process.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    error = process.communicate()[1]
    assert process.returncode == 1, error  # one scan failed
    assert pd.read_csv(output / "tables/failures.csv", dtype=str)["subject_id"].tolist() == ["12"] * 2
    assert error.count("6 of 6 maps") == 1
    assert_same_maps(output, run.output)
    found, expected = (pd.read_csv(f / "attribution_statistics.csv", dtype=str) for f in (output, run.output))
    expected = expected[expected["subject_id"] != "12"]
    columns = ["subject_id", "method", "sample_idx", "diagnosis"]
    assert found[columns].equals(expected[columns])
