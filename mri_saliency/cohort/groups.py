"""The groups of a cohort's scans, some scans from all of them, and the means over a group's maps."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice, zip_longest
from typing import TypeVar

import numpy as np

from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.wording import ClassNames

T = TypeVar("T", Scan, MapStatistics)


@dataclass(frozen=True)
class Group:
    """A group of a cohort's scans: its title, with places for the classes' words, and its members."""

    title: str
    has_member: Callable[[MapStatistics], bool]


GROUPS: dict[str, Group] = {  # by their names in file names
    "HC": Group("{hc}", lambda scan: not scan.is_tle),
    "TLE": Group("{tle}", lambda scan: scan.is_tle),  # all patients, those without a side too
    "left": Group("{tle}, focus on the left", lambda scan: scan.diagnosis == "left"),
    "right": Group("{tle}, focus on the right", lambda scan: scan.diagnosis == "right"),
    "TLE_correct": Group("{tle}, predicted {tle}", lambda scan: scan.is_tle and scan.predicts_tle),
    "TLE_wrong": Group("{tle}, predicted {hc}", lambda scan: scan.is_tle and not scan.predicts_tle),
}
OpenMap = Callable[[], np.ndarray]  # returns (n_slices, height, width), memory-mapped or in memory


def group_titles(names: ClassNames) -> dict[str, str]:
    """Return the groups' titles, in figures and the report."""
    return {name: group.title.format(hc=names.hc, tle=names.tle) for name, group in GROUPS.items()}


def class_words(names: ClassNames) -> dict[str, str]:
    """Return what the classes HC and TLE are called."""
    return {"HC": names.hc, "TLE": names.tle}


def diagnosis_words(diagnoses: Collection[str], names: ClassNames) -> dict[str, str]:
    """Return what those diagnoses that occur are called, in the order in which they are shown."""
    has_sides = "left" in diagnoses or "right" in diagnoses
    without_side = f"{names.tle}, side unknown" if has_sides else names.tle
    words = {"HC": names.hc, "left": "left", "right": "right", "TLE": without_side}
    return {diagnosis: word for diagnosis, word in words.items() if diagnosis in diagnoses}


def representative(scans: Sequence[T], n: int) -> list[T]:
    """Return `n` scans, or all if there are fewer: of each diagnosis in turn, from the first to the last."""
    of_diagnosis = {
        name: [scan for scan in scans if scan.diagnosis == name] for name in ("left", "right", "TLE", "HC")
    }
    turns = zip_longest(*([name] * len(members) for name, members in of_diagnosis.items()))
    order = list(islice((name for turn in turns for name in turn if name), n))
    counts = Counter(order)
    chosen = {}
    for name, n_chosen in counts.items():
        places = np.linspace(0, len(of_diagnosis[name]) - 1, n_chosen).round().astype(int)
        chosen[name] = iter([of_diagnosis[name][place] for place in places])
    return [next(chosen[name]) for name in order]


@dataclass(frozen=True, eq=False)
class GroupMean:
    """Means over a group's `n` maps, float32 (n_slices, height, width): of the maps, of their magnitudes."""

    signed: np.ndarray
    magnitude: np.ndarray
    n: int


def group_means(maps: Sequence[OpenMap], groups: Mapping[str, np.ndarray]) -> dict[str, GroupMean]:
    """Average maps by group; each map is opened once.

    `groups` has by name bool (n_maps,), the members; a map may be in several. An empty group gets no mean.
    """
    # by the set of groups that a map is in: sums of values and magnitudes, (2, n_slices, height, width)
    sums: dict[tuple[str, ...], np.ndarray] = {}
    for index, open_map in enumerate(maps):
        memberships = tuple(name for name, members in groups.items() if members[index])
        if not memberships:
            continue
        values = open_map().astype(np.float64)  # once, and not in each of the sums
        if memberships not in sums:
            sums[memberships] = np.zeros((2, *values.shape))
        sums[memberships][0] += values
        sums[memberships][1] += np.abs(values, out=values)
    means = {}
    for name, members in groups.items():
        if n := int(members.sum()):
            signed, magnitude = reduce(np.add, (part for names, part in sums.items() if name in names)) / n
            means[name] = GroupMean(signed.astype(np.float32), magnitude.astype(np.float32), n)
    return means
