"""Style, types, layers, and the size of everything; `pytest tests/test_style.py -s` prints the sizes."""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, TESTS, SCRIPT = ROOT / "mri_saliency", ROOT / "tests", ROOT / "generate_saliency_maps.py"
MANUAL = ROOT / "SALIENCY_README.md"
# limits, not records: what would pass one is a reason to look for what can go
MAX_SCRIPT_LINES, MAX_FILE_LINES = 220, 320
MAX_PACKAGE_LINES, MAX_TESTS_LINES = 15_500, 14_500
MAX_FOLDER_SHARE = 0.2  # of the package
MAX_MANUAL_WORDS = 3_500


def run(*command):
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    "command", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=" ".join
)
def test_style_and_types(command):
    done = run("-m", *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_imports_only_those_before_it():
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert done.returncode == 0, done.stdout + done.stderr


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def modules():
    """Each module of the package, by its name."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


def imported_by(path, names):
    """The modules among `names` that a file imports, also where it does so for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & names - {"mri_saliency"}


def test_no_modules_import_each_other_in_a_circle():
    found = modules()
    graph = {name: imported_by(path, found.keys()) for name, path in found.items()}
    assert sum(map(len, graph.values())) > 200
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_everything_has_its_size():
    sizes = {path: lines_of(path) for path in [*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py"), SCRIPT]}
    package = sum(n for path, n in sizes.items() if PACKAGE in path.parents)
    tests = sum(n for path, n in sizes.items() if TESTS in path.parents)
    folders = Counter()
    for path, n in sizes.items():
        if PACKAGE in path.parents and path.parent != PACKAGE:
            folders[path.parent.name] += n
    (folder, n_folder), *_ = folders.most_common(1)
    longest = max(sizes, key=sizes.get)
    words = len(MANUAL.read_text(encoding="utf-8").split())
    print(
        f"\npackage {package} lines (at most {MAX_PACKAGE_LINES}), tests {tests} ({MAX_TESTS_LINES}), "
        f"manual {words} words ({MAX_MANUAL_WORDS}), script {sizes[SCRIPT]} lines ({MAX_SCRIPT_LINES}),\n"
        f"biggest folder {folder} {n_folder / package:.0%} ({MAX_FOLDER_SHARE:.0%}), "
        f"longest file {longest.relative_to(ROOT)} {sizes[longest]} lines ({MAX_FILE_LINES})"
    )
    assert package <= MAX_PACKAGE_LINES and tests <= MAX_TESTS_LINES and words <= MAX_MANUAL_WORDS
    assert sizes[SCRIPT] <= MAX_SCRIPT_LINES and sizes[longest] <= MAX_FILE_LINES
    assert n_folder <= MAX_FOLDER_SHARE * package
