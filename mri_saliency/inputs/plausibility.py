"""Whether a volume's intensities are like those that the networks were trained on."""

import numpy as np

# CAT12's grey matter in air: three quarters or more are air, which is darkest; modulation makes few voxels
# brighter than twice the 99.9th percentile. A synthetic volume is such an image, z-scored.
_BACKGROUND = 0.3, 0.97  # shares of the voxels within a tenth of the range from air
_MOST_AIR = 0.2  # of the range, above its lower end
_MOST_OUTLYING = 10.0  # times the range
_SYNTHETIC_MEAN, _SYNTHETIC_STD = 0.5, (0.5, 2.0)  # at most; from, to


def implausible_intensities(voxels: np.ndarray, extremes: tuple[float, float], synthetic: bool) -> str | None:
    """Describe how a volume's finite intensities differ from those of the training data; None if they do not.

    `voxels`: (x, y, z), as in the file; `extremes`: the smallest and the largest. Found are noise, inverted
    and nearly empty images, single huge voxels, and synthetic volumes that are not normalised.
    """
    sample = voxels[::3, ::3, ::3]
    low, high = np.quantile(sample, (0.001, 0.999), method="lower")
    faces = [voxels[face] for face in (0, -1)] + [voxels[:, :, face] for face in (0, -1)]
    air = float(np.median(np.concatenate([face[::4, ::4].ravel() for face in faces])))
    within = max(high - low, 1e-6 * max(abs(low), abs(high)))
    background = float((np.abs(sample - air) <= 0.1 * within).mean())
    largest = max(extremes[1] - high, low - extremes[0])
    # without numbers of the scan: equal warnings are printed once
    if background > _BACKGROUND[1]:
        return f"nearly empty: over {_BACKGROUND[1]:.0%} of its voxels are background"
    if largest > _MOST_OUTLYING * within:
        return f"single voxels lie over {_MOST_OUTLYING:g} times the others' range outside that"
    if air - low > _MOST_AIR * within:
        return "its background is not its darkest part: inverted, noise, or no grey-matter image"
    if background < _BACKGROUND[0]:
        return f"under {_BACKGROUND[0]:.0%} of its voxels are background: noise, or no grey-matter image"
    if synthetic and not (
        abs(sample.mean()) < _SYNTHETIC_MEAN and _SYNTHETIC_STD[0] < sample.std() < _SYNTHETIC_STD[1]
    ):
        return "a synthetic volume that is not normalised to mean 0 and standard deviation 1"
    return None
