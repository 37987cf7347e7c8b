"""The manual names every option and method, and its test command is the one that gates changes."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

import generate_saliency_maps as script
from mri_saliency.methods import METHODS

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "SALIENCY_README.md").read_text(encoding="utf-8")


def test_every_option_is_in_the_manual_and_no_other():
    actions = [a for a in script._get_parser()._actions if not isinstance(a, argparse._HelpAction)]
    options = {option for action in actions for option in action.option_strings}
    section = MANUAL.split("## All options")[1].split("\n## ")[0]
    assert set(re.findall(r"`(--\w+)`", section)) == options


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_in_the_manuals_table(method):
    signed = "yes" if method.signed else "no"
    row = f"| `{method.name}` | {method.question} | {signed} | {method.unit} | {method.reference} | "
    assert row + f"{method.passes} | {method.paper} |" in MANUAL


def test_every_column_is_in_the_manual():
    from mri_saliency import measures

    names = [*measures.completeness(1.0, 1.0), *measures.prediction([0.0]), "peak_slice", "brain_share"]
    names += ["target", "baseline", "sample_idx"]
    for name in names:
        assert f"`{name}`" in MANUAL


def test_style():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
