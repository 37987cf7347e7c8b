"""The table of the sanity checks: its columns, and the names of what was measured.

Data only, so that a finished folder's table is judged without PyTorch.
"""

from __future__ import annotations

from typing import NamedTuple

WHOLE = "whole"  # the step of a check without steps
ABLATION = "ablation"  # in the place of a method: one region replaced by the baseline

INPUT_NOISE = 0.02  # standard deviation added to the scan, in units of the network's input

# Orders of voxels, and maps that a method's own map is compared with
MAP = "map"
DIFFERENCE = "difference"  # |scan - baseline|
SHUFFLED = "shuffled"  # the same method on the network with all its weights shuffled
ANOTHER = "another"  # the same method's map of a checked scan of another class
RANDOM = "random"  # voxels of the brain, in random order
INTENSITY = "intensity"  # the brightest voxels first

SHARED_ORDERS = (DIFFERENCE, RANDOM, INTENSITY)  # the same for all methods
IMPOSTORS = (DIFFERENCE, SHUFFLED, ANOTHER, RANDOM)  # orders without evidence of the scan's own class


class Row(NamedTuple):
    """One number of the checks.

    Attributes
    ----------
    check : str
        What was done.
    method : str
        The method whose map is checked, one of `SHARED_ORDERS`, or `ABLATION`.
    subject_id : str
        The scan, or two.
    step : str
        Block shuffled last, percentage of voxels, or region; `WHOLE` in other checks.
    measure : str
        What `value` is.
    value : float
        NaN where it is undefined, as the correlation of a constant map is.
    order : str or None
        What was measured: `MAP`, or what took its place; None in `ABLATION`.
    """

    check: str
    method: str
    subject_id: str
    step: str
    measure: str
    value: float
    order: str | None = MAP


COLUMNS = Row._fields
