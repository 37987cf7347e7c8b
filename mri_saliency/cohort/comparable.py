"""The maps that can be compared, and the cohort's summary figure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mri_saliency.cohort.summary import cohort_figure
from mri_saliency.maps.comparison import mean_agreement, rank_correlation
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_figure
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order, statistics_table
from mri_saliency.wording import Limitation, left_out


def comparable(records: Sequence[MapRecord]) -> tuple[list[MapRecord], list[Limitation]]:
    """Return the maps that describe the cohort, in order, and what is left out.

    They are, for each method, the maps of its most frequent recipe: a folder that is filled in several runs
    can hold maps made with different settings, which measure different things, so no mean is taken over them.
    And of scans with the same voxels and grid, be it in files of two formats, they are the maps of the first.
    """
    by_recipe: dict[str, dict[str, list[MapRecord]]] = {}  # method -> digest of the recipe -> records
    for record in records:
        by_recipe.setdefault(record.method, {}).setdefault(record.recipe.digest(), []).append(record)
    kept: list[MapRecord] = []
    limitations = []
    for method, recipes in by_recipe.items():
        most_frequent = max(recipes.values(), key=len)
        kept += most_frequent
        if n_others := sum(map(len, recipes.values())) - len(most_frequent):
            noun = f"{METHODS[method].title} map"
            which, hint = "made with other settings than most", "see fingerprint in their sidecars"
            limitations.append(left_out(n_others, noun, which, hints=[hint]))
    first: dict[tuple[str, str], MapRecord] = {}  # by method and content of the scan
    copies: dict[str, str] = {}  # subject -> the one with the same voxels
    for record in in_order(kept):
        original = first.setdefault((record.method, record.source.content_sha256), record)
        if original is not record:
            copies[record.subject_id] = original.subject_id
    if copies:
        names = [f"{copy} as {original}" for copy, original in copies.items()]
        which = "with the same voxels as another scan"
        limitations.append(left_out(len(copies), "scan", which, hints=names))
    return list(first.values()), limitations


def damage_limitations(damages: Sequence[str]) -> list[Limitation]:
    """Return what is left out, given `OutputFolder.damages`."""
    which = "with a record, but with a file that is missing, of another size or damaged,"
    return [left_out(len(damages), "map", which, hints=damages)] if damages else []


def draw_summary(folder: OutputFolder, records: list[MapRecord], agreement: pd.DataFrame) -> None:
    """Draw and write the cohort's summary figure; `agreement` from `write_agreement`."""
    statistics = statistics_table(records)
    statistics["class"] = np.where(statistics["true_label"] == 0, "HC", "TLE")
    methods = [method for method in METHODS if method in set(statistics["method"])]
    means = mean_agreement(agreement, methods)
    strength_with_confidence = {
        method: rank_correlation(rows["confidence"], rows["abs_mean"])
        for method, rows in statistics.groupby("method")
    }
    profiles = _mean_profiles(records)
    figure = cohort_figure(statistics, profiles, means, strength_with_confidence, folder.class_names)
    write_figure(folder.summary, figure)


def _mean_profiles(records: list[MapRecord]) -> dict[tuple[str, str], np.ndarray]:
    """Return the mean slice profile, float64 (n_slices,), of every (method, class)."""
    profiles: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for record in records:
        class_name = "TLE" if record.statistics.is_tle else "HC"
        profiles.setdefault((record.method, class_name), []).append(record.slice_profile)
    return {key: np.mean(members, axis=0) for key, members in sorted(profiles.items())}
