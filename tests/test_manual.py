"""The manual's commands, options, methods and folders are those that exist."""

import re
from pathlib import Path

import pytest

from mri_saliency.methods import METHODS
from mri_saliency.parser import get_parser

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "SALIENCY_README.md").read_text(encoding="utf-8")
OF_OTHER_PROGRAMS = {  # torchrun, srun, the benchmark, the runner
    *("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint", "--nodes", "--ntasks-per-node"),
    *("--gpus-per-node", "--variant", "--scans", "--repeats", "--demo", "--help"),
}


def test_the_options_that_it_names_exist():
    options = {option for action in get_parser()._actions for option in action.option_strings}
    named = set(re.findall(r"--[a-z][\w-]*", MANUAL))
    assert len(named) > 25 and named <= options | OF_OTHER_PROGRAMS


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_in_its_table(method):
    signed = "yes" if method.signed else "no"
    row = f"| `{method.name}` | {method.question} | {signed} | {method.unit} | {method.reference} | "
    assert row + f"{method.passes} |" in MANUAL


def test_its_code_map_has_every_folder():
    folders = {path.name for path in (ROOT / "mri_saliency").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"`(\w+)/`", MANUAL.split("## For developers")[1])) - {"mri_saliency"} == folders


def test_its_files_exist():
    for name in re.findall(r"`?((?:tests|report|attribution)/[\w/]+\.(?:py|png|bib))`?", MANUAL):
        assert (ROOT / name).exists() or (ROOT / "mri_saliency" / name).exists(), name
