"""What the command line and worker processes import is light: PyTorch takes a second and 200 MB in each."""

import pkgutil
import subprocess
import sys
from pathlib import Path

from mri_saliency.methods import METHODS

ROOT = Path(__file__).parent.parent
FOLDERS = ("cohort", "groups", "regions", "combine", "report", "statistics", "output", "maps")
HEAVY = {"torch", "pandas", "matplotlib"}


def check(*steps):
    """Run steps, each a statement and the packages that are not loaded after it, in one new process."""
    lines = ["import sys"]
    for statement, heavy in steps:
        lines += [statement, f"assert not {set(heavy)} & set(sys.modules), {statement!r}"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


def test_modules_load_what_they_need_and_workers_no_pytorch():
    described = [
        module.name
        for folder in FOLDERS
        for module in pkgutil.iter_modules([str(ROOT / "mri_saliency" / folder)], f"mri_saliency.{folder}.")
    ]
    assert len(described) > 40
    check(
        ("import mri_saliency; dir(mri_saliency).index('Explainer')", {*HEAVY, "numpy", "nibabel", "scipy"}),
        ("import mri_saliency.methods", {*HEAVY, "numpy"}),
        ("import mri_saliency.attribution.result", {"torch", "pandas"}),
        ("import os; os.environ['MPLBACKEND'] = 'module://matplotlib_inline.backend_inline'", ()),
        ("from mri_saliency import load_volume, map_to_nifti", {"torch"}),  # the backend does not matter
        ("assert 'inline' in os.environ['MPLBACKEND']", ()),
        ("import mri_saliency.attribution.baselines, mri_saliency.attribution.references", {"torch"}),
        (f"import {', '.join(described)}", {"torch"}),
    )


def test_requests_are_answered_before_anything_heavy_loads(tmp_path):
    done = check(
        ("import contextlib, os, generate_saliency_maps as script", ()),
        ("with contextlib.suppress(SystemExit): script.main(['--help'])", {"numpy", *HEAVY}),
        ("assert script.main(['--model_path', script.__file__, '--csv_path', 'absent.csv']) == 2", HEAVY),
        # a notebook's backend does not matter
        ("os.environ['MPLBACKEND'] = 'module://matplotlib_inline.backend_inline'", ()),
        ("with contextlib.suppress(SystemExit): script.main(['--version'])", HEAVY),
        ("from matplotlib import pyplot; pyplot.figure(); assert pyplot.get_backend() == 'agg'", ()),
    )
    assert "absent.csv: no such file" in done.stderr
    for word in (*METHODS, "examples:", "cuda:0", "30, 40, 50, 60, 70, 80, 90", "(default: zero)"):
        assert word in done.stdout
    command = [sys.executable, ROOT / "generate_saliency_maps.py", "--version"]
    assert subprocess.run(command, capture_output=True, cwd=tmp_path).returncode == 0
