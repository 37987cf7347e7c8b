"""What is left out of whole runs."""

import pytest
from matplotlib.figure import Figure

FIGURES = ("cohort.comparable.cohort_figure", "checks.run.check_figure", "regions.densities.region_figure")


@pytest.fixture(autouse=True)
def empty_figures(monkeypatch):
    """Draw empty figures of the cohort, which take a second each; a module's fixtures draw true ones."""
    for name in FIGURES:
        monkeypatch.setattr(f"mri_saliency.{name}", lambda *_: Figure())
