"""Findings -> a page of HTML; the templates show them, and call the functions that derive more from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_saliency.maps.comparison import mean_agreement
from mri_saliency.maps.drawing import PAGE_COLOURS
from mri_saliency.regions.lateralisation import RESPONSE_OF_A_SIDE
from mri_saliency.report.bibliography import with_authors
from mri_saliency.report.findings import Findings
from mri_saliency.report.groups import region_contrasts, shown_clusters
from mri_saliency.report.methods_text import methods_text
from mri_saliency.report.networks import runs_section
from mri_saliency.report.numbers import classifiers, region_summaries, side_entries
from mri_saliency.report.scans import input_tables, scan_entries
from mri_saliency.report.viewer import viewer_of
from mri_saliency.wording import counted, with_minus


def render_page(findings: Findings, link: Callable[[Path], str], *, embedded: bool) -> str:
    """Return the report.

    `link` converts a path to a URL, which holds the file itself if `embedded`.
    """
    return _environment().get_template("report.html").render(findings=findings, link=link, embedded=embedded)


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mri_saliency.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "significant": _significant,
        "percent": _percent,
        "counted": counted,
        "moment": _moment,
        "with_authors": with_authors,
        "pairs": lambda mapping: ", ".join(f"{key} {value}" for key, value in mapping.items()),
    }
    functions = (
        classifiers, input_tables, mean_agreement, methods_text, region_contrasts, region_summaries,
        runs_section, scan_entries, shown_clusters, side_entries, viewer_of,
    )  # fmt: skip
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals["diagnosis_colours"] = PAGE_COLOURS
    environment.globals["response_of_a_side"] = RESPONSE_OF_A_SIDE
    environment.globals["now"] = lambda: datetime.now().astimezone().isoformat()
    return environment


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not np.isfinite(value) else with_minus(f"{value:.{digits}f}")


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def _significant(value: float, digits: int = 2) -> str:
    """Return a positive number with so many digits, or as a whole one."""
    return f"{value:.{digits}g}" if value < 10**digits - 0.5 else f"{value:.0f}"


def _moment(iso: str) -> str:
    """Return a moment of run.json as people write it, such as "26 November 2026, 00:17 UTC+01:00"."""
    moment = datetime.fromisoformat(iso)
    return with_minus(f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzinfo}")
