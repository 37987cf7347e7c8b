"""The tables of a combined folder -> the numbers of the report's section on networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.combine.repeatability import OF_NULL, REPEATABLE, SIGNS
from mri_saliency.maps.comparison import AGREEMENT, CHANCE
from mri_saliency.output.files import read_table
from mri_saliency.report.findings import Findings

_OPTIONS = ("csv_path", "baseline", "target", "first_slice", "max_samples")  # that differ between runs
_SHA256_SHOWN = 12  # digits


@dataclass(frozen=True)
class RunEntry:
    """How far runs agree by one method's maps."""

    method: str
    n_scans: int
    # measure -> its mean over scans and pairs of runs, "chance" and "null"
    means: dict[str, dict[str, float]]
    # medians over regions of the intraclass correlation and of its interval's ends
    icc: tuple[float, float, float] | None
    verdict: Verdict | None  # whether the networks agree; None for runs of one network


@dataclass(frozen=True)
class RunsSection:
    """What the report shows of combined runs."""

    names: list[str]
    n_networks: int  # runs may be of one network
    differences: dict[str, list[str]]  # what differs between the runs -> each run's
    entries: list[RunEntry]  # one for each method that two runs or more explain a scan by


def runs_section(findings: Findings) -> RunsSection | None:
    """Return what the report shows of combined runs; None for a folder of one run."""
    runs, folder = findings.run.get("combined"), findings.folder
    if not runs:
        return None
    agreement, regions = read_table(folder.run_agreement), read_table(folder.run_region_agreement)
    entries = []
    for method, rows in () if agreement is None else agreement.groupby("method", sort=False):
        verdict = findings.verdicts.get(method, {}).get(REPEATABLE)
        icc = None if regions is None else _icc(regions[regions["method"] == method])
        means = {measure: _means(rows, measure) for measure in (AGREEMENT, SIGNS)}
        entries.append(RunEntry(method, rows["subject_id"].nunique(), means, icc, verdict))
    n_networks = len({part["checkpoint"]["sha256"] for part in runs})
    return RunsSection([part["run"] for part in runs], n_networks, recipe_differences(runs), entries)


def recipe_differences(runs: Sequence[Mapping]) -> dict[str, list[str]]:
    """Return what differs between runs, in words -> each run's value, from run.json's ``combined``."""
    described = [_description(run) for run in runs]
    keys = dict.fromkeys(key for of_run in described for key in of_run)
    values = {key: [of_run.get(key, "–") for of_run in described] for key in keys}
    return {key: found for key, found in values.items() if len(set(found)) > 1}


def _description(run: Mapping) -> dict[str, str]:
    content = {
        "checkpoint": run["checkpoint"]["path"],
        "checkpoint's sha256": run["checkpoint"]["sha256"][:_SHA256_SHOWN],
        "network": run["checkpoint"]["network"],
        **{f"--{name}": run["options"][name] for name in _OPTIONS},
        **{f"--{name}": value for name, value in run["settings"].items()},
        "version": run["tool"]["version"],
    }
    return {key: "–" if value is None else str(value) for key, value in content.items()}


def _means(rows: pd.DataFrame, measure: str) -> dict[str, float]:
    """Return a measure's mean over scans and pairs of runs, by chance and with the null; NaN if unknown."""
    columns = {"mean": measure, "chance": f"{measure}{CHANCE}", "null": f"{measure}{OF_NULL}"}
    known = rows.reindex(columns=list(columns.values())).astype(float).mean()
    return {name: float(known[column]) for name, column in columns.items()}


def _icc(rows: pd.DataFrame) -> tuple[float, float, float] | None:
    icc, low, high = (rows[name].median() for name in ("icc", "icc_low", "icc_high"))
    return (icc, low, high) if icc == icc else None
