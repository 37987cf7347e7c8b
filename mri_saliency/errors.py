"""The errors a user can correct, and how a failure is worded."""

import re
import sys
import traceback
from collections.abc import Iterable
from numbers import Integral


class UserError(Exception):
    """A mistake in the request or in a file, with a message written for the user.

    The message states where the problem is, what was expected, what was found and what to do. No traceback
    is printed. Any other exception is a defect of this program and keeps its traceback.
    """


class OutputError(UserError):
    """The output folder cannot be written to, so that no further work makes sense."""


def check_counts(least: int, **counts: object) -> None:
    """Raise UserError for a value, given by its name, that is no whole number of `least` or more."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise UserError(f"{name}: expected a whole number of {least} or more, found {value!r}.")


def failure_message(error: Exception) -> str:
    """Return why something failed, for the user; a defect's traceback is printed to the log."""
    if isinstance(error, UserError):
        return str(error)
    traceback.print_exception(error)
    return (
        f"unexpected {type(error).__name__}: {error} (a defect of this program; its traceback is in the log)"
    )


def warn(message: str) -> None:
    """Print a warning to stderr."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


def warn_by_kind(messages: Iterable[str], names: Iterable[str] = ()) -> None:
    """Print warnings; of those that differ in numbers or in `names` alone, the first and how many more."""
    varying = re.compile("|".join([*map(re.escape, names), r"\d[\d.]*"]))
    kinds: dict[str, list[str]] = {}
    for message in messages:
        kinds.setdefault(varying.sub("", message), []).append(message)
    for first, *more in kinds.values():
        warn(f"{first} ({len(more)} more like this)" if more else first)
