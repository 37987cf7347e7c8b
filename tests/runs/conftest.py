"""What is left out of whole runs."""

import pytest

from ..conftest import draw_empty_figures


@pytest.fixture(autouse=True)
def empty_figures(monkeypatch):
    """Draw empty figures of the cohort; the fixture of a module draws true ones."""
    draw_empty_figures(monkeypatch)
