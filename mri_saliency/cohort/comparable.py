"""The maps that can be compared, and the cohort's summary figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mri_saliency.cohort.summary import cohort_figure
from mri_saliency.inputs.grid import mixed_directions
from mri_saliency.maps.comparison import mean_agreement, rank_correlation
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_figure
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order, statistics_table
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, counted

_NAMED_DUPLICATES = 5  # in the note about them


def comparable(records: list[MapRecord]) -> tuple[list[MapRecord], list[str]]:
    """Return, for each method, the maps that describe the cohort, and notes about the others.

    They are the maps of the method's most frequent recipe: a folder that is filled in several runs can hold
    maps made with different settings, which measure different things, so no mean is taken over them. And of
    scans with the same voxels and grid, also in files of two formats, they are the maps of the first.
    """
    by_recipe: dict[str, dict[str, list[MapRecord]]] = {}  # method -> digest of the recipe -> records
    for record in records:
        recipes = by_recipe.setdefault(record.method, {})
        recipes.setdefault(record.recipe.digest(), []).append(record)
    kept: list[MapRecord] = []
    notes = []
    for method, recipes in by_recipe.items():
        most_frequent = max(recipes.values(), key=len)
        kept += most_frequent
        n = sum(map(len, recipes.values()))
        if len(most_frequent) < n:
            notes.append(
                f"{method}: {n - len(most_frequent)} of {n} maps in the folder were made with other settings "
                "than most (see fingerprint in their sidecars); what describes the cohort leaves them out."
            )
    kept, more_notes = _without_duplicates(kept)
    return kept, notes + more_notes


def left_out_sentences(records: Sequence[MapRecord], kept: Sequence[MapRecord]) -> list[str]:
    """Return what `comparable` left out, in sentences for a paper.

    Parameters
    ----------
    records, kept : sequence of MapRecord
        What it was given, and what it returned.
    """
    described = {(record.method, record.subject_id) for record in kept}
    recipes = {record.method: record.recipe.digest() for record in kept}
    left_out = [record for record in records if (record.method, record.subject_id) not in described]
    n_other = Counter(
        record.method for record in left_out if record.recipe.digest() != recipes[record.method]
    )
    copies = {record.subject_id for record in left_out if record.recipe.digest() == recipes[record.method]}
    sentences = [
        f"Of {METHODS[method].title}, {counted(n, 'map')} made with other settings than most "
        f"{'was' if n == 1 else 'were'} left out."
        for method, n in n_other.items()
    ]
    if copies:
        verb = "was" if len(copies) == 1 else "were"
        sentences.append(
            f"{counted(len(copies), 'scan')} {verb} left out because another scan had the same voxels."
        )
    return sentences


def _without_duplicates(records: list[MapRecord]) -> tuple[list[MapRecord], list[str]]:
    """Return each method's maps of different scans, in order, and a note about the others."""
    first: dict[tuple[str, str], MapRecord] = {}  # by method and content of the scan
    duplicates: dict[str, str] = {}  # subject -> the one with the same voxels
    kept = []
    for record in in_order(records):
        original = first.setdefault((record.method, record.source.content_sha256), record)
        if original is record:
            kept.append(record)
        else:
            duplicates[record.subject_id] = original.subject_id
    pairs = [f"{copy} (as {original})" for copy, original in duplicates.items()]
    more = f" and {len(pairs) - _NAMED_DUPLICATES} more" if len(pairs) > _NAMED_DUPLICATES else ""
    note = (
        f"{len(pairs)} scans have the same voxels as another and are not counted again: "
        f"{', '.join(pairs[:_NAMED_DUPLICATES])}{more}."
    )
    return kept, [note] if pairs else []


def mixed_direction_notes(records: list[MapRecord]) -> list[str]:
    """Return a warning if scans differ in the direction of their x axis, else nothing."""
    warning, _ = mixed_directions({record.subject_id: record.grid for record in records})
    return [warning] if warning else []


def draw_summary(
    folder: OutputFolder,
    records: list[MapRecord],
    agreement: pd.DataFrame,
    class_names: ClassNames = DEFAULT_CLASS_NAMES,
) -> None:
    """Draw and write the cohort's summary figure; `agreement` from `compare_methods`."""
    statistics = statistics_table(records)
    statistics["class"] = np.where(statistics["true_label"] == 0, "HC", "TLE")
    methods = [method for method in METHODS if method in set(statistics["method"])]
    means = mean_agreement(agreement, methods, "rank_correlation")
    strength_with_confidence = {}
    for method in methods:
        rows = statistics[statistics["method"] == method]
        strength_with_confidence[method] = rank_correlation(rows["confidence"], rows["abs_mean"])
    profiles = _mean_profiles(records)
    figure = cohort_figure(statistics, profiles, means, strength_with_confidence, class_names)
    write_figure(folder.summary, figure)


def _mean_profiles(records: list[MapRecord]) -> dict[tuple[str, str], np.ndarray]:
    """Return the mean slice profile, float64 (n_slices,), of every (method, class)."""
    profiles: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for record in records:
        class_name = "TLE" if record.statistics.is_tle else "HC"
        profiles.setdefault((record.method, class_name), []).append(record.slice_profile)
    return {key: np.mean(members, axis=0) for key, members in sorted(profiles.items())}
