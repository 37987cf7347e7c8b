"""Worker processes describe a cohort without PyTorch, which would take a second and 200 MB in each."""

import pkgutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mri_saliency"
FOLDERS = ("cohort", "groups", "regions", "combine", "report", "statistics", "output", "maps")


def test_what_describes_a_cohort_loads_no_pytorch():
    names = [
        module.name
        for folder in FOLDERS
        for module in pkgutil.iter_modules([str(PACKAGE / folder)], f"mri_saliency.{folder}.")
    ]
    assert len(names) > 40
    code = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
