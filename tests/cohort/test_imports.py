"""Worker processes describe a cohort without PyTorch, which would take a second and 200 MB in each."""

import pkgutil
import subprocess
import sys

from mri_saliency import cohort


def test_no_module_loads_pytorch():
    names = {module.name for module in pkgutil.iter_modules(cohort.__path__, "mri_saliency.cohort.")}
    names.remove("mri_saliency.cohort.checks")  # passes scans through the network, in the main process
    assert "mri_saliency.cohort.alarms" in names and len(names) > 8
    code = f"import sys, {', '.join(sorted(names))}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
