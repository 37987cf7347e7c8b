"""Templates and their content -> a page of HTML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

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
        loader=PackageLoader("mri_saliency.cohort", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"number": _number, "percent": _percent, "counted": _counted, "moment": _moment}
    environment.filters |= filters
    return environment


def _number(value: float | None, digits: int = 2) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", _MINUS)


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("s" if n != 1 else "")


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
