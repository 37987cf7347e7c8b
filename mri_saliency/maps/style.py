"""matplotlib's settings while the tool draws, and the fonts of what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from matplotlib import style
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

from mri_saliency.errors import warn

_FAMILY = "DejaVu Sans"  # comes with matplotlib


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever its user has set; a $ in a text begins no formula."""
    with style.context(["default", {"text.parse_math": False}]):
        yield


def font_families(text: str) -> list[str]:
    """Return the figures' font and, for letters of a text that it lacks, installed ones that have them."""
    return [_FAMILY, *_families_with(_codes(text) - _covered(_font_path(_FAMILY, False)))]


def pillow_font(text: str, size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """Return the font that has most letters of a text; `size` is in pixels."""
    paths = [_font_path(family, bold) for family in font_families(text)]
    return _opened(min(paths, key=lambda path: len(_codes(text) - _covered(path))), size)


def _codes(text: str) -> frozenset[int]:
    return frozenset(map(ord, "".join(text.split())))


@lru_cache
def _families_with(missing: frozenset[int]) -> tuple[str, ...]:
    """Return installed families that have letters; warn of those that none has."""
    families = []
    for font in fontManager.ttflist if missing else ():
        if font.name.startswith("Last Resort"):  # comes with matplotlib; has a box for every letter
            continue
        with suppress(OSError, RuntimeError):  # removed since, or damaged
            if found := missing & FT2Font(font.fname).get_charmap().keys():
                families.append(font.name)
                missing -= found
    if missing:
        letters = "".join(map(chr, sorted(missing)))
        warn(f"no installed font has {letters}; figures show boxes instead. Install one, such as Noto Sans.")
    return tuple(families)


@lru_cache(8)
def _covered(path: str) -> frozenset[int]:
    return frozenset(FT2Font(path).get_charmap())


@lru_cache
@own_style()
def _font_path(family: str, bold: bool) -> str:
    return findfont(FontProperties(family=family, weight="bold" if bold else "normal"))


@lru_cache
def _opened(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
