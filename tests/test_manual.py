"""The manual names every option and method, and its test command is the one that gates changes."""

import argparse
import re
from pathlib import Path

import pytest

from mri_saliency.methods import BATCH_SIZES, METHODS
from mri_saliency.parser import get_parser

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "SALIENCY_README.md").read_text(encoding="utf-8")
ACTIONS = [action for action in get_parser()._actions if not isinstance(action, argparse._HelpAction)]
OPTIONS = MANUAL.split("## All options")[1].split("\n## ")[0]
MAX_WORDS = 5_950


def test_it_is_short():
    assert len(MANUAL.split()) <= MAX_WORDS


def test_every_option_is_in_the_manual_and_no_other():
    options = {option for action in ACTIONS for option in action.option_strings}
    assert set(re.findall(r"`(--\w+)`", OPTIONS)) == options


def test_defaults_are_in_the_manual():
    of_the_machine = {
        "workers": "one for each core",
        "check_maps": "no",
        "labels": "HC=HC left=left right=right",
        "batch_size": "{cpu} on a CPU, {cuda} on a GPU".format(**BATCH_SIZES),
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


def test_the_commands_of_the_manual_are_there_once():
    environment = "    python3 -m venv ~/mri-saliency && . ~/mri-saliency/bin/activate && pip install "
    for rest in (
        '".[test]" && python -m pytest\n',
        '".[demo]" && python run_saliency_generation.py --demo\n',
    ):
        assert MANUAL.count(environment + rest) == 1
    assert len([line for line in MANUAL.splitlines() if "-m pytest" in line]) == 1
