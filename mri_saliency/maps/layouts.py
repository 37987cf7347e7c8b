"""The layouts of the figures: where panels, titles and colour bars lie."""

import math
from functools import lru_cache

from matplotlib.axes import Axes

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.sheet import Sheet, TextStyle
from mri_saliency.maps.style import own_style

_SLICE_PANEL_PX = 336  # three times a slice's 112 pixels
_MONTAGE_PANEL_PX = 224  # twice
_MONTAGE_COLUMNS = 8  # slices side by side before the next block of rows begins
_MM_TICKS = (-100, -50, 0, 50, 100)


@lru_cache(maxsize=8)
@own_style()
def slice_sheet(grid: Grid, signed: bool, overlay: str) -> Sheet:
    """Return the layout of a slice's figure: three panels, `overlay` the last one's title; colour bars."""
    size, gap, left, top = _SLICE_PANEL_PX, 24, 56, 84
    height, width = _panel_height(grid, size), 3 * size + 2 * gap
    sheet = Sheet(left + width + gap, top + height + 88)
    sheet.add_text("title", left, 8, TextStyle(18, bold=True))
    sheet.add_text("slice title", left + width, 8, TextStyle(18, align="r", bold=True))
    sheet.add_text("subtitle", left, 33, TextStyle(15, max_width=width))
    kind = "signed" if signed else "unsigned"
    panels = (
        ("slice", "intensity", "grey"),
        ("attribution", "attribution", kind),
        (overlay, "overlay", f"{kind} overlay"),
    )
    for index, (title, bar, bar_kind) in enumerate(panels):
        x = left + index * (size + gap)
        axes = sheet.add_panel(x, top, size, height)
        sheet.add_static_text(title, x + size / 2, top - 24, ha="center", fontsize=11)
        if grid.affine is not None:
            sheet.add_sides(x, top - 24, size)
            _mark_mm(axes, grid, with_z=index == 0)
        sheet.add_colour_bar(bar, x + 44, top + height + 32, size - 88, bar_kind)
    return sheet


@lru_cache(maxsize=8)
@own_style()
def montage_sheet(
    grid: Grid, key_slices: tuple[int, ...], rows: tuple[str, ...], bars: tuple[tuple[str, str], ...]
) -> Sheet:
    """Return the layout of a montage: a column for each key slice, in blocks of at most eight.

    Its panels come slice by slice, from the top row down. `rows` are titles, `bars` names and kinds.
    """
    size, gap, left, top = _MONTAGE_PANEL_PX, 6, 30, 62
    height = _panel_height(grid, size)
    columns = min(len(key_slices), _MONTAGE_COLUMNS)
    blocks = math.ceil(len(key_slices) / _MONTAGE_COLUMNS)
    block_height = 44 + len(rows) * (height + gap)
    width = max(2 * left + columns * (size + gap), 800)  # never narrower than its texts
    sheet = Sheet(width, top + blocks * block_height + (64 if bars else gap))
    sheet.add_text("title", left, 8, TextStyle(18, bold=True, max_width=width - 2 * left))
    sheet.add_text("subtitle", left, 33, TextStyle(15, max_width=width - 2 * left))
    for position, index in enumerate(key_slices):
        block, column = divmod(position, _MONTAGE_COLUMNS)
        x, y = left + column * (size + gap), top + block * block_height
        title = grid.slice_title(index).replace(", ", "\n")
        sheet.add_static_text(title, x + size / 2, y, fontsize=10, ha="center", linespacing=1.1)
        if grid.affine is not None:
            sheet.add_sides(x, y + 15, size)
        for row, name in enumerate(rows):
            axes = sheet.add_panel(x, y + 36 + row * (height + gap), size, height)
            if column == 0:
                axes.set_ylabel(name, fontsize=11)
    bar_width = 440 if len(bars) == 1 else 300
    for index, (name, kind) in enumerate(bars):
        middle = width * (2 * index + 1) // (2 * len(bars))
        sheet.add_colour_bar(name, middle - bar_width // 2, sheet.height - 60, bar_width, kind)
    return sheet


def _panel_height(grid: Grid, width: int) -> int:
    left, right, bottom, top = grid.extent
    return round(width * (top - bottom) / (right - left))


def _mark_mm(axes: Axes, grid: Grid, with_z: bool) -> None:
    left, right, bottom, top = grid.extent
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.set_xticks([tick for tick in _MM_TICKS if left < tick < right])
    axes.tick_params(labelsize=8, length=3, pad=2)
    axes.set_xlabel("x (mm)", fontsize=8, labelpad=0)
    if with_z:
        axes.set_yticks([tick for tick in _MM_TICKS if bottom < tick < top])
        axes.set_ylabel("z (mm)", fontsize=8, labelpad=0)
