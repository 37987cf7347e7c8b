"""The table of the sanity checks -> a verdict on each method.

No import of PyTorch, so that a finished folder's table is judged without loading it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_saliency.checks.curves import LEAST_CHANGE, evidence_scores, leads, region_scores
from mri_saliency.checks.table import DIFFERENCE, INPUT_NOISE, MAP, ORDER_WORDS
from mri_saliency.methods import METHODS
from mri_saliency.statistics.intervals import FEWEST, mean_interval
from mri_saliency.wording import counted, listed

UNCHANGED = 0.2  # rank correlation with a shuffled network's map, above which a map has not changed

WEIGHTS = "changes with the weights"
EVIDENCE = "finds the evidence"
MAGNITUDES = "its magnitudes find the evidence"
NOISE = "same under a little noise"
SEED = "same with another seed"
REGIONS = "its regions matter to the network"
CHECKS = (WEIGHTS, EVIDENCE, MAGNITUDES, NOISE, SEED, REGIONS)

# Reasons why a check does not apply
_NO_DRAWS, _NO_PLACE = "draws nothing", "no atlas, or no scan that has a place in it"
_NO_SIGN = "has no sign"
_NOT_APPLICABLE = (_NO_DRAWS, _NO_PLACE, _NO_SIGN)
_UNDEFINED = "no rank correlation: a map is constant in the brain, or fewer than 3 regions"
# What was done, for a paper
_DONE = {
    WEIGHTS: "all weights of the network were shuffled [@adebayo2018], and the maps before and after had to "
    f"have a rank correlation of at most {UNCHANGED:g} in size, in magnitude after |scan − baseline| and the "
    "place in the brain were partialled out, and for maps with a sign in value",
    EVIDENCE: "voxels were deleted from the scan and inserted into the baseline in descending order of "
    "attribution [@petsiuk2018], and the area between the two "
    "curves of the logit had to be larger than with the orders of |scan − baseline|, of the shuffled "
    "network's map, of another scan's map and of random numbers",
    MAGNITUDES: "the same was done in the order of the magnitudes, by which groups are compared",
    NOISE: f"normal noise with a standard deviation of {INPUT_NOISE:g} was added to the scan, and its map "
    "had to be more like that without noise than like other scans' maps",
    SEED: "the random draws were repeated with another seed, and a scan's map had to be more like its first "
    "one than like other scans' maps",
    REGIONS: "each region of the atlas was replaced by the baseline, and the regions' attributions had to "
    "correlate in rank with the sizes of the changes of the logit, more than those of |scan − baseline| and "
    "of the shuffled network's map",
}


@dataclass(frozen=True)
class Verdict:
    """The answer to one check of one method."""

    passed: bool | None  # None: the check does not apply, or its numbers are no answer; never a pass
    reason: str  # the numbers behind it, in a line
    advice: str = ""  # after a failure, what not to do with the maps

    @property
    def answer(self) -> str:
        """The answer in a word: "yes", "NO" or "not judged"."""
        return {True: "yes", False: "NO", None: "not judged"}[self.passed]

    def __str__(self) -> str:
        """Return the reason and the advice."""
        return f"{self.reason}. {self.advice}" if self.advice else self.reason


def verdicts(table: pd.DataFrame) -> dict[str, dict[str, Verdict]]:
    """Judge each method by the rows of `sanity_checks.check_maps`: method -> one of `CHECKS` -> verdict."""
    return {name: _judge(table, name) for name in table["method"].unique() if name in METHODS}


def _judge(table: pd.DataFrame, name: str) -> dict[str, Verdict]:
    rows, method = table[table["method"] == name], METHODS[name]
    return {
        WEIGHTS: changes_with_weights(rows, signed=method.signed),
        EVIDENCE: finds_evidence(table, name),
        MAGNITUDES: finds_evidence(table, name, by_magnitude=True),
        NOISE: repeats(rows, "noise"),
        SEED: repeats(rows, "seed") if method.stochastic else Verdict(None, _NO_DRAWS),
        REGIONS: regions_matter(table, name),
    }


def check_sentences(found: Mapping[str, Mapping[str, Verdict]], n_scans: int | None) -> list[str]:
    """Return which of `CHECKS` were made and which failed, in sentences for a paper.

    `found` is method -> {check: its verdict}; `n_scans` were checked; None: not known.
    """
    answers = [
        (check, f"{METHODS[name].title} (“{check}”)", of_method[check].passed)
        for check in CHECKS
        for name, of_method in found.items()
        if check in of_method and of_method[check].reason not in _NOT_APPLICABLE
    ]
    if not answers:
        return []
    of_scans = "The maps" if n_scans is None else f"The maps of {counted(n_scans, 'scan')}"
    judged = dict.fromkeys(check for check, _, passed in answers if passed is not None)
    sentences = [f"{of_scans} were checked on the network."]
    sentences += [f"“{check[0].upper()}{check[1:]}”: {_DONE[check]}." for check in judged]
    if set(judged) - {WEIGHTS}:
        sentences.append(
            "Where more was asked for, the whole 95% interval of the difference over scans (Student's t) had "
            "to lie above zero."
        )
    failed, unknown = ([named for _, named, passed in answers if passed is which] for which in (False, None))
    if failed:
        sentences.append(f"These checks failed: {', '.join(failed)}.")
    elif judged:
        sentences.append("No check that could be judged failed.")
    sentences += [f"These checks could not be judged: {', '.join(unknown)}."] if unknown else []
    return sentences


def changes_with_weights(rows: pd.DataFrame, *, signed: bool) -> Verdict:
    """Judge by a method's rows whether its maps depend on the network's weights.

    They do as `_DONE` says, in the mean over scans; magnitudes are compared by `partial_similarity`. A fixed
    line, so that more scans do not loosen it. Correlations of different signs do not cancel: a map that is
    the original's reverse has not forgotten it.
    """
    weights = rows[rows["check"] == "weights"]
    sizes = weights.pivot(index="subject_id", columns="measure", values="value").abs()
    words = {"signed": "in value", "partial": "in magnitude"} if signed else {"partial": "in magnitude"}
    means = sizes[list(words)].mean()
    likeness = " and ".join(f"{means[measure]:.2f} {word}" for measure, word in words.items())
    text = f"with all weights shuffled its maps correlate {likeness} (line {UNCHANGED:g})"
    if (means > UNCHANGED).any():
        return Verdict(False, text, "Do not read this method's maps as evidence about this network.")
    if sizes.isna().any(axis=None):
        factor = ORDER_WORDS[DIFFERENCE]
        return Verdict(None, f"a map is constant in the brain, or {factor} leaves nothing of its magnitudes")
    return Verdict(True, text)


def finds_evidence(table: pd.DataFrame, name: str, *, by_magnitude: bool = False) -> Verdict:
    """Judge whether a method's maps find what moves the logit better than each of `IMPOSTORS` does.

    Random order alone is beaten by every map that knows where the scan differs from its baseline.
    """
    if by_magnitude and not METHODS[name].signed:
        return Verdict(None, _NO_SIGN)
    scores = evidence_scores(table, name, by_magnitude=by_magnitude)
    if len(scores) < FEWEST:
        which = f"whose logit differs from the baseline's by {LEAST_CHANGE:g} or more"
        return Verdict(None, f"too few scans ({len(scores)}) {which}: raise --check_maps")
    advice = "Do not take the voxels it ranks first for what this network uses."
    if by_magnitude:
        advice = "Where groups differ by its magnitudes, anatomy alone may be the reason."
    return judge_leads(_named(scores), advice)


def repeats(rows: pd.DataFrame, check: str) -> Verdict:
    """Judge whether a method's maps of one scan are alike, in the check "noise" or "seed".

    They are if a scan's map is more like the same scan's repeated map than like other scans' maps on average:
    a mean does not grow with the number of scans, as the largest likeness would. `rows` are the method's.
    """
    repeated, pairs = (rows.loc[rows["check"] == name, "value"].to_numpy() for name in (check, "subjects"))
    n = len(repeated)
    with_others = np.zeros((n, n))
    with_others[np.triu_indices(n, 1)] = pairs  # scan by scan, in their order
    lead = pd.Series(repeated - (with_others + with_others.T).sum(axis=0) / (n - 1))
    advice = "Raise --n_samples." if check == "seed" else "Do not read the map of a single scan."
    about = f"rank correlation {repeated.mean():.2f} with the same scan's; "
    return judge_leads({f"others', {pairs.mean():.2f}": lead}, advice, about)


def regions_matter(table: pd.DataFrame, method: str) -> Verdict:
    """Judge whether regions with much attribution move the logit when the baseline replaces them.

    A large region that differs much from the baseline tends to have much of everything, so their rank
    correlation must be higher than that of maps that know nothing of the network.
    """
    scores = region_scores(table, method)
    if MAP not in scores:
        return Verdict(None, _NO_PLACE)
    about = f"rank correlation over regions {scores[MAP].mean():.2f}; "
    advice = "Do not read its shares of regions as what they weigh in the decision."
    return judge_leads(_named(scores), advice, about)


def judge_leads(leads: Mapping[str, pd.Series], advice: str, about: str = "") -> Verdict:
    """Judge whether maps are ahead of what they are compared with, in words -> each scan's lead.

    They are if the 95 % interval of the mean of each lead is above 0. `about` begins the reason.
    """
    if any(lead.isna().any() for lead in leads.values()):
        return Verdict(None, _UNDEFINED)
    known = {words: interval for words, lead in leads.items() if (interval := mean_interval(lead))}
    if len(known) < len(leads):
        n = min(map(len, leads.values()))
        return Verdict(None, f"too few scans for an interval ({n}): {FEWEST} at least")
    closest = min(known, key=lambda words: known[words].low)
    behind = [words for words, interval in known.items() if not interval.low > 0]
    if behind:
        return Verdict(False, f"{about}not ahead of {listed(behind)}; least lead {known[closest]}", advice)
    return Verdict(True, f"{about}least ahead of {closest}, by {known[closest]}")


def _named(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the leads of scores, by the words for what a map is compared with."""
    return {ORDER_WORDS[order]: lead for order, lead in leads(scores).items()}
