"""Style, layers, and the shape of the project."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_SCRIPT_LINES = 300


def test_ruff():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_a_folder_imports_only_those_before_it():
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_is_a_story_of_at_most_300_lines():
    assert len((ROOT / "generate_saliency_maps.py").read_text().splitlines()) <= MAX_SCRIPT_LINES


def test_docstrings_begin_with_the_fields_verbs():
    avoided = {"Say", "Tell", "Name", "Take", "Give"}
    for path in [*ROOT.glob("*.py"), *(ROOT / "mri_saliency").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (docstring := ast.get_docstring(node)):
                assert docstring.split()[0] not in avoided, f"{path}: {node.name}"


def test_only_the_options_module_knows_argparses_namespace():
    for path in [ROOT / "generate_saliency_maps.py", *(ROOT / "mri_saliency").rglob("*.py")]:
        if path.name != "options.py":
            assert "Namespace" not in path.read_text(), path
