"""The tables of combined runs -> whether the runs agree: on single scans, and on regions over scans."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import fdtri

from mri_saliency.checks.verdicts import Verdict, judge_leads
from mri_saliency.maps.comparison import AGREEMENT, CHANCE
from mri_saliency.methods import METHODS
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.statistics.intervals import COVERAGE, FEWEST
from mri_saliency.wording import listed

REPEATABLE = "agree between these networks"
SIGNS = "sign_agreement"
OF_NULL = "_null"  # ends a measure's name: the same of a run's map and its null map
_LESS_ALIKE = {CHANCE: "the same network's map of another subject", OF_NULL: "the null map"}


def intraclass_correlation(values: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Return ICC(2,1) within groups, and its 95 % interval: how much of the variance is that between scans.

    Two-way random effects, absolute agreement, a single run: runs are a sample of the runs there could be,
    and a run whose values are all higher lowers it (Shrout and Fleiss 1979, Psychological Bulletin; interval:
    McGraw and Wong 1996, Psychological Methods). Mean squares are pooled over groups, so that a difference
    of the groups' means is no agreement on scans, and a run that is higher in one group lowers it.

    `values` is (n_scans, n_runs), two runs at least; `groups` (n_scans,) has two scans or more of each. The
    coefficient is 1 at most and about 0 by chance; NaN if all values of a group are equal.
    """
    names = np.unique(groups)
    (n, k), g = values.shape, len(names)
    n_mean = n / g
    between_scans = between_runs = error = 0.0
    for name in names:
        centred = values[groups == name] - values[groups == name].mean()
        of_scans, of_runs = centred.mean(axis=1), centred.mean(axis=0)
        between_scans += k * (of_scans**2).sum() / (n - g)
        between_runs += len(centred) * (of_runs**2).sum() / (g * (k - 1))
        error += ((centred - of_scans[:, None] - of_runs) ** 2).sum() / ((n - g) * (k - 1))

    def coefficient(between: float) -> float:
        total = between + (k - 1) * error + k * (between_runs - error) / n_mean
        return float((between - error) / total) if total > 0 else math.nan

    icc = coefficient(between_scans)
    if not icc < 1:
        return icc, icc, icc
    odds = max(icc, 0.0) / (1 - icc) * k / n_mean
    parts = odds * between_runs, (1 + odds * (n_mean - 1)) * error
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (g * (k - 1)) + parts[1] ** 2 / ((n - g) * (k - 1)))
    low = coefficient(between_scans / fdtri(n - g, freedom, (1 + COVERAGE) / 2))
    high = coefficient(between_scans * fdtri(freedom, n - g, (1 + COVERAGE) / 2))
    return icc, low, high


def region_agreement(regions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of run_region_agreement.csv from those of run_regions.csv.

    The correlation is that of the density's logarithm over runs, within diagnoses: of scans whose density is
    above 0 in each run, and of diagnoses with two such scans.
    """
    rows = []
    for (method, region), part in regions.groupby(["method", "region"], sort=False) if len(regions) else ():
        by_run = part.pivot(index=["subject_id", "diagnosis"], columns="run", values="density").astype(float)
        by_run = np.log(by_run[(by_run > 0).all(axis=1)])
        by_run = by_run[by_run.groupby("diagnosis").transform("size") > 1]
        if len(by_run) >= FEWEST and by_run.shape[1] >= 2:
            icc = intraclass_correlation(by_run.to_numpy(), by_run.index.get_level_values("diagnosis"))
            of_region = {"method": method, "region": region}
            of_region |= dict(zip(("icc", "icc_low", "icc_high"), icc, strict=True))
            rows.append(of_region | {"n_scans": len(by_run), "n_networks": by_run.shape[1]})
    return pd.DataFrame(rows)


def judge_repeatability(folder: OutputFolder) -> dict[str, dict[str, Verdict]]:
    """Judge whether networks that were trained alike agree: method -> {`REPEATABLE`: its verdict}.

    The maps of one scan by two networks must be more alike in rank than the maps of two subjects by one
    network, and than a network's map and its null map; those of signed methods must have the same sign in
    more than half of the brain. More as in `judge_leads`. Only runs of different networks count.
    """
    table = read_table(folder.run_agreement)
    runs = (folder.last_run() or {}).get("combined", ())
    if table is None or not runs:
        return {}
    network = {run["run"]: run["checkpoint"]["sha256"] for run in runs}
    table = table[table["run_a"].map(network) != table["run_b"].map(network)]
    return {method: {REPEATABLE: _verdict(rows)} for method, rows in table.groupby("method", sort=False)}


def repeatability_sentences(
    found: Mapping[str, Mapping[str, Verdict]], n_networks: int, *, with_regions: bool
) -> list[str]:
    """Return how runs were compared, and whose maps agreed, in sentences for a paper.

    `found` is method -> {check: its verdict}, empty for runs of one network.
    """
    sentences = [
        "Two runs' maps of a scan were compared by their rank correlation and by the share of the brain with "
        "the same sign [@eitel2019; @arun2021]."
    ]
    if with_regions:
        sentences.append(
            "Over the scans of a diagnosis, regions were compared by the intraclass correlation ICC(2,1) of "
            "the logarithm of their density [@shrout1979]."
        )
    judged = {METHODS[name].title: verdicts.get(REPEATABLE) for name, verdicts in found.items()}
    for passed, words in (
        (True, "The maps of {} agreed between these {} networks."),
        (False, "The maps of {} did not agree between these {} networks."),
        (None, "Whether the maps of {} agree between these {} networks could not be judged."),
    ):
        named = [title for title, verdict in judged.items() if verdict and verdict.passed is passed]
        if named:
            sentences.append(words.format(listed(named), n_networks))
    return sentences


def _verdict(rows: pd.DataFrame) -> Verdict:
    numbers = [f"{AGREEMENT}{end}" for end in ("", CHANCE, OF_NULL)]
    by_scan = rows.groupby("subject_id")[[*numbers, SIGNS]].mean()
    leads = {
        f"{other}, {by_scan[AGREEMENT + end].mean():.2f}": by_scan[AGREEMENT] - by_scan[AGREEMENT + end]
        for end, other in _LESS_ALIKE.items()
        if end == CHANCE or by_scan[AGREEMENT + end].notna().any()
    }
    if by_scan[SIGNS].notna().any():
        leads[f"chance in sign ({by_scan[SIGNS].mean():.1%} of the brain)"] = by_scan[SIGNS] - 0.5
    about = f"rank correlation {by_scan[AGREEMENT].mean():.2f} with another network's map of the scan; "
    advice = "Do not read what one network's maps show as more than that training's."
    return judge_leads({words: lead.dropna() for words, lead in leads.items()}, advice, about)
