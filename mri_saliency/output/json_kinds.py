"""JSON -> what annotations say it is, or a ValueError that says where it is not."""

from contextlib import suppress
from dataclasses import is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

_hints = lru_cache(get_type_hints)
_LARGEST = 2**63  # infinity and NaN are not below it
Plain = str | int | float | bool | None


def of_kind(value: Any, kind: Any, name: str) -> Any:
    """Return a value read from JSON as an annotation says, with dataclasses and tuples inside.

    `kind` is a class, a union, tuple[...], list[...], dict[str, ...]; a dataclass; or a dict of kinds, whose
    keys may be missing. Raises ValueError, which calls the value `name`, for any other; numbers are finite.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        for part in args:
            with suppress(ValueError):
                return of_kind(value, part, name)
    elif origin in (list, tuple) and isinstance(value, list):
        kinds = args if origin is tuple and args[-1] is not ... else args[:1] * len(value)
        if len(kinds) == len(value):
            return origin(map(of_kind, value, kinds, [f"{name}, in the list"] * len(value)))
    elif origin is dict or isinstance(kind, dict) or is_dataclass(kind):
        if isinstance(value, dict):
            return _object(value, kind, name)
    elif kind in (int, float):
        if isinstance(value, int | kind) and not isinstance(value, bool) and abs(value) < _LARGEST:
            return value
    elif origin is None and isinstance(value, kind):
        return value
    raise ValueError(f"{name}: expected {getattr(kind, '__name__', kind)}, found {value!r:.40}")


def _object(value: dict[str, Any], kind: Any, name: str) -> Any:
    if isinstance(kind, type):  # a dataclass; `dict[str, ...]` is no type
        kinds = _hints(kind)
    else:
        kinds = kind if isinstance(kind, dict) else dict.fromkeys(value, get_args(kind)[1])
    inside = {key: of_kind(value[key], kinds[key], f"{name}.{key}") for key in kinds if key in value}
    if not isinstance(kind, type):
        return value | inside
    if lacking := kinds.keys() - inside.keys():
        raise ValueError(f"{name}: lacks {', '.join(sorted(lacking))}")
    return kind(**inside)
