"""The tables of a combined folder -> the numbers of the report's section on networks."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mri_saliency.combine.repeatability import OF_NULL, REPEATABLE, SIGNS
from mri_saliency.maps.comparison import AGREEMENT, CHANCE
from mri_saliency.output.files import read_table
from mri_saliency.report.findings import Findings

_OPTIONS = ("csv_path", "baseline", "target", "first_slice", "max_samples")  # that differ between runs
_ICC = ["icc", "icc_low", "icc_high"]


def run_entries(findings: Findings) -> list[dict]:
    """Return how far combined runs agree, an entry for each method that two or more explain a scan by.

    Of each: ``method``, ``n_scans``; ``rank_correlation`` and ``sign_agreement``, from `_means`; ``icc``, the
    medians over regions of the coefficient and its interval's ends, or None; ``verdict``, or None.
    """
    folder, entries = findings.folder, []
    agreement, regions = read_table(folder.run_agreement), read_table(folder.run_region_agreement)
    for method, rows in () if agreement is None else agreement.groupby("method", sort=False):
        icc = None if regions is None else regions.loc[regions["method"] == method, _ICC].median()
        entry: dict[str, object] = {"method": method, "n_scans": rows["subject_id"].nunique()}
        entry |= {measure: _means(rows, measure) for measure in (AGREEMENT, SIGNS)}
        entry["icc"] = None if icc is None or icc.isna().any() else icc.tolist()
        entries.append(entry | {"verdict": findings.verdicts.get(method, {}).get(REPEATABLE)})
    return entries


def recipe_differences(runs: Sequence[Mapping]) -> dict[str, list[str]]:
    """Return what differs between runs, in words -> each run's value, from run.json's ``combined``."""
    described = [_description(run) for run in runs]
    keys = dict.fromkeys(key for of_run in described for key in of_run)
    values = {key: [of_run.get(key, "–") for of_run in described] for key in keys}
    return {key: found for key, found in values.items() if len(set(found)) > 1}


def _description(run: Mapping) -> dict[str, str]:
    content = {
        "checkpoint": run["checkpoint"]["path"],
        "checkpoint's sha256": run["checkpoint"]["sha256"][:12],
        "network": run["checkpoint"]["network"],
        **{f"--{name}": run["options"][name] for name in _OPTIONS},
        **{f"--{name}": value for name, value in run["settings"].items()},
        "version": run["tool"]["version"],
    }
    return {key: "–" if value is None else str(value) for key, value in content.items()}


def _means(rows: pd.DataFrame, measure: str) -> dict[str, float]:
    """Return a measure's mean over scans and pairs of runs, by chance and with the null; NaN if unknown."""
    names = {measure: "mean", f"{measure}{CHANCE}": "chance", f"{measure}{OF_NULL}": "null"}
    return rows.reindex(columns=list(names)).astype(float).mean().rename(names).to_dict()
