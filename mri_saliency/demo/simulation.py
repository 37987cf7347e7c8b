"""Simulated grey-matter volumes: variations of the MNI152 template, with or without a lesion."""

from functools import lru_cache

import numpy as np
import torch

from mri_saliency.errors import UserError
from mri_saliency.inputs.preprocessing import to_network_input, z_scored

GRID_SHAPE = (113, 137, 113)  # CAT12's
AFFINE = np.array([[1.5, 0, 0, -84], [0, 1.5, 0, -120], [0, 0, 1.5, -72], [0, 0, 0, 1.0]])
N_SLICES = 115
# The simulated lesion: grey matter within 6.5 mm of the hippocampus's axis, from head to tail.
HIPPOCAMPUS_MM = {"right": ((23, -11, -21), (30, -38, -4)), "left": ((-23, -11, -21), (-30, -38, -4))}
HIPPOCAMPUS_RADIUS_MM = 6.5
LEAST_GREY_MATTER = 0.15
LOSS = (0.75, 0.95)  # share of the lesion's grey matter that is lost
# Brains differ smoothly (by a field with a grid of random values), in noise, and in brightness.
FIELD_SHAPE, FIELD_STD, NOISE_STD, BRIGHTNESS = (8, 9, 8), 0.2, 0.15, (0.9, 1.1)


class Simulator:
    """Random grey-matter volumes of simulated brains, float32 (113, 137, 113), from 0 to 1."""

    def __init__(self) -> None:
        self.template = _grey_matter_template()
        self.lesions = {
            side: _near_segment_mm(*axis) & (self.template > LEAST_GREY_MATTER)
            for side, axis in HIPPOCAMPUS_MM.items()
        }
        # every scan's noise is a window into one larger block, which costs a copy, not a draw
        larger = tuple(n + 16 for n in GRID_SHAPE)
        self._noise = np.random.default_rng(0).standard_normal(larger, np.float32)

    def brain(self, generator: np.random.Generator) -> np.ndarray:
        """Return a random healthy brain."""
        field = generator.standard_normal(FIELD_SHAPE, np.float32)
        for n in GRID_SHAPE:  # interpolate along the first axis, and put it last
            field = np.tensordot(field, _interpolation(field.shape[0], n), axes=(0, 1))
        corner = generator.integers(0, 16, 3)
        noise = self._noise[tuple(slice(c, c + n) for c, n in zip(corner, GRID_SHAPE, strict=True))]
        brain = field * np.float32(FIELD_STD)
        brain += np.float32(NOISE_STD) * noise
        brain += 1
        brain *= self.template
        brain *= np.float32(generator.uniform(*BRIGHTNESS))
        return brain.clip(0, 1, out=brain)

    def with_lesion(self, brain: np.ndarray, diagnosis: str, generator: np.random.Generator) -> np.ndarray:
        """Return the brain with less grey matter in the diagnosis's hippocampus; for HC, the brain itself."""
        if diagnosis == "HC":
            return brain
        loss = np.float32(generator.uniform(*LOSS))
        return np.where(self.lesions[diagnosis], brain * (1 - loss), brain)

    def inputs(self, n: int, generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return network inputs (n, 115, 128, 128) and labels (n,): each brain healthy and with TLE."""
        pairs = [self._pair(index, child) for index, child in enumerate(generator.spawn(n // 2))]
        inputs = torch.from_numpy(np.stack([array for pair in pairs for array in pair]))
        return inputs.contiguous(memory_format=torch.channels_last), torch.tensor([0.0, 1.0] * (n // 2))

    def _pair(self, index: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        brain = self.brain(generator)
        lesioned = self.with_lesion(brain, ("left", "right")[index % 2], generator)
        return tuple(to_network_input(z_scored(voxels)[0], N_SLICES) for voxels in (brain, lesioned))


def places_mm() -> np.ndarray:
    """Return where the grid's voxels are, float64 (113, 137, 113, 3)."""
    return np.moveaxis(np.indices(GRID_SHAPE), 0, -1) * AFFINE.diagonal()[:3] + AFFINE[:3, 3]


def _grey_matter_template() -> np.ndarray:
    try:
        from nilearn.datasets import load_mni152_gm_template
        from nilearn.image import resample_img
    except ImportError as error:
        raise UserError(
            "the demo needs nilearn, whose grey-matter template it varies. Install it with: "
            'pip install ".[demo]"'
        ) from error
    template = load_mni152_gm_template(resolution=2)
    image = resample_img(template, AFFINE, GRID_SHAPE, force_resample=True, copy_header=True)
    return np.asarray(image.dataobj, np.float32).clip(0, 1)


@lru_cache
def _interpolation(n_in: int, n_out: int) -> np.ndarray:
    """Return the weights of a linear interpolation from end to end: float32 (n_out, n_in)."""
    places = np.linspace(0, n_in - 1, n_out)[:, None]
    return np.clip(1 - np.abs(places - np.arange(n_in)), 0, None).astype(np.float32)


def _near_segment_mm(start: tuple[int, ...], end: tuple[int, ...]) -> np.ndarray:
    """Return the voxels within the hippocampus's radius of a line segment, bool on the grid."""
    from_start = places_mm() - start
    axis = np.subtract(end, start)
    along = np.clip(from_start @ axis / (axis @ axis), 0, 1)
    return np.linalg.norm(from_start - along[..., None] * axis, axis=-1) < HIPPOCAMPUS_RADIUS_MM
