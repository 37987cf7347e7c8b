"""The palette is told apart by people without the sense of red or of green, and is read on its ground."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mri_saliency.maps.drawing import DARK_DIAGNOSIS_COLOURS, DIAGNOSIS_COLOURS, METHOD_COLOURS
from mri_saliency.methods import METHODS

DARK_GROUND = "#14181d"  # the page's
SIGHTS = {  # Machado et al. 2009, severity 1: linear red, green and blue -> what is seen
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(colour, sight):
    """CIE L*a*b* (D65) of a colour as it is seen."""
    seen = np.clip(np.array(SIGHTS[sight]) @ linear(colour), 1e-3, 1)
    x, y, z = np.cbrt(TO_XYZ @ seen / TO_XYZ.sum(1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize(
    "colours",
    [
        DIAGNOSIS_COLOURS,
        DARK_DIAGNOSIS_COLOURS,
        METHOD_COLOURS | {name: DIAGNOSIS_COLOURS[name] for name in ("HC", "TLE")},
    ],
    ids=["diagnoses", "in the dark", "methods and classes"],
)
def test_colours_that_share_a_figure_are_told_apart(colours, sight):
    differences = {
        (a, b): np.linalg.norm(lab(colours[a], sight) - lab(colours[b], sight))
        for a, b in combinations(colours, 2)
    }
    assert not {pair: value for pair, value in differences.items() if value < 20}
    assert set(METHOD_COLOURS) == set(METHODS)


def contrast(colour, ground):
    """The contrast of WCAG 2, by the relative luminance."""
    low, high = sorted(float(TO_XYZ[1] @ linear(c)) + 0.05 for c in (colour, ground))
    return high / low


def test_colours_stand_out_from_their_ground():
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)
    assert all(contrast(colour, "white") >= 4.5 for colour in DIAGNOSIS_COLOURS.values())
    assert all(contrast(colour, "white") >= 3 for colour in METHOD_COLOURS.values())  # lines and points
    assert all(contrast(colour, DARK_GROUND) >= 4.5 for colour in DARK_DIAGNOSIS_COLOURS.values())
