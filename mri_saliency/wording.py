"""Numbers and lists in sentences, and what a table's column is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

DEMO_PREFIX = "sub-DEMO"  # of simulated scans

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_LEAST_PERCENT = 1e-4  # below, "less than" so many


def listed(words: Iterable[str]) -> str:
    """Return words as a sentence lists them: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def first_of(words: Sequence[str], most: int = 4) -> str:
    """Return the first words of a list, and how many more there are: "a, b, c, d and 3 more"."""
    shown = ", ".join(words[:most])
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown


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


def with_minus(number: str) -> str:
    """Return a number's text with a minus sign in place of the hyphen."""
    return number.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Limitation:
    """What an analysis leaves out or cannot do; worded once, for the console, the report and a paper."""

    sentence: str
    detail: str = ""  # what helps the user, and is not for a paper: names of scans, an option

    def __str__(self) -> str:
        """Return the sentence with its detail."""
        return f"{self.sentence.removesuffix('.')} ({self.detail})." if self.detail else self.sentence


def left_out(n: int, noun: str, which: str, of: str = "", hints: Sequence[str] = ()) -> Limitation:
    """Return "2 scans WHICH were left out of OF.", with the first hints, such as names, as its detail."""
    verb = "was" if n == 1 else "were"
    return Limitation(f"{counted(n, noun)} {which} {verb} left out{of and f' of {of}'}.", first_of(hints))


Column = dict[str, object]  # as BIDS's data dictionaries describe one


def column(
    meaning: str, unit: str | None = None, name: str | None = None, levels: Mapping[str, str] | None = None
) -> Column:
    """Return what a column is; with a `name` in words where others share its meaning."""
    parts = {"LongName": name, "Description": meaning, "Units": unit, "Levels": levels}
    return {key: value for key, value in parts.items() if value}


class ClassNames(NamedTuple):
    """The words for labels 0 and 1 in figures and the report."""

    hc: str = "HC"
    tle: str = "TLE"


DEFAULT_CLASS_NAMES = ClassNames()


def demo_mark(ids: Iterable[str]) -> str:
    """Return what titles of figures of simulated scans alone begin with; empty for other scans."""
    are_simulated = {name.startswith(DEMO_PREFIX) for name in ids}
    return "DEMO, simulated scans; " if are_simulated == {True} else ""
