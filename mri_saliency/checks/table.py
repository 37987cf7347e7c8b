"""The table of the sanity checks: its columns, and the names of what was measured; data only."""

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
BY_MAGNITUDE = "_by_magnitude"  # ends an order of a signed method: the same without signs

SHARED_ORDERS = (DIFFERENCE, RANDOM)  # the same for all methods
IMPOSTORS = (DIFFERENCE, SHUFFLED, ANOTHER, RANDOM)  # orders without evidence of the scan's own class
ORDER_WORDS = {
    DIFFERENCE: "|scan - baseline|",
    SHUFFLED: "a shuffled network's map",
    ANOTHER: "another scan's map",
    RANDOM: "voxels at random",
}


class Row(NamedTuple):
    """One number of the checks; `output.dictionary` says what the columns mean."""

    check: str
    method: str
    subject_id: str
    step: str
    measure: str
    value: float | None  # None or NaN where it is undefined, as the correlation of a constant map is
    order: str | None = MAP  # None with `ABLATION`
