"""Random draws of the stochastic methods: the same for a scan whatever it is explained with."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mri_saliency.attribution.batch import Batch, Settings


@dataclass(frozen=True)
class Draws:
    """Random draws of noise, and of places on a path."""

    scans: list[int]  # the index of each draw's scan in the batch
    noise: Tensor  # float32 (n, 128, 128, n_slices), of standard deviation `Settings.noise_std`
    fractions: Tensor  # float32 (n,): sample i in the i-th of n_samples equal parts of 0 to 1


def draw(
    batch: Batch, settings: Settings, method: str, at_a_time: int, *, in_pairs: bool = False
) -> Iterator[Draws]:
    """Draw for every scan, scan by scan, `at_a_time` draws in a group, on which they do not depend.

    `in_pairs`: the noise of samples 1, 3, 5 ... is that of the sample before with the opposite sign.
    """
    generators = [
        torch.Generator(batch.inputs.device).manual_seed(seed_of(settings.seed, scan_id, method))
        for scan_id in batch.scan_ids
    ]
    samples = itertools.product(range(len(generators)), range(settings.n_samples))
    latest = batch.inputs.new_empty(0)
    while group := list(itertools.islice(samples, max(1, at_a_time))):
        noise = batch.inputs.new_empty(len(group), *batch.inputs.shape[1:])
        fractions = batch.inputs.new_empty(len(group))
        for i, (scan, sample) in enumerate(group):
            fractions[i].uniform_(generator=generators[scan]).add_(sample).div_(settings.n_samples)
            if in_pairs and sample % 2:
                noise[i] = -latest
            else:
                noise[i].normal_(0, settings.noise_std, generator=generators[scan])
            latest = noise[i]
        yield Draws([scan for scan, _ in group], noise, fractions)


def draw_noise(like: Tensor, settings: Settings, method: str) -> Iterator[Tensor]:
    """Draw `n_samples` volumes of noise that belong to no scan, in groups; `like`, (n, ...), is a group."""
    generator = torch.Generator(like.device).manual_seed(seed_of(settings.seed, "", method))
    for start in range(0, settings.n_samples, settings.batch_size):
        noise = like.new_empty(min(settings.batch_size, settings.n_samples - start), *like.shape[1:])
        for volume in noise:
            volume.normal_(0, settings.noise_std, generator=generator)
        yield noise


def draw_references(references: Sequence[int], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw references, and a place on the path from each: int (n,), and float64 (n,), ascending.

    Each n-th part of 0 to 1 has one place. Of every ``len(references)`` neighbouring parts each reference has
    one, so its places are spread over the path too. NumPy draws, the same on all hardware.
    """
    generator = np.random.default_rng(seed)
    fractions = (np.arange(n) + generator.random(n)) / n
    drawn = [generator.permutation(references) for _ in range(0, n, len(references))]
    return np.concatenate(drawn)[:n], fractions


def seed_of(seed: int, scan_id: str, method: str) -> int:
    """Return a generator's seed (63 bits), mixed of the run's seed, a scan's id and a method's name."""
    digest = hashlib.sha256(f"{seed}\0{scan_id}\0{method}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
