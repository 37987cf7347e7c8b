"""The tables of combined runs -> whether the runs agree: on single scans, and on regions over scans."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.maps.comparison import AGREEMENT, CHANCE
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.statistics.intervals import FEWEST, mean_interval
from mri_saliency.wording import listed

REPEATABLE = "repeatable across trainings"
SIGNS = "sign_agreement"
OF_NULL = "_null"  # ends a measure's name: the same of a run's map and its null map
_LESS_ALIKE = {CHANCE: "the same network's map of another subject", OF_NULL: "the null map"}


def intraclass_correlation(values: np.ndarray) -> float:
    """Return ICC(2,1): how much of the variance of single values is that between scans.

    Two-way random effects, absolute agreement, a single run: runs are a sample of the runs there could be,
    and a run whose values are all higher lowers it (Shrout and Fleiss 1979, Psychological Bulletin).

    `values` is (n_scans, n_runs), two of each at least. The coefficient is 1 at most and about 0 by chance;
    NaN if all values are equal.
    """
    n, k = values.shape
    centred = values - values.mean()
    of_scans, of_runs = centred.mean(axis=1), centred.mean(axis=0)
    rest = centred - of_scans[:, None] - of_runs
    between_scans = k * (of_scans**2).sum() / (n - 1)
    between_runs = n * (of_runs**2).sum() / (k - 1)
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    total = between_scans + (k - 1) * error + k * (between_runs - error) / n
    return float((between_scans - error) / total) if total > 0 else math.nan


def region_agreement(regions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of run_region_agreement.csv from those of run_regions.csv.

    The correlation is that of the density's logarithm over runs, of scans whose density is above 0 in each.
    """
    rows = []
    for (method, region), part in regions.groupby(["method", "region"], sort=False) if len(regions) else ():
        by_run = part.pivot(index="subject_id", columns="run", values="density").astype(float)
        values = np.log(by_run[(by_run > 0).all(axis=1)].to_numpy())
        n_scans, n_runs = values.shape
        if n_scans >= FEWEST and n_runs >= 2:
            of_region = {"method": method, "region": region, "icc": intraclass_correlation(values)}
            rows.append(of_region | {"n_scans": n_scans, "n_networks": n_runs})
    return pd.DataFrame(rows)


def judge_repeatability(folder: OutputFolder) -> dict[str, dict[str, Verdict]]:
    """Judge whether networks that were trained alike agree: method -> {`REPEATABLE`: its verdict}.

    As in the other checks, the maps of one scan by two networks must be more alike in rank than the maps of
    two subjects by one network, and than a network's map and what knows nothing of the network; those of
    signed methods must have the same sign in more than half of the brain. More: the whole 95 % interval of
    the mean difference over scans is above 0. Only runs of different networks count.
    """
    table = read_table(folder.run_agreement)
    runs = (folder.last_run() or {}).get("combined", ())
    if table is None or not runs:
        return {}
    network = {run["run"]: run["checkpoint"]["sha256"] for run in runs}
    table = table[table["run_a"].map(network) != table["run_b"].map(network)]
    return {method: {REPEATABLE: _verdict(rows)} for method, rows in table.groupby("method", sort=False)}


def repeatability_sentences(
    found: Mapping[str, Mapping[str, Verdict]], titles: Mapping[str, str], *, with_regions: bool
) -> list[str]:
    """Return how runs were compared, and whose maps did not repeat, in sentences for a paper.

    `found` is method -> {check: its verdict}, empty for runs of one network; `titles` is method -> its title.
    """
    regions = ""
    if with_regions:
        regions = (
            "; over scans, regions were compared by the intraclass correlation ICC(2,1) of the logarithm of "
            "their density [@shrout1979]"
        )
    sentences = [
        "Two runs' maps of a scan were compared by their rank correlation and by the share of the brain with "
        f"the same sign [@eitel2019; @arun2021]{regions}."
    ]
    judged = {titles[name]: verdicts.get(REPEATABLE) for name, verdicts in found.items()}
    for passed, words in (
        (True, "The maps of {} repeated across trainings."),
        (False, "The maps of {} did not repeat across trainings."),
        (None, "Whether the maps of {} repeat across trainings could not be judged."),
    ):
        named = [title for title, verdict in judged.items() if verdict and verdict.passed is passed]
        if named:
            sentences.append(words.format(listed(named)))
    return sentences


def _verdict(rows: pd.DataFrame) -> Verdict:
    numbers = [f"{AGREEMENT}{end}" for end in ("", CHANCE, OF_NULL)]
    by_scan = rows.groupby("subject_id")[[*numbers, SIGNS]].mean()
    means = by_scan.mean()
    ahead = {}  # what networks must agree more than, in words -> the interval of the lead
    for end, other in _LESS_ALIKE.items():
        differences = (by_scan[AGREEMENT] - by_scan[f"{AGREEMENT}{end}"]).dropna()
        if len(differences) or end == CHANCE:
            words = f"rank correlation {means[AGREEMENT]:.2f} with another network's map of the scan, "
            words += f"{means[f'{AGREEMENT}{end}']:.2f} with {other}"
            ahead[words] = mean_interval(differences)
    signs = by_scan[SIGNS].dropna()
    if len(signs):
        ahead[f"the same sign in {means[SIGNS]:.1%} of the brain"] = mean_interval(signs - 0.5)
    if None in ahead.values():
        return Verdict(None, f"too few scans ({len(by_scan)}): {FEWEST} at least")
    behind = [words for words, interval in ahead.items() if interval and interval.low <= 0]
    if not behind:
        return Verdict(True, next(iter(ahead)))
    reason = f"{'; '.join(behind)}. Do not read what one network's maps show as more than that training's."
    return Verdict(False, reason)
