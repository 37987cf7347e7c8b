"""Findings -> a page of HTML; the templates show them, and call the functions that derive more from them."""

import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from statistics import median

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mri_saliency.inputs.atlas import HEMISPHERES, without_side
from mri_saliency.maps.comparison import mean_agreement
from mri_saliency.maps.drawing import LOWERS, PAGE_COLOURS, RAISES
from mri_saliency.methods import METHODS
from mri_saliency.output.files import data_url, picture_size, read_table, relative_url
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.lateralisation import RESPONSE_OF_A_SIDE
from mri_saliency.report.answer import find_answer
from mri_saliency.report.bibliography import with_authors
from mri_saliency.report.findings import Findings
from mri_saliency.report.methods_text import methods_text
from mri_saliency.report.networks import recipe_differences, run_entries
from mri_saliency.report.numbers import auc, place_name, region_summaries
from mri_saliency.report.scans import scan_entries
from mri_saliency.report.viewer import viewer_of
from mri_saliency.statistics.intervals import share_interval
from mri_saliency.wording import NUMBERS, counted, listed, percent, with_minus


def render_page(findings: Findings, *, embedded: bool) -> str:
    """Return the report, with its pictures if `embedded`, else with links to them."""
    answer, folder = find_answer(findings), findings.folder
    link = data_url if embedded else partial(relative_url, folder=folder.root)
    about = {"findings": findings, "answer": answer, "leading": answer.methods[0].method}
    about["known"] = Markup(known_answer(folder)) if findings.demo else ""
    return _environment().get_template("report.html").render(**about, link=link, embedded=embedded)


def known_answer(folder: OutputFolder) -> str:
    """Return what only a demo knows, from its tables: where the lesions are; empty without them."""
    maps, groups = (read_table(folder.table(f"demo_{name}")) for name in ("localisation", "groups"))
    if maps is None:
        return ""
    found = {} if groups is None else groups.set_index(["method", "contrast"]).to_dict("index")
    return _environment().get_template("known.html").render(maps=maps.to_dict("records"), groups=found)


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
        "share_of_map": _share_of_map,
        "median": _median,
        "in_mm": _in_mm,
        "listed": listed,
        "with_authors": with_authors,
        "with_code": lambda text: Markup(re.sub(r"--\w+( \d+)?", r"<code>\g<0></code>", str(escape(text)))),
        "pairs": lambda mapping: ", ".join(f"{key} {value}" for key, value in mapping.items()),
    }
    functions = (
        auc, mean_agreement, methods_text, picture_size, place_name, recipe_differences,
        region_summaries, run_entries, scan_entries, share_interval, short_names, viewer_of, without_side,
    )  # fmt: skip
    environment.globals |= {function.__name__: function for function in functions} | {
        "diagnosis_colours": PAGE_COLOURS, "raises": RAISES, "lowers": LOWERS, "method_of": METHODS,
        "numbers": NUMBERS, "hemisphere": HEMISPHERES[0], "response_of_a_side": RESPONSE_OF_A_SIDE,
        "heading": lambda method: METHODS[method].heading,
        "now": lambda: datetime.now().astimezone().isoformat(),
    }  # fmt: skip
    return environment


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not np.isfinite(value) else with_minus(f"{value:.{digits}f}")


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _in_mm(cluster: Mapping) -> str:
    """Return where a cluster's peak is, such as "−27, −30, −12"."""
    return ", ".join(_number(cluster[f"peak_{axis}"], 0) for axis in "xyz")


def _share_of_map(error: float | None) -> str:
    return "–" if error is None else "under 0.01%" if error < 1e-4 else percent(error)


def _significant(value: float, digits: int = 2) -> str:
    """Return a positive number with so many digits, or as a whole one."""
    return f"{value:.{digits}g}" if value < 10**digits - 0.5 else f"{value:.0f}"


def _moment(iso: str) -> str:
    """Return a moment of run.json as people write it, such as "26 November 2026, 00:17 UTC+01:00"."""
    moment = datetime.fromisoformat(iso)
    return with_minus(f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzinfo}")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return names without what all begin with: "sub-DEMO02" -> "02"."""
    common = os.path.commonprefix(list(names)).rstrip("0123456789")
    return {name: name.removeprefix(common) or name for name in names}
