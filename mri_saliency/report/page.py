"""Templates and their content -> a page of HTML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.wording import counted

_MINUS = "\N{MINUS SIGN}"


def render_page(template: str, link: Callable[[Path], str], **content: object) -> str:
    """Return the page of a template in ``templates/``.

    Parameters
    ----------
    template : str
    link : callable
        Converts a path to a URL.
    **content
        What the template names.
    """
    return _environment().get_template(template).render(link=link, **content)


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mri_saliency.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["diagnosis_colours"] = DIAGNOSIS_COLOURS
    environment.filters |= {
        "number": _number,
        "significant": _significant,
        "percent": _percent,
        "counted": counted,
        "moment": _moment,
    }
    return environment


def _number(value: float | None, digits: int = 2) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", _MINUS)


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def _significant(value: float, digits: int = 2) -> str:
    """Return a positive number with so many digits, or as a whole one."""
    return f"{value:.{digits}g}" if value < 10**digits - 0.5 else f"{value:.0f}"


def _moment(iso: str) -> str:
    """Return a moment of run.json as people write it, such as "26 November 2026, 00:17 UTC+0"."""
    moment = datetime.fromisoformat(iso)
    text = f"{moment.day} {moment:%B %Y, %H:%M}"
    offset = moment.utcoffset()
    if offset is None:
        return text
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    sign = _MINUS if offset < timedelta(0) else "+"
    return f"{text} UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
