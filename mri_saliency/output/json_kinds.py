"""Whether a value that was read from JSON is what an annotation says."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

_LARGEST = 2**63  # infinity and NaN are not below it
Plain = str | int | float | bool | None


def check_kind(value: Any, kind: Any, name: str) -> None:
    """Raise ValueError, which names the part, if a value is of another kind; numbers are finite.

    `kind` is a class, a union, tuple[...], list[...], dict[str, ...]; a dataclass, whose fields all must be
    there; or a dict of kinds, whose keys may be missing. `name` is what to call the value.
    """
    origin, args = get_origin(kind), get_args(kind)
    parts = _hints(kind) if isinstance(kind, type) and is_dataclass(kind) else kind
    is_fixed = origin is tuple and args[-1] is not ...
    if isinstance(parts, dict):
        is_right = isinstance(value, dict) and (parts is kind or parts.keys() <= value.keys())
    elif origin in (tuple, list):
        is_right = isinstance(value, list | tuple) and (not is_fixed or len(value) == len(args))
        parts = dict(enumerate(args if is_fixed else args[:1] * len(value))) if is_right else {}
    elif origin is dict:
        is_right = isinstance(value, dict)
        parts = dict.fromkeys(value, args[1]) if is_right else {}
    elif origin is UnionType:
        is_right, parts = any(_is_kind(value, part) for part in args), {}
    elif kind in (int, float):
        is_number = isinstance(value, int | kind) and not isinstance(value, bool)
        is_right, parts = is_number and abs(value) < _LARGEST, {}
    else:
        is_right, parts = isinstance(value, kind), {}
    if not is_right:
        raise ValueError(f"{name}: expected {getattr(kind, '__name__', kind)}, found {value!r:.40}")
    for key, of_key in parts.items():
        if not isinstance(value, dict) or key in value:
            check_kind(value[key], of_key, f"{name}.{key}")


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_kind(value: object, kind: Any) -> bool:
    try:
        check_kind(value, kind, "")
    except ValueError:
        return False
    return True
