"""Prints end no run, and the streams are given back."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from mri_saliency.runtime.screen import forgiving_screen
with forgiving_screen():
    for _ in range(20_000):
        print("donn\\udce9es, −1")
    print("error", file=sys.stderr)
    descriptor = os.open(os.devnull, os.O_WRONLY)
    assert descriptor > 2
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "to", ["| head -n 1; exit ${PIPESTATUS[0]}", "> /dev/full", ">&- 2>&-", "2>/dev/full >&2"]
)
def test_a_reader_that_is_gone_changes_no_exit_code(to):
    if "/dev/full" in to and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = f'LC_ALL=C PYTHONIOENCODING=ascii "$0" -c "$1" {to}'
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, CODE], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr and "Exception" not in done.stderr
