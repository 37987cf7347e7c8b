"""Sanity checks of some scans' maps on the network -> map_checks.csv and map_checks.png."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from mri_saliency.attribution.baselines import Baseline
from mri_saliency.attribution.explainer import Explainer
from mri_saliency.attribution.sanity_checks import CheckedScans, check_maps, n_stages
from mri_saliency.attribution.sanity_verdicts import (
    ORDERS,
    areas_between,
    curve,
    mean_values,
    pass_lines,
    verdicts,
)
from mri_saliency.cohort.check_figure import check_figure
from mri_saliency.errors import warn
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan
from mri_saliency.output.files import write_figure, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import Recipe
from mri_saliency.output.resume import Plan
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks


def check_some_maps(
    groups: Iterable[list[LoadedScan | UnreadableScan]],
    explainer: Explainer,
    baseline: Baseline,
    plan: Plan,
) -> None:
    """Check each method's maps of some scans on the network, and write what was found.

    Parameters
    ----------
    groups : iterable of lists
        The scans whose maps are checked; two readable ones at least, whose maps are compared.
    explainer : Explainer
    baseline : Baseline
    plan : Plan
        Has the methods and their recipes.
    """
    scans = [scan for group in groups for scan in group if isinstance(scan, LoadedScan)]
    if len(scans) < 2:
        warn("--check_maps needs two readable scans at least, whose maps it compares; skipped.")
        return
    methods = list(plan.recipes)
    inputs = np.stack([scan.network_input for scan in scans])
    checked = CheckedScans(
        inputs=inputs,
        baselines=baseline.of(scans),
        scan_ids=[scan.context.source.sha256 for scan in scans],
        targets=plan.recipes[methods[0]].target,
        subject_ids=[scan.context.scan.subject_id for scan in scans],
        brains=np.stack([scan.context.brain for scan in scans]),
    )
    print(f"checking the maps of {len(scans)} scans on the network", flush=True)
    progress = Progress(n_stages(explainer.network, methods), 0, Ranks(), unit="check")
    table = check_maps(explainer, checked, methods, progress.advance)
    progress.close()
    for method, verdict in verdicts(table).items():
        print(f"{method}: " + "; ".join(f"{check}: {answer}" for check, answer in verdict.answers().items()))
    write_check_results(plan.files.folder, table, plan.recipes)


def evenly_spread(items: Sequence, n: int) -> list:
    """Return `n` items from the first to the last, or all if there are fewer."""
    n, last = min(n, len(items)), len(items) - 1
    positions = {round(place * last / max(1, n - 1)) for place in range(n)}
    return [items[position] for position in sorted(positions)]


def write_check_results(folder: OutputFolder, table: pd.DataFrame, recipes: Mapping[str, Recipe]) -> None:
    """Write the checks' table and figure.

    Parameters
    ----------
    folder : OutputFolder
    table : DataFrame
        From `mri_saliency.attribution.sanity_checks.check_maps`.
    recipes : mapping
        Method -> the recipe of its maps, whose digest says later which maps the checks are about.
    """
    means = mean_values(table)
    curves = {
        check: {name: curve(means, check, name) for name in (*recipes, *ORDERS)}
        for check in ("deletion", "insertion")
    }
    areas = {method: areas_between(table, method) for method in recipes}
    write_figure(folder.check_figure, check_figure(means, pass_lines(table), curves, areas))
    digests = {method: recipe.digest() for method, recipe in recipes.items()}
    fingerprints = table["method"].map(digests)
    write_table(folder.checks, pd.concat([fingerprints.rename("fingerprint"), table], axis=1))
