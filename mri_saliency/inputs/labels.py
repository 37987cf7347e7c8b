"""A table's words for its groups -> HC, left, right or TLE, and which words could mean one of them."""

import shlex
from collections.abc import Iterable, Mapping

GROUPS = {"HC": 0, "left": 1, "right": 1, "TLE": 1}  # group -> label; TLE: a patient without a side
DEFAULT_LABELS = {"HC": "HC", "left": "left", "right": "right"}  # the table's value -> group

_OTHER_WORDS = {  # for a group, in tables of other laboratories: small letters and digits alone
    "HC": "hc cn nc con ctrl control controls healthy healthycontrol healthycontrols normal",
    "left": "left l ltle tlel lefttle tleleft",
    "right": "right r rtle tler righttle tleright",
    "TLE": "tle epilepsy patient patients ad alzheimer alzheimers alzheimersdisease",
}
_GROUP_OF_WORD = {word: group for group, words in _OTHER_WORDS.items() for word in words.split()}


def suggest_labels(values: Iterable[str], labels: Mapping[str, str]) -> str | None:
    """Return the ``--labels`` option that would add unknown values of a table; None if none is recognised.

    Values are recognised that differ from a known one in case or surrounding blanks alone, or that
    are usual words for a group, such as LTLE, or CN and AD. Of the known `labels`, value -> group, those
    that are not among `DEFAULT_LABELS` are part of the option.
    """
    known = {value.strip().casefold(): group for value, group in labels.items()}
    suggested = {}
    for value in values:
        word = "".join(filter(str.isalnum, value.casefold()))
        if group := known.get(value.strip().casefold()) or _GROUP_OF_WORD.get(word):
            suggested[value] = group
    if not suggested:
        return None
    added = {value: group for value, group in labels.items() if DEFAULT_LABELS.get(value) != group}
    pairs = [shlex.quote(f"{value}={group}") for value, group in (added | suggested).items()]
    return f"--labels {' '.join(pairs)}"
