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

from .outputs import METHODS, QUICK, assert_same_maps

TINY_SCRIPT = Path(__file__).with_name("tiny_script.py")


def torchrun(run_folder, output, *more_for_torchrun, more=()):
    """Start two ranks."""
    options = run_folder.options(*METHODS, *QUICK, "--workers", "0", "--output_dir", output, *more)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += more_for_torchrun
    return subprocess.Popen([*command, str(TINY_SCRIPT), *options], stderr=subprocess.PIPE, text=True)


def test_two_ranks_make_what_one_process_makes(finished):
    finished.scans[0].unlink()
    output = finished.output.with_name("ranks")
    process = torchrun(finished, output)
    error = process.communicate()[1]
    assert process.returncode == 1, error  # one scan failed
    assert pd.read_csv(output / "tables/failures.csv")["subject_id"].tolist() == ["sub-A"] * 2
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
