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


ACTIONS = [a for a in script._get_parser()._actions if not isinstance(a, argparse._HelpAction)]
OPTIONS = MANUAL.split("## All options")[1].split("\n## ")[0]


def test_every_option_is_in_the_manual_and_no_other():
    options = {option for action in ACTIONS for option in action.option_strings}
    assert set(re.findall(r"`(--\w+)`", OPTIONS)) == options


def test_defaults_are_in_the_manual():
    of_the_machine = {
        "workers": "one for each core",
        "check_maps": "no",
        "batch_size": "{cpu} on a CPU, {cuda} on a GPU".format(**script.BATCH_SIZES),
    }
    for action in ACTIONS:
        default = of_the_machine.get(action.dest, action.default)
        if default is None or isinstance(default, bool) or default == argparse.SUPPRESS:
            continue
        shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
        (row,) = re.findall(rf"^\| `--{action.dest}` .*$", OPTIONS, re.MULTILINE)
        assert row.split(" | ")[-1].strip(" |`") == shown


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_in_the_manuals_table(method):
    signed = "yes" if method.signed else "no"
    row = f"| `{method.name}` | {method.question} | {signed} | {method.unit} | {method.reference} | "
    assert row + f"{method.passes} | {method.paper} |" in MANUAL


def test_style():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
