"""Made-up views of a map for tests of figures."""

import numpy as np

from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.figures import MapView


def made_up_view(n=2, *, in_mm=True, signed=True, values=None, extent=(-84.75, 84.75, -72.75, 96.75)):
    """A view whose anatomy is a ramp from black to white, left to right."""
    attribution = np.zeros((n, 112, 112), np.float32) if values is None else values
    return MapView(
        anatomy=np.tile(np.linspace(0, 1, 112, dtype=np.float32), (n, 112, 1)),
        attribution=attribution,
        slice_titles=[f"slice {i}, y = {i}.0 mm" for i in range(n)],
        title="sub-1   method",
        subtitle="predicted TLE",
        extent=extent,
        in_mm=in_mm,
        signed=signed,
        unit="logit",
        scale=colour_scale(attribution),
        window=(0.0, 1.0),
    )
