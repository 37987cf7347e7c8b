"""One run at a time writes into a folder; a killed one is not in the way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mri_saliency.errors import UserError
from mri_saliency.output.lock import LOCK, check_unlocked, locked

HOLDER = """
import sys, time
from pathlib import Path
from mri_saliency.output.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks there")


@pytest.fixture
def holder(tmp_path):
    """A process that has locked a folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "maps")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


def test_the_other_run_is_named_and_a_killed_one_is_not_in_the_way(holder, tmp_path):
    root = tmp_path / "maps"
    for look in (lambda: locked(root).__enter__(), lambda: check_unlocked(root)):
        with pytest.raises(UserError, match=f"another run writes there .*process {holder.pid}.*--output_dir"):
            look()
    assert json.loads((root / LOCK).read_text())["process"] == holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    check_unlocked(root)
    with locked(root):
        assert json.loads((root / LOCK).read_text())["process"] == os.getpid()
    assert not (root / LOCK).exists()


def test_a_folder_into_which_nothing_was_written_is_as_before(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "a" / "b"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "map").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "map"]
