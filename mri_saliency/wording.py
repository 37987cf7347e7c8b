"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DEMO_PREFIX = "sub-DEMO"  # of simulated scans

_LEAST_PERCENT = 1e-4  # below, "less than" so many
_HINTS = 5  # at most, on what was left out


def listed(words: Iterable[str]) -> str:
    """Return words as a sentence lists them: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 scan", "2 scans"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def span(numbers: Iterable[int]) -> str:
    """Return the smallest and the largest number: "5", "5 to 7"."""
    ordered = sorted(numbers)
    return str(ordered[0]) if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def percent(share: float) -> str:
    """Return a share in percent, with two digits or more: "0.0019%", "4.2%", "149%"."""
    value = 100 * share
    if 0 < value < _LEAST_PERCENT:
        return f"less than {_LEAST_PERCENT:f}".rstrip("0") + "%"
    return f"{value:.0f}%" if value >= 10 else f"{value:.2g}%"


@dataclass(frozen=True)
class Limitation:
    """What an analysis leaves out or cannot do; worded once, for the console, the report and a paper.

    Attributes
    ----------
    sentence : str
    detail : str
        What helps the user, and is not for a paper: names of scans, an option.
    """

    sentence: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the sentence with its detail."""
        return f"{self.sentence.removesuffix('.')} ({self.detail})." if self.detail else self.sentence


def left_out(n: int, noun: str, which: str, of: str = "", hints: Sequence[str] = ()) -> Limitation:
    """Return "2 scans WHICH were left out of OF.", with the first hints, such as names, as its detail."""
    verb = "was" if n == 1 else "were"
    detail = ", ".join(hints[:_HINTS]) + (f" and {len(hints) - _HINTS} more" if len(hints) > _HINTS else "")
    return Limitation(f"{counted(n, noun)} {which} {verb} left out{of and f' of {of}'}.", detail)


@dataclass(frozen=True)
class ClassNames:
    """The words for labels 0 and 1 in figures and the report."""

    hc: str = "HC"
    tle: str = "TLE"


DEFAULT_CLASS_NAMES = ClassNames()


def demo_mark(ids: Iterable[str]) -> str:
    """Return what titles of figures of simulated scans alone begin with; empty for other scans."""
    are_simulated = {name.startswith(DEMO_PREFIX) for name in ids}
    return "DEMO, simulated scans; " if are_simulated == {True} else ""
