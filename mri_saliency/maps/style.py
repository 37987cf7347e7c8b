"""matplotlib's settings while the tool draws, and the fonts of what it writes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from matplotlib import style
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font

from mri_saliency.errors import warn

_LATIN = set(range(33, 127))


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever its user has set; a $ in a text begins no formula."""
    with style.context(["default", {"text.parse_math": False}]):
        yield


@lru_cache(1000)
@own_style()
def font_path(text: str, bold: bool = False) -> str:
    """Return the file of the figures' font or, where it lacks letters of a text, of one that has them."""
    ours = findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal"))
    missing = frozenset(map(ord, "".join(text.split()))).difference(FT2Font(ours).get_charmap())
    return _font_with(missing) or ours if missing else ours


@lru_cache
def _font_with(missing: frozenset[int]) -> str:
    """Return the installed font that has most of some letters, and Latin ones; empty if none has any."""
    best, lacking = (0, 0, ""), missing
    for font in fontManager.ttflist:
        with suppress(OSError, RuntimeError):  # removed since, or damaged
            letters = FT2Font(font.fname).get_charmap().keys()
            found = (len(missing & letters), len(_LATIN & letters), font.fname)
            # matplotlib's Last Resort has a box for every letter
            if found[0] and found > best and not font.name.startswith("Last Resort"):
                best, lacking = found, missing - letters
    if lacking:
        names = "".join(map(chr, sorted(lacking)))
        warn(f"no font has {names}: figures show boxes. Install one that has, such as Noto Sans.")
    return best[2]
