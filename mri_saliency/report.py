"""Tables and figures -> the report, one self-contained page of HTML. This module knows no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_saliency import measures


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes
    ----------
    run : dict
        The content of run.json.
    statistics : DataFrame
        attribution_statistics.csv: a row a map.
    alarms : list of str
        What needs a look, in sentences.
    figures : dict
        "summary" (the cohort's), and where they are "regions" and "checks" -> path of a PNG.
    group_figures : dict
        Method -> {group's title: path}.
    summaries : dict
        (subject, method) -> path of the summary figure.
    agreement : DataFrame
        A row a subject and pair of methods; may be empty.
    regions : DataFrame or None
        region_statistics.csv, with the column `diagnosis`.
    densest : dict
        Method -> the regions to list, in order.
    verdicts : dict
        Method -> {check: "yes", "NO" or why it does not apply}; empty if they were not run.
    failures : list of dict
        failures.csv.
    embedded : bool
        Whether the page holds its pictures, so that none can be opened by itself.
    """

    run: dict
    statistics: pd.DataFrame
    alarms: list[str]
    figures: Mapping[str, Path]
    group_figures: Mapping[str, Mapping[str, Path]]
    summaries: Mapping[tuple[str, str], Path]
    agreement: pd.DataFrame
    regions: pd.DataFrame | None = None
    densest: Mapping[str, list[str]] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    failures: list[dict] = field(default_factory=list)
    embedded: bool = False


def render(report: Report, link: Callable[[Path], str]) -> str:
    """Write the page.

    Parameters
    ----------
    report : Report
    link : callable
        Turns a figure's path into what an ``src`` takes: a relative URL, or the picture itself.
    """
    environment = Environment(
        loader=PackageLoader("mri_saliency", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent}
    environment.globals["link"] = link
    methods = list(dict.fromkeys(report.statistics["method"]))
    return environment.get_template("report.html").render(
        report=report,
        methods=methods,
        subjects=_subjects(report),
        classifier=classification(report.statistics),
        agreement={
            measure: measures.agreement_matrix(report.agreement, methods, measure)
            for measure in ("rank_correlation", "top_overlap")
            if len(report.agreement)
        },
        regions=_region_means(report),
    )


def classification(statistics: pd.DataFrame) -> dict:
    """Say how the classifier did on the scans in the table, a row a map.

    Returns
    -------
    dict
        ``confusion``: {true class: {predicted class: scans}}; ``accuracy``, ``sensitivity`` (TLE
        found), ``specificity`` (HC found) and ``auc`` (area under the ROC curve), None where a class
        is absent; ``roc``: points (false positives' rate, true positives' rate).
    """
    scans = statistics.drop_duplicates("subject_id")
    truth, predicted = scans["true_label"] == 1, scans["prediction"] > 0.5
    names = {False: "HC", True: "TLE"}
    confusion = {
        names[true]: {names[said]: int(((truth == true) & (predicted == said)).sum()) for said in names}
        for true in names
    }
    n_tle, n_hc = int(truth.sum()), int((~truth).sum())
    order = scans["prediction"].sort_values(ascending=False)
    last_of_ties = ~order.duplicated(keep="last").to_numpy()
    hits = truth[order.index].to_numpy().cumsum()[last_of_ties]
    alarms = (~truth[order.index]).to_numpy().cumsum()[last_of_ties]
    return {
        "confusion": confusion,
        "accuracy": float((truth == predicted).mean()),
        "sensitivity": confusion["TLE"]["TLE"] / n_tle if n_tle else None,
        "specificity": confusion["HC"]["HC"] / n_hc if n_hc else None,
        "auc": measures.roc_auc(scans["prediction"], truth) if n_tle and n_hc else None,
        "roc": [(0.0, 0.0), *zip(alarms / n_hc, hits / n_tle, strict=True)] if n_tle and n_hc else [],
    }


def _subjects(report: Report) -> list[dict]:
    """Make a dict a subject, wrong predictions first, then the least confident."""
    subjects = []
    statistics = report.statistics.fillna({"completeness_verdict": ""})  # where nothing is promised
    for subject_id, rows in statistics.groupby("subject_id", sort=False):
        first = rows.iloc[0]
        subjects.append(
            {
                "id": subject_id,
                "diagnosis": first["diagnosis"],
                "probability": first["prediction"],
                "said": "TLE" if first["prediction"] > 0.5 else "HC",
                "confidence": first["confidence"],
                "correct": bool((first["prediction"] > 0.5) == (first["true_label"] == 1)),
                "maps": [
                    {
                        "method": row["method"],
                        "figure": report.summaries[subject_id, row["method"]],
                        "verdict": row["completeness_verdict"],
                        "error": row["completeness_error"],
                        "brain_share": row["brain_share"],
                    }
                    for row in rows.to_dict("records")
                ],
            }
        )
    return sorted(subjects, key=lambda subject: (subject["correct"], subject["confidence"]))


def _region_means(report: Report) -> dict[str, list[dict]]:
    """Average each method's densest regions by diagnosis."""
    means = {}
    for method, names in report.densest.items():
        rows = report.regions[report.regions["method"] == method]
        by_diagnosis = rows.astype({"density": float, "asymmetry": float}).groupby(["region", "diagnosis"])
        of_regions = {measure: by_diagnosis[measure].mean().unstack() for measure in ("density", "asymmetry")}
        means[method] = [
            {"region": name} | {measure: of.loc[name].to_dict() for measure, of in of_regions.items()}
            for name in names
        ]
    return means


def _number(value: float | None, digits: int = 2) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"
