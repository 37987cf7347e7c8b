"""Findings -> the report, one page of HTML."""

from collections.abc import Sequence
from dataclasses import asdict

from mri_saliency.output.files import read_text, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.report.answer import short_answer
from mri_saliency.report.bibliography import bibliography
from mri_saliency.report.findings import Findings
from mri_saliency.report.methods_text import methods_text
from mri_saliency.report.page import known_answer, render_page
from mri_saliency.run.outcome import RunState


def write_report(findings: Findings, *, embed: bool) -> list[str]:
    """Write report.html, with its pictures if `embed`, and references.bib; return the answer's lines."""
    write_text(findings.folder.references, bibliography(methods_text(findings)))
    write_text(findings.folder.report, render_page(findings, embedded=embed))
    return short_answer(findings)


def write_unfinished(folder: OutputFolder, records: Sequence[MapRecord], state: RunState) -> None:
    """Write report.html of an unfinished run, if there are maps and run.json; raises OutputError."""
    run = folder.last_run()
    if records and run is not None:
        failures = [asdict(failure) for failure in state.failures]
        findings = Findings(folder, run, in_order(list(records)), failures, state)
        write_text(folder.report, render_page(findings, embedded=False))


def write_known_answer(folder: OutputFolder) -> None:
    """Write what only a demo knows into its report, which was made before it was known."""
    page = read_text(folder.report)
    if page is not None:
        begin, end = '<section id="known-answer">', "</section>"
        first, _, rest = page.partition(begin)
        write_text(folder.report, f"{first}{begin}{known_answer(folder)}{end}{rest.partition(end)[2]}")
