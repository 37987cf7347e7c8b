"""The vocabulary of generate_saliency_maps.py, in folders by subject; a folder imports only those before it.

Their order is in pyproject.toml; the first line of each folder says what is in it.

The names below are imported where they are first used: `import mri_saliency` loads neither PyTorch nor
NumPy. Those of `__all__` are for use as a library; the others are the script's words.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

__version__ = "0.3.0"

_LIBRARY = {
    "Explainer": "attribution.explainer",
    "Settings": "attribution.batch",
    "UserError": "errors",
    "choose_device": "runtime.device",
    "load_checkpoint": "inputs.checkpoint",
    "load_volume": "inputs.loading",
    "map_to_nifti": "maps.image",
}
_SCRIPT = {
    "Journal": "run.journal",
    "OutputFolder": "output.folder",
    "check_some_maps": "checks.run",
    "compare_runs": "combine.run_agreement",
    "describe_cohort": "describe",
    "find_scans": "run.moved_scans",
    "locked": "output.lock",
    "prepare": "run.prepare",
    "prepare_combination": "combine.prepare",
    "print_answer": "run.summary",
    "read_description_of": "run.description",
    "table_paths": "run.moved_scans",
    "write_report": "report.report",
    "write_unfinished": "report.report",
}

__all__ = list(_LIBRARY)


def __getattr__(name: str) -> object:
    """Import one of the names above; raises AttributeError for any other."""
    module = (_LIBRARY | _SCRIPT).get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    gc.disable()  # PyTorch makes a million objects, all to stay: a run starts 0.7 s sooner
    try:
        with _backend_later():
            value = getattr(import_module(f"{__name__}.{module}"), name)
    finally:
        gc.enable()
    globals()[name] = value  # so that this function is not asked again
    return value


@contextmanager
def _backend_later() -> Iterator[None]:
    """Load matplotlib even if the backend of a notebook is not installed here; where it is, it is kept."""
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
            with suppress(ValueError, KeyError):  # not installed, or matplotlib was not loaded
                sys.modules["matplotlib"].rcParams["backend"] = backend


def __dir__() -> list[str]:
    """Return the module's names, those that are not yet imported too."""
    return sorted({*globals(), *__all__})
