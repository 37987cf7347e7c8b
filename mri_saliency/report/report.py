"""Findings and figures -> the report, one page of HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.cohort.groups import class_words, diagnosis_words
from mri_saliency.groups.comparison import GroupComparison
from mri_saliency.maps.comparison import MEASURES, NULL, mean_agreement
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.files import data_url, read_table, relative_url, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.regions.densities import densest
from mri_saliency.report.findings import Findings
from mri_saliency.report.groups import cluster_entries, comparison_entries, region_entries
from mri_saliency.report.methods_text import MethodsText, describe_methods
from mri_saliency.report.networks import RunsSection, runs_section
from mri_saliency.report.numbers import (
    Classification,
    classification,
    input_warnings,
    region_means,
    shares_outside,
    side_entries,
)
from mri_saliency.report.page import render_page
from mri_saliency.report.scans import failure_entries, scan_table
from mri_saliency.report.viewer import Viewer, make_viewer
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, demo_mark

_STATUS = {  # of a run that did not come to its end: what the page says
    "running": "The run had not ended when this page was written, or was killed: maps may be missing.",
    "interrupted": "The run was interrupted: maps or checks may be missing. The same command continues it.",
}


@dataclass(frozen=True, eq=False)
class Report:
    """The content of the page.

    Attributes
    ----------
    run : dict
        The content of run.json; its ``skipped_rows`` may be missing.
    records : sequence of MapRecord
        The maps, in the order of `mri_saliency.output.record.in_order`.
    alarms : list of str
        What needs a look, in sentences.
    notes : list of str
        Which maps and scans are left out, and why, in sentences.
    figures : dict
        "summary" (the cohort's) and, if they exist, "regions", "lateralisation", "checks"
        -> path of a PNG.
    groups : GroupComparison
        Figures of groups, and what their comparison showed.
    folder : OutputFolder
        Holds the files that the page links.
    agreement : DataFrame
        A row a subject and pair of methods, or of a method and its null map; may be empty.
    regions : DataFrame or None
        The rows of region_statistics.csv with the column ``diagnosis``.
    densest : dict
        Method -> the regions to list, in order.
    verdicts : dict
        Method -> {check: its verdict}; empty if no checks were run.
    failures : list of dict
        The rows of failures.csv.
    embedded : bool
        Whether the page contains its pictures, so that they are not links.
    class_names : ClassNames
    viewer : Viewer or None
        None if no map has a file for the viewer.
    lateralisation : DataFrame or None
        The rows of lateralisation.csv.
    region_test : DataFrame or None
        The rows of region_group_test.csv.
    runs : RunsSection or None
        How far combined runs agree; None for a folder of one run.
    tables : sequence of Path
        The tables in the folder.
    methods_text : MethodsText or None
        What was done, for a paper.
    references : Path or None
        The file of the works that it cites.
    """

    run: dict
    records: Sequence[MapRecord]
    alarms: list[str]
    figures: Mapping[str, Path]
    groups: GroupComparison
    folder: OutputFolder
    agreement: pd.DataFrame
    regions: pd.DataFrame | None = None
    densest: Mapping[str, Sequence[str]] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)
    failures: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    embedded: bool = False
    class_names: ClassNames = DEFAULT_CLASS_NAMES
    viewer: Viewer | None = None
    lateralisation: pd.DataFrame | None = None
    region_test: pd.DataFrame | None = None
    runs: RunsSection | None = None
    tables: Sequence[Path] = ()
    methods_text: MethodsText | None = None
    references: Path | None = None


def write_report(folder: OutputFolder, findings: Findings, *, embed: bool) -> None:
    """Write report.html, with links to its pictures; with `embed`, the page contains them."""
    records = in_order(findings.records)
    has_regions = findings.regions is not None and len(findings.regions) > 0
    figures = {"summary": folder.summary}
    if has_regions:
        figures["regions"] = folder.region_figure
    has_sides = findings.lateralisation is not None and len(findings.lateralisation) > 0
    if has_sides:
        figures["lateralisation"] = folder.lateralisation_figure
    if findings.verdicts and folder.check_figure.exists():
        figures["checks"] = folder.check_figure
    failures, run = read_table(folder.failures), folder.last_run()
    runs = runs_section(folder, run, findings.verdicts)
    failures = [] if failures is None else failures.to_dict("records")
    methods_text = describe_methods(folder, run, findings, failures, runs)
    write_text(folder.references, methods_text.bibliography)
    report = Report(
        run=run,
        records=records,
        alarms=findings.alarms,
        figures=figures,
        groups=findings.groups,
        folder=folder,
        agreement=findings.agreement,
        regions=findings.regions if has_regions else None,
        densest=densest(findings.regions) if has_regions else {},
        verdicts=findings.verdicts,
        failures=failures,
        notes=findings.notes,
        embedded=embed,
        class_names=findings.class_names,
        viewer=make_viewer(folder, records, findings.class_names, embed=embed),
        lateralisation=findings.lateralisation if has_sides else None,
        region_test=findings.region_test,
        runs=runs,
        tables=sorted(folder.root.glob("*.csv")),
        methods_text=methods_text,
        references=folder.references,
    )
    link = data_url if embed else partial(relative_url, folder=folder.root)
    write_text(folder.report, render(report, link))


def render(report: Report, link: Callable[[Path], str]) -> str:
    """Return the page.

    Parameters
    ----------
    report : Report
    link : callable
        Converts a figure's path to the value of a ``src``: a relative URL, or one that contains the picture.
    """
    methods = list(dict.fromkeys(record.method for record in report.records))
    statistics = [record.statistics for record in report.records]
    return render_page(
        "report.html",
        link,
        report=report,
        demo=demo_mark(record.subject_id for record in report.records),
        methods=methods,
        table=scan_table(report.records, report.folder, report.regions),
        classifiers=_classifiers(statistics),
        warnings=Counter(input_warnings(statistics).values()).most_common(),
        skipped=report.run.get("skipped_rows", []),
        failures=failure_entries(report.failures),
        n_failed=len(report.failures),
        status=_STATUS.get(report.run.get("status")),
        embedded=report.embedded,
        words=class_words(report.class_names),
        comparisons=comparison_entries(report.groups.contrasts, report.class_names),
        compared_regions=region_entries(report.region_test, report.class_names),
        clusters=cluster_entries(report.groups.clusters, report.class_names),
        checks=list(dict.fromkeys(check for answers in report.verdicts.values() for check in answers)),
        diagnoses=diagnosis_words({row.diagnosis for row in statistics}, report.class_names),
        null=NULL,
        agreement={
            measure: mean_agreement(report.agreement, methods, measure)
            for measure in MEASURES
            if len(report.agreement)
        },
        regions=region_means(report.regions, report.densest),
        outside=shares_outside(report.regions, report.densest),
        sides=[] if report.lateralisation is None else side_entries(report.lateralisation),
    )


def _classifiers(statistics: list[MapStatistics]) -> dict[str, Classification]:
    """Return how the classifier did on all scans and, if there are such, on those with an input warning."""
    with_warning = input_warnings(statistics)
    parts = {"all scans": statistics}
    if with_warning:
        parts["with input warning"] = [row for row in statistics if row.subject_id in with_warning]
    return {title: classification(rows) for title, rows in parts.items()}
