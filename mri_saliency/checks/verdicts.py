"""The table of the sanity checks -> a verdict on each method.

No import of PyTorch, so that a finished folder's table is judged without loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_saliency.checks.curves import LEAST_CHANGE, evidence_scores, leads
from mri_saliency.checks.table import DIFFERENCE, INPUT_NOISE, MAP, ORDER_WORDS, SHUFFLED
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


@dataclass(frozen=True)
class Verdict:
    """The answer to one check of one method."""

    passed: bool | None  # None: the check does not apply, or its numbers are no answer; never a pass
    reason: str  # the numbers behind it; after a failure, what not to do with the maps

    @property
    def answer(self) -> str:
        """The answer in a word: "yes", "NO" or "not judged"."""
        return {True: "yes", False: "NO", None: "not judged"}[self.passed]

    def __str__(self) -> str:
        """Return the answer and its reason."""
        return f"{self.answer}: {self.reason}"


_CONSTANT = Verdict(None, "a map is constant in the brain, so it has no rank correlation")


def verdicts(table: pd.DataFrame) -> dict[str, dict[str, Verdict]]:
    """Judge each method by the rows of `sanity_checks.check_maps`: method -> one of `CHECKS` -> verdict."""
    return {name: _judge(table, name) for name in table["method"].unique() if name in METHODS}


def _judge(table: pd.DataFrame, name: str) -> dict[str, Verdict]:
    rows, method = table[table["method"] == name], METHODS[name]
    likeness = rows[rows["measure"] == ("signed" if method.signed else "absolute")]
    return {
        WEIGHTS: changes_with_weights(rows, signed=method.signed),
        EVIDENCE: finds_evidence(evidence_scores(table, name)),
        NOISE: repeats(likeness, "noise"),
        SEED: repeats(likeness, "seed") if method.stochastic else Verdict(None, _NO_DRAWS),
        REGIONS: regions_matter(table, name),
    }


def check_sentences(found: Mapping[str, Mapping[str, Verdict]], n_scans: int | None) -> list[str]:
    """Return which checks were made and which failed, in sentences for a paper; none without verdicts.

    `found` is method -> {check: its verdict}; checks other than `CHECKS` are not described. `n_scans` were
    checked; None: not known.
    """
    answers = [
        (check, f"{METHODS[name].title} (“{check}”)", of_method[check].passed)
        for check in CHECKS
        for name, of_method in found.items()
        if check in of_method and of_method[check].reason != _NO_DRAWS
    ]
    if not answers:
        return []
    of_scans = "The maps" if n_scans is None else f"The maps of {counted(n_scans, 'scan')}"
    judged = dict.fromkeys(check for check, _, passed in answers if passed is not None)
    sentences = [f"{of_scans} were checked on the network."]
    sentences += [f"“{check[0].upper()}{check[1:]}”: {_DONE[check]}." for check in judged]
    if set(judged) - {WEIGHTS}:
        sentences.append(
            "Where a lead or a correlation was asked for, its whole 95% interval over scans (Student's t) "
            "had to lie above zero."
        )
    failed = [named for _, named, passed in answers if passed is False]
    if failed:
        sentences.append(f"These checks failed: {', '.join(failed)}.")
    elif judged:
        sentences.append("No check that could be judged failed.")
    not_judged = [named for _, named, passed in answers if passed is None]
    if not_judged:
        sentences.append(f"These checks could not be judged: {', '.join(not_judged)}.")
    return sentences


def changes_with_weights(rows: pd.DataFrame, *, signed: bool) -> Verdict:
    """Judge by a method's rows whether its maps depend on the network's weights.

    They do if with all weights shuffled a map's rank correlation with the original's, in size and in
    the mean over scans, is at most `UNCHANGED`: of values, for a signed method, and of magnitudes, for
    which |scan - baseline| and place are partialled out, because they are factors of both maps that owe
    nothing to the network's weights (`similarity.partial_similarity`). A fixed line, so that more scans do
    not loosen it. Correlations of either sign count, and those of different signs do not cancel: a map
    that is the original's reverse has not forgotten it.
    """
    weights = rows[rows["check"] == "weights"]
    last = weights[weights["step"] == weights["step"].iloc[-1]]
    sizes = last.pivot(index="subject_id", columns="measure", values="value").abs()
    words = {"signed": "in value", "partial": "in magnitude"} if signed else {"partial": "in magnitude"}
    means = sizes[list(words)].mean()
    likeness = " and ".join(f"{means[measure]:.2f} {word}" for measure, word in words.items())
    text = f"with all weights shuffled its maps correlate {likeness} (line {UNCHANGED:g})"
    if (means > UNCHANGED).any():
        return Verdict(False, f"{text}. Do not read this method's maps as evidence about this network.")
    if sizes["absolute"].isna().any():
        return _CONSTANT
    if sizes["partial"].isna().any():
        factor = ORDER_WORDS[DIFFERENCE]
        return Verdict(None, f"{factor} leaves nothing of its magnitudes: they do not come from the network")
    return Verdict(True, text)


def finds_evidence(scores: pd.DataFrame) -> Verdict:
    """Judge by `evidence_scores` whether a method's maps find what moves the logit better than impostors do.

    They do if over the scans the map's lead (`curves.leads`) is above 0 with the whole of its two-sided
    95 % interval (Student's t, paired by scan), for each of `IMPOSTORS`. Random order alone is beaten by
    every map that knows where the scan differs from its baseline.
    """
    intervals = ((order, mean_interval(lead)) for order, lead in leads(scores).items())
    ahead = {order: interval for order, interval in intervals if interval is not None}
    if not ahead:
        return Verdict(
            None,
            f"too few scans ({len(scores)}) whose logit differs from the baseline's by {LEAST_CHANGE:g} or "
            f"more; {FEWEST} are needed: raise --check_maps",
        )
    behind = [f"{ORDER_WORDS[order]}, {lead}" for order, lead in ahead.items() if not lead.low > 0]
    if behind:
        return Verdict(
            False,
            f"over {len(scores)} scans not ahead of {' and '.join(behind)}. "
            "Do not take the voxels it ranks first for what this network uses.",
        )
    closest = min(ahead, key=lambda order: ahead[order].low)
    least = f"{ORDER_WORDS[closest]}, by {ahead[closest]}"
    return Verdict(True, f"over {len(scores)} scans ahead of every impostor; least of {least}")


def repeats(likeness: pd.DataFrame, check: str) -> Verdict:
    """Judge whether a method's maps of one scan are alike, in the check "noise" or "seed".

    They are if a scan's map is more like the same scan's repeated map than like the maps of other
    scans: the first rank correlation less the mean of the others is above 0 over the scans with the
    whole of its 95 % interval (Student's t). A mean does not grow with the number of scans, as the largest
    likeness of any two would. `likeness` has the method's rows of one measure.
    """
    repeated = likeness.loc[likeness["check"] == check, "value"].to_numpy()
    pairs = likeness.loc[likeness["check"] == "subjects", "value"].to_numpy()
    if np.isnan(repeated).any() or np.isnan(pairs).any():
        return _CONSTANT
    n = len(repeated)
    with_others = np.zeros((n, n))
    with_others[np.triu_indices(n, 1)] = pairs  # scan by scan, in their order
    ahead = mean_interval(repeated - (with_others + with_others.T).sum(axis=0) / (n - 1))
    if ahead is None:
        return _too_few(n)
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
    found = {key: values["value"] for key, values in rows.groupby(["method", "order"])}
    if (method, MAP) not in found:
        return Verdict(None, "no atlas, or no scan that has a place in it")
    own = found[method, MAP]
    if own.isna().any():
        return Verdict(None, "no rank correlation: fewer than 3 regions, or all alike")
    interval = mean_interval(own)
    if interval is None:
        return _too_few(len(own))
    nulls = f"{ORDER_WORDS[DIFFERENCE]} reaches {found[DIFFERENCE, DIFFERENCE].mean():.2f}"
    nulls += f", {ORDER_WORDS[SHUFFLED]} {found[method, SHUFFLED].mean():.2f}"
    text = f"rank correlation over regions {interval}; {nulls}"
    if interval.low > 0:
        return Verdict(True, text)
    return Verdict(False, f"{text}. Do not read its shares of regions as what they weigh in the decision.")


def _too_few(n: int) -> Verdict:
    return Verdict(None, f"too few scans for an interval ({n}): --check_maps {FEWEST} at least")
