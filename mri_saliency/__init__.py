"""The vocabulary of generate_saliency_maps.py, in folders by the stations of the data's way.

In their order: runtime (device, worker processes, ranks), inputs (files -> what the network takes),
attribution (network and inputs -> maps), maps (one map -> its numbers and pictures), output (the folder on
disk), cohort (all maps -> what they show together). A folder imports only those before it.

The names in `__all__` are for use as a library: a scan in, a map and its image out. They are imported where
they are first used, so that `import mri_saliency` loads neither PyTorch nor NumPy.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = {
    "Explainer": "attribution.explainer",
    "Settings": "attribution.batch",
    "UserError": "errors",
    "choose_device": "runtime.device",
    "load_checkpoint": "inputs.checkpoint",
    "load_volume": "inputs.loading",
    "map_to_nifti": "maps.image",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    """Import a name of `__all__`; raises AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value  # so that this function is not asked again
    return value


def __dir__() -> list[str]:
    """Return the module's names, those that are not yet imported too."""
    return sorted({*globals(), *__all__})
