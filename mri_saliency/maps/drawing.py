"""What figures and the report share: the palette, and how a map was drawn."""

from dataclasses import dataclass

DEFAULT_SMOOTH_MM = 6.0  # of overlays: full width at half maximum
# Of an overlay's opacity in the map's magnitude. Below 1, weak values can be seen; and a map on another scale
# is this one with its opacity multiplied by the ratio of the scales to that power, unless it saturates.
OPACITY_POWER = 0.6
RAISES, LOWERS = (226, 35, 26), (64, 120, 255)  # hues by sign, red, green and blue from 0 to 255
# The palette. Colours that share a figure are told apart without the sense of red or green too (a CIE ΔE of
# 20 and more), and are dark enough on white. TLE is all patients, or those without a side.
DIAGNOSIS_COLOURS = {"HC": "#2b6cb0", "TLE": "#c2362b", "left": "#7d1f6b", "right": "#571c00"}
DARK_DIAGNOSIS_COLOURS = {"HC": "#5b9bf0", "TLE": "#ff7468", "left": "#ffc6ee", "right": "#b98a00"}
PAGE_COLOURS = {  # of the page, in light and in dark
    name: f"light-dark({colour}, {DARK_DIAGNOSIS_COLOURS[name]})"
    for name, colour in DIAGNOSIS_COLOURS.items()
}
METHOD_COLOURS = {
    "integrated_gradients": "#065040",
    "saliency": "#cb8600",
    "gradient_shap": "#442ca3",
    "expected_gradients": "#2a9db5",
    "input_x_gradient": "#7f7d7a",
    "deep_lift": "#151515",
    "noise_tunnel_ig": "#422305",
    "smooth_grad": "#610d59",
}


@dataclass(frozen=True)
class Drawing:
    """How a map was drawn."""

    scale: float  # magnitude at which the colours of the map saturate, in its unit
    overlay_scale: float  # the same of the smoothed map
    smooth_mm: float  # full width at half maximum of the smoothing; 0: none
    telling_slice: int  # where the smoothed map peaks in the brain; of a map of zeros, the middle one
