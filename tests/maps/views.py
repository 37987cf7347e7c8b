"""Made-up views of a map for tests of figures."""

import numpy as np

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.figures import Layer, MapView, View

from ..conftest import AFFINE, REAL_SHAPE, SYNTHETIC_SHAPE

GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 9)
WITHOUT_AFFINE = Grid(SYNTHETIC_SHAPE, None, 0, 9, 9)


def made_up_view(n=2, grid=GRID):
    """A view whose anatomy is a ramp from black to white, left to right."""
    return View(
        grid=grid,
        key_slices=tuple(range(n)),
        anatomy=np.tile(np.linspace(0, 255, 112).astype(np.uint8), (n, 112, 1)),
        title="sub-1   method",
        subtitle="predicted TLE",
        signed=True,
        unit="logit",
        window=(0.0, 1.0),
    )


def made_up_map(n=2, *, values=None, grid=GRID):
    """What the figures of a scan show: a map whose smoothed copy is the map itself."""
    values = np.zeros((n, 112, 112), np.float32) if values is None else values
    own = layer(values)
    return MapView(made_up_view(len(values), grid), own, own, Drawing(own.limit, own.limit, 6.0, 0))


def layer(values):
    return Layer(values, colour_scale(values))
