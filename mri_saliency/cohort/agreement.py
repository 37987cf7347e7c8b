"""A scan's maps by different methods -> how far they agree, and the cohort's summary figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mri_saliency.attribution.methods import METHODS
from mri_saliency.cohort.figures import cohort_figure
from mri_saliency.maps.comparison import agreement as pairwise_agreement
from mri_saliency.maps.comparison import agreement_matrix, rank_correlation
from mri_saliency.output.files import write_figure, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order, statistics_table
from mri_saliency.runtime.workers import Workers


def comparable(records: list[MapRecord]) -> tuple[list[MapRecord], list[str]]:
    """Return, for each method, the maps of its most frequent recipe, and a note for each method with others.

    A folder that is filled in several runs can hold maps of one method made with different settings; these
    measure different things, so no mean is taken over them.
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
    return in_order(kept), notes


def compare_methods(folder: OutputFolder, records: list[MapRecord], workers: Workers) -> pd.DataFrame:
    """Write and return the agreement of every scan's maps.

    Returns
    -------
    DataFrame
        One row for each scan and pair of methods: ``subject_id`` and the keys of
        `mri_saliency.maps.comparison.agreement`. Empty, and without a file, if no scan has two maps.
    """
    methods_by_scan: dict[str, list[str]] = {}
    for record in records:
        methods_by_scan.setdefault(record.subject_id, []).append(record.method)
    work = {
        subject_id: workers.submit(_compare_maps, folder, subject_id, methods)
        for subject_id, methods in methods_by_scan.items()
        if len(methods) > 1
    }
    table = pd.DataFrame(
        {"subject_id": subject_id} | row for subject_id, job in work.items() for row in job.result()
    )
    write_or_remove_table(folder.agreement, table)
    return table


def _compare_maps(folder: OutputFolder, subject_id: str, methods: list[str]) -> list[dict]:
    """Return a row for each pair of one scan's maps; runs in a worker."""
    return pairwise_agreement({method: folder.load_map(method, subject_id) for method in methods})


def draw_summary(folder: OutputFolder, records: list[MapRecord], agreement: pd.DataFrame) -> None:
    """Draw and write the cohort's summary figure; `agreement` as `compare_methods` returns it."""
    statistics = statistics_table(records)
    statistics["class"] = np.where(statistics["true_label"] == 0, "HC", "TLE")
    methods = [method for method in METHODS if method in set(statistics["method"])]
    matrix = agreement_matrix(agreement, methods, "rank_correlation")
    strength_with_confidence = {}
    for method in methods:
        rows = statistics[statistics["method"] == method]
        strength_with_confidence[method] = rank_correlation(rows["confidence"], rows["abs_mean"])
    figure = cohort_figure(statistics, _mean_profiles(records), matrix, strength_with_confidence)
    write_figure(folder.summary, figure)


def _mean_profiles(records: list[MapRecord]) -> dict[tuple[str, str], np.ndarray]:
    """Return the mean slice profile, float64 (n_slices,), of every (method, class)."""
    profiles: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for record in records:
        class_name = "TLE" if record.statistics.is_tle else "HC"
        profiles.setdefault((record.method, class_name), []).append(record.slice_profile)
    return {key: np.mean(members, axis=0) for key, members in sorted(profiles.items())}
