"""The table of the sanity checks -> a verdict on each method.

No import of PyTorch, so that a finished folder's table is judged without loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import pandas as pd

from mri_saliency.checks.curves import LEAST_CHANGE, evidence_scores, leads
from mri_saliency.checks.table import (
    ANOTHER,
    DIFFERENCE,
    INPUT_NOISE,
    INTENSITY,
    MAP,
    RANDOM,
    SHUFFLED,
)
from mri_saliency.methods import METHODS
from mri_saliency.statistics.intervals import FEWEST, mean_interval
from mri_saliency.wording import counted

UNCHANGED = 0.2  # rank correlation with a shuffled network's map, above which a map has not changed

WEIGHTS = "changes with the weights"
EVIDENCE = "finds the evidence"
NOISE = "same under a little noise"
SEED = "same with another seed"
REGIONS = "its regions matter to the network"
CHECKS = (WEIGHTS, EVIDENCE, NOISE, SEED, REGIONS)

_NO_DRAWS = "draws nothing"
# What was done, for a paper
_DONE = {
    WEIGHTS: "all weights of the network were shuffled [@adebayo2018], and the maps before and after had to "
    f"have a rank correlation of at most {UNCHANGED:g} in size, in magnitude after |scan − baseline| and the "
    "place in the brain were partialled out, and for maps with a sign in value",
    EVIDENCE: "voxels were deleted from the scan and inserted into the baseline in descending order of "
    "attribution [@petsiuk2018], and the area between the two curves of the logit had to be larger than with "
    "the orders of |scan − baseline|, of the shuffled network's map, of another scan's map and of random "
    "numbers",
    NOISE: f"normal noise with a standard deviation of {INPUT_NOISE:g} was added to the scan, and its map "
    "had to be more like that without noise than like other scans' maps",
    SEED: "the random draws were repeated with another seed, and a scan's map had to be more like its first "
    "one than like other scans' maps",
    REGIONS: "each region of the atlas was replaced by the baseline, and the regions' attributions had to "
    "correlate in rank with the sizes of the changes of the logit",
}

ORDER_WORDS = {
    MAP: "the map",
    DIFFERENCE: "|scan - baseline|",
    SHUFFLED: "a shuffled network's map",
    ANOTHER: "another scan's map",
    RANDOM: "voxels at random",
    INTENSITY: "the brightest voxels",
}


class _Judged(Protocol):
    """What a verdict needs to know of a method."""

    signed: bool
    stochastic: bool


@dataclass(frozen=True)
class Verdict:
    """The answer to one check of one method.

    Attributes
    ----------
    passed : bool or None
        None: the check does not apply, or its numbers are no answer; never a pass.
    reason : str
        The numbers behind it; after a failure, what not to do with the maps.
    """

    passed: bool | None
    reason: str

    @property
    def answer(self) -> str:
        """The answer in a word: "yes", "NO" or "not judged"."""
        return {True: "yes", False: "NO", None: "not judged"}[self.passed]

    def __str__(self) -> str:
        """Return the answer and its reason."""
        return f"{self.answer}: {self.reason}"


def verdicts(table: pd.DataFrame, methods: Mapping[str, _Judged] = METHODS) -> dict[str, dict[str, Verdict]]:
    """Judge each method from the rows of `sanity_checks.check_maps`.

    Parameters
    ----------
    table : DataFrame
    methods : mapping
        Name -> whether it is signed and stochastic; other names in the table are not judged.

    Returns
    -------
    dict
        Method -> one of `CHECKS` -> its verdict.
    """
    names = [name for name in table["method"].unique() if name in methods]
    if "order" not in table:
        earlier = Verdict(None, "made by an earlier version; run --check_maps again")
        return {name: dict.fromkeys(CHECKS, earlier) for name in names}
    found = {}
    for name in names:
        rows, method = table[table["method"] == name], methods[name]
        found[name] = {
            WEIGHTS: changes_with_weights(rows, signed=method.signed),
            EVIDENCE: finds_evidence(evidence_scores(table, name)),
            NOISE: repeats(rows, "noise", signed=method.signed),
            SEED: (
                repeats(rows, "seed", signed=method.signed) if method.stochastic else Verdict(None, _NO_DRAWS)
            ),
            REGIONS: regions_matter(table, name),
        }
    return found


def check_sentences(found: Mapping[str, Mapping[str, Verdict]], n_scans: int | None) -> list[str]:
    """Return which checks were made and which failed, in sentences for a paper; none without verdicts.

    Parameters
    ----------
    found : mapping
        Method -> {check: its verdict}, as `verdicts` returns it; other checks are not described.
    n_scans : int or None
        Scans that were checked; None: not known.
    """
    answers_of = {
        check: {METHODS[name].title: answers[check] for name, answers in found.items() if check in answers}
        for check in CHECKS
    }
    judged = [
        check for check, answers in answers_of.items() if {True, False} & {v.passed for v in answers.values()}
    ]
    named = {
        passed: [
            f"{title} (“{check}”)"
            for check, answers in answers_of.items()
            for title, verdict in answers.items()
            if verdict.passed is passed and verdict.reason != _NO_DRAWS
        ]
        for passed in (True, False, None)
    }
    if not any(named.values()):
        return []
    of_scans = "The maps" if n_scans is None else f"The maps of {counted(n_scans, 'scan')}"
    sentences = [f"{of_scans} were checked on the network."]
    sentences += [f"“{check[0].upper()}{check[1:]}”: {_DONE[check]}." for check in judged]
    if set(judged) - {WEIGHTS}:
        sentences.append(
            "Where a lead or a correlation was asked for, its whole 95% interval over scans (Student's t) "
            "had to lie above zero."
        )
    if named[False]:
        sentences.append(f"These checks failed: {', '.join(named[False])}.")
    elif named[True]:
        sentences.append("No check that could be judged failed.")
    if named[None]:
        sentences.append(f"These checks could not be judged: {', '.join(named[None])}.")
    return sentences


def changes_with_weights(rows: pd.DataFrame, *, signed: bool) -> Verdict:
    """Judge whether a method's maps depend on the network's weights.

    They do if with all weights shuffled a map's rank correlation with the original's, in size and in
    the mean over scans, is at most `UNCHANGED`: of values, for a signed method, and of magnitudes, for
    which |scan - baseline| and place are partialled out, because they are factors of both maps that owe
    nothing to the network's weights (`similarity.partial_similarity`). A fixed line, so that more scans do
    not loosen it. Correlations of either sign count, and those of different signs do not cancel: a map
    that is the original's reverse has not forgotten it.

    Parameters
    ----------
    rows : DataFrame
        The method's rows of the checks' table.
    signed : bool
    """
    weights = rows[rows["check"] == "weights"]
    last = weights[weights["step"] == weights["step"].iloc[-1]]
    words = {"signed": "in value", "partial": "in magnitude"} if signed else {"partial": "in magnitude"}
    found = {word: last.loc[last["measure"] == measure, "value"].abs() for measure, word in words.items()}
    likeness = " and ".join(f"{values.mean():.2f} {word}" for word, values in found.items())
    text = f"with all weights shuffled its maps correlate {likeness} (line {UNCHANGED:g})"
    if any(values.mean() > UNCHANGED for values in found.values()):
        return Verdict(False, f"{text}. Do not read this method's maps as evidence about this network.")
    if any(values.isna().any() for values in found.values()):
        return Verdict(None, _why_undefined(rows, last))
    return Verdict(True, text)


def finds_evidence(scores: pd.DataFrame) -> Verdict:
    """Judge whether a method's maps find what moves the logit better than every impostor does.

    They do if over the scans the map's lead (`check_curves.leads`) is above 0 with the whole of its two-sided
    95 % interval (Student's t, paired by scan), for each of `IMPOSTORS`. Random order alone is beaten by
    every map that knows where the scan differs from its baseline.

    Parameters
    ----------
    scores : DataFrame
        From `evidence_scores`.
    """
    ahead = {order: mean_interval(lead) for order, lead in leads(scores).items()}
    if None in ahead.values():
        return Verdict(
            None,
            f"too few scans ({len(scores)}) whose logit differs from the baseline's by {LEAST_CHANGE:g} or "
            f"more; {FEWEST} are needed: raise --check_maps",
        )
    behind = {order: interval for order, interval in ahead.items() if not interval.low > 0}
    if behind:
        named = " and ".join(f"{ORDER_WORDS[order]}, {interval}" for order, interval in behind.items())
        return Verdict(
            False,
            f"over {len(scores)} scans not ahead of {named}. "
            "Do not take the voxels it ranks first for what this network uses.",
        )
    closest = min(ahead, key=lambda order: ahead[order].low)
    least = f"{ORDER_WORDS[closest]}, by {ahead[closest]}"
    return Verdict(True, f"over {len(scores)} scans ahead of every impostor; least of {least}")


def repeats(rows: pd.DataFrame, check: str, *, signed: bool) -> Verdict:
    """Judge whether a method's maps of one scan are alike.

    They are if a scan's map is more like the same scan's repeated map than like the maps of other
    scans: the first rank correlation less the mean of the others is above 0 over the scans with the
    whole of its 95 % interval (Student's t). A mean does not grow with the number of scans, as the largest
    likeness of any two would.

    Parameters
    ----------
    rows : DataFrame
        The method's rows of the checks' table.
    check : str
        "noise" or "seed".
    signed : bool
    """
    measured = rows[rows["measure"] == ("signed" if signed else "absolute")]
    repeated = measured[measured["check"] == check].set_index("subject_id")["value"]
    pairs = measured[measured["check"] == "subjects"].set_index("subject_id")["value"]
    if len(repeated) < FEWEST:
        return _too_few(len(repeated))
    if repeated.isna().any() or pairs.isna().any():
        return Verdict(None, _constant(repeated))
    others: dict[str, list[float]] = {subject: [] for subject in repeated.index}
    for a, b in combinations(repeated.index, 2):
        for subject in (a, b):
            others[subject].append(pairs[f"{a} and {b}"])
    ahead = mean_interval(repeated - pd.Series({name: np.mean(found) for name, found in others.items()}))
    text = f"rank correlation {repeated.mean():.2f} with the same scan's and {pairs.mean():.2f} with others'"
    if ahead.low > 0:
        return Verdict(True, text)
    advice = "Raise --n_samples." if check == "seed" else "Do not read the map of a single scan."
    return Verdict(False, f"{text}. {advice}")


def regions_matter(table: pd.DataFrame, method: str) -> Verdict:
    """Judge whether regions with much attribution move the logit when the baseline replaces them.

    They do if the rank correlation over regions is above 0 over the scans with the whole of its 95 %
    interval (Student's t). What maps that know nothing of the network reach is reported beside it: a
    large region that differs much from the baseline tends to have much of everything.
    """
    rows = table[table["check"] == "region_ranks"]
    own = rows[rows["method"] == method].groupby("order")["value"]
    if MAP not in own.groups:
        return Verdict(None, "no atlas, or no scan that has a place in it")
    found = own.get_group(MAP)
    if found.isna().any():
        return Verdict(None, "no rank correlation: fewer than 3 regions, or all alike")
    interval = mean_interval(found)
    if interval is None:
        return _too_few(len(found))
    difference = rows.loc[rows["method"] == DIFFERENCE, "value"].mean()
    nulls = f"{ORDER_WORDS[DIFFERENCE]} reaches {difference:.2f}"
    nulls += f", {ORDER_WORDS[SHUFFLED]} {own.get_group(SHUFFLED).mean():.2f}"
    text = f"rank correlation over regions {interval}; {nulls}"
    if interval.low > 0:
        return Verdict(True, text)
    return Verdict(False, f"{text}. Do not read its shares of regions as what they weigh in the decision.")


def _why_undefined(rows: pd.DataFrame, last: pd.DataFrame) -> str:
    """Return why the comparison with shuffled weights has no answer; `last` has its rows."""
    shares = rows[(rows["check"] == "nulls") & (rows["measure"] == "brain_share")]
    zero = shares[shares["value"].isna()]
    for order, whose in ((MAP, "the map"), (SHUFFLED, "the map of the shuffled network")):
        n = int((zero["order"] == order).sum())
        if n:
            return f"{whose} is zero everywhere in {n} of {last['subject_id'].nunique()} scans"
    undefined = last[last["measure"].isin(("signed", "absolute")) & last["value"].isna()]
    if len(undefined):
        return f"a map is constant in {undefined['subject_id'].nunique()} scans"
    return f"{ORDER_WORDS[DIFFERENCE]} leaves nothing of its magnitudes: they do not come from the network"


def _constant(values: pd.Series) -> str:
    return f"its maps are constant in {max(1, int(values.isna().sum()))} of {len(values)} scans"


def _too_few(n: int) -> Verdict:
    return Verdict(None, f"too few scans for an interval ({n}): --check_maps {FEWEST} at least")
