"""Made-up views of a map for tests of figures."""

import numpy as np

from mri_saliency.maps.colours import measure_scale
from mri_saliency.maps.figures import Layer, MapView, View


def made_up_view(n=2, *, in_mm=True, signed=True, extent=(-84.75, 84.75, -72.75, 96.75)):
    """A view whose anatomy is a ramp from black to white, left to right."""
    return View(
        anatomy=np.tile(np.linspace(0, 255, 112).astype(np.uint8), (n, 112, 1)),
        slice_titles=[f"slice {i}, y = {i}.0 mm" for i in range(n)],
        title="sub-1   method",
        subtitle="predicted TLE",
        extent=extent,
        in_mm=in_mm,
        signed=signed,
        unit="logit",
        window=(0.0, 1.0),
    )


def made_up_map(n=2, *, values=None, smooth_mm=6.0, **changes):
    """What the figures of a scan show: a map whose smoothed copy is the map itself."""
    values = np.zeros((n, 112, 112), np.float32) if values is None else values
    return MapView(made_up_view(len(values), **changes), layer(values), layer(values), smooth_mm)


def layer(values):
    return Layer(values, measure_scale(values))
