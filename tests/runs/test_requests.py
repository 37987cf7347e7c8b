"""Wrong requests end with 2 and leave the folder alone; what needs nothing heavy answers at once."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import generate_saliency_maps as script
import run_saliency_generation as runner
from mri_saliency.methods import METHODS

from ..conftest import AFFINE
from .outputs import file_names

SCRIPT = Path(script.__file__)


BAD_REQUESTS = {
    "no default run": ([], "--demo"),
    "no model": (["--model_path", "absent.pth"], "absent.pth: no such file"),
    "no table": (["--csv_path", "absent.csv"], "absent.csv: no such file"),
    "no parameters": (["--parameters_path", "absent.json"], "--parameters_path"),
    "no such column": (["--path_column", "volume"], "no column 'volume'"),
    "slice beyond": (["--key_slices", "9"], "slices 0 to 8"),
    "no such device": (["--device", "cuda:77"], "there are cpu"),
    "no such target": (["--target", "1"], "1 logit"),
    "output is a file": (["--output_dir", __file__], "cannot be written"),
    "no such atlas": (["--atlas", "absent.nii"], "absent.nii: no such file"),
    "names that name nothing": (
        ["--atlas", "atlas.nii.gz", "--atlas_names", "val.csv"],
        "a column of labels",
    ),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_wrong_requests_end_with_2_and_leave_the_folder_alone(run_folder, monkeypatch, capsys, name):
    monkeypatch.chdir(run_folder.output.parent)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    labels = np.zeros((60, 60, 60), np.int16)
    labels[30:] = 1
    nib.Nifti1Image(labels, AFFINE).to_filename("atlas.nii.gz")
    extra, message = BAD_REQUESTS[name]
    options = run_folder.options(*extra) if extra else []
    assert script.main(options) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not run_folder.output.exists() or not file_names(run_folder.output)


def test_a_notebooks_backend_does_not_matter():
    code = (
        "import generate_saliency_maps\n"
        "try: generate_saliency_maps.main(['--version'])\n"
        "except SystemExit: import captum.attr, matplotlib.pyplot; matplotlib.pyplot.figure()"
    )
    surroundings = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    subprocess.run([sys.executable, "-c", code], env=surroundings, cwd=SCRIPT.parent, check=True)


def test_help_needs_nothing_heavy(tmp_path):
    code = (
        "import sys, generate_saliency_maps\n"
        "try: generate_saliency_maps.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr
    for word in (*METHODS, "examples:", "cuda:0", "30, 40, 50, 60, 70, 80, 90", "(default: zero)"):
        assert word in done.stdout
    elsewhere = subprocess.run([sys.executable, SCRIPT, "--version"], capture_output=True, cwd=tmp_path)
    assert elsewhere.returncode == 0


def test_the_runner_passes_options_on(monkeypatch):
    calls = []
    monkeypatch.setattr(script, "main", lambda args: calls.append(args) or 0)
    assert runner.main(["--device", "cpu", "--methods", "saliency"]) == 0
    assert calls == [["--max_samples", "20", "--device", "cpu", "--methods", "saliency"]]


def test_a_mistyped_option_ends_the_demo_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr("mri_saliency.demo.demo.run", lambda *_: pytest.fail("the demo began"))
    with pytest.raises(SystemExit) as ended:
        runner.main(["--demo", str(tmp_path), "--methods", "saliency,deep_lift"])
    assert ended.value.code == 2


def test_a_missing_table_is_named_before_pytorch_loads():
    code = (
        "import sys, generate_saliency_maps as script\n"
        "assert script.main(['--model_path', script.__file__, '--csv_path', 'absent.csv']) == 2\n"
        "assert not {'torch', 'pandas'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0 and "absent.csv: no such file" in done.stderr, done.stderr
