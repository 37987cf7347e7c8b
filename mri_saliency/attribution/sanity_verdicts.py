"""The table of the sanity checks -> similarities, curves, and a verdict on each method.

No import of PyTorch, so that a finished folder's table is judged without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_saliency.attribution.methods import METHODS

COLUMNS = ("check", "method", "subject_id", "step", "measure", "value")
WHOLE = "whole"  # the step of a check without steps
ORDERS = ("random", "intensity")  # orders of voxels that deletion and insertion compare a map's with
UNLIKE = 0.1  # maps with a rank correlation up to this are unlike each other


@dataclass(frozen=True)
class Verdict:
    """What the checks show of one method; None where a check does not apply.

    Attributes
    ----------
    changes_with_weights : bool
        With all weights shuffled, its maps are no more like the original's than another subject's map is
        (`pass_lines`): in values, for a signed method, and in magnitudes.
    finds_evidence : bool
        Replacing the most attributed voxels changes the logit faster than replacing voxels at random,
        and showing them restores it faster.
    steady_under_noise : bool
        The same scan's map with a little noise is more like the original than another subject's is.
    steady_under_seed : bool or None
        The same for the same scan's map with another seed; None for a method without draws.
    """

    changes_with_weights: bool
    finds_evidence: bool
    steady_under_noise: bool
    steady_under_seed: bool | None

    def answers(self) -> dict[str, str]:
        """Return the verdict in words: check -> "yes", "NO", or why it does not apply."""
        words = {True: "yes", False: "NO", None: "draws nothing"}
        return {
            "changes with the weights": words[self.changes_with_weights],
            "finds the evidence": words[self.finds_evidence],
            "same under a little noise": words[self.steady_under_noise],
            "same with another seed": words[self.steady_under_seed],
        }


def verdicts(table: pd.DataFrame) -> dict[str, Verdict]:
    """Judge each method from the rows of `sanity_checks.check_maps`."""
    means = mean_values(table)
    lines = pass_lines(table)
    found = {}
    for method in (name for name in table["method"].unique() if name in METHODS):
        measures = ("signed", "absolute") if METHODS[method].signed else ("absolute",)
        last_block = table[(table["check"] == "weights") & (table["method"] == method)]["step"].iloc[-1]
        areas = areas_between(table, method)["random"]
        is_steady = {
            check: means[check, method, WHOLE, measures[0]] > lines[method, measures[0]]
            for check in ("noise", "seed")
            if check == "noise" or METHODS[method].stochastic
        }
        found[method] = Verdict(
            changes_with_weights=all(
                means["weights", method, last_block, measure] <= lines[method, measure]
                for measure in measures
            ),
            finds_evidence=areas["deletion"] > 0 and areas["insertion"] > 0,
            steady_under_noise=is_steady["noise"],
            steady_under_seed=is_steady.get("seed"),
        )
    return found


def pass_lines(table: pd.DataFrame) -> pd.Series:
    """Return the highest similarity of any two subjects' maps, but `UNLIKE` at least.

    Indexed by method and measure.
    """
    pairs = table[table["check"] == "subjects"].groupby(["method", "measure"], sort=False)["value"]
    return pairs.max().clip(lower=UNLIKE)


def mean_values(table: pd.DataFrame) -> pd.Series:
    """Return the means over subjects, indexed by check, method, step and measure."""
    return table.groupby(["check", "method", "step", "measure"], sort=False)["value"].mean()


def curve(means: pd.Series, check: str, name: str) -> pd.Series:
    """Return a deletion or insertion curve from `mean_values`.

    Indexed by the percentage of voxels, float; 1 where the scan is whole, 0 where it is the baseline.
    """
    logits = means.xs((check, name, "logit"), level=("check", "method", "measure"))
    logits.index = logits.index.astype(float)
    return logits / logits[0.0 if check == "deletion" else 100.0]


def areas_between(table: pd.DataFrame, method: str) -> dict[str, dict[str, float]]:
    """Compute the areas between a method's deletion and insertion curves and those of `ORDERS`.

    Positive where the map's order is the better one: in deletion its curve lies below, in insertion
    above. In shares of the logit's change from baseline to scan, over the share of voxels replaced.

    Returns
    -------
    dict
        Name of the order -> "deletion" and "insertion" -> area.
    """
    means = mean_values(table)

    def area(check: str, name: str) -> float:
        shares = curve(means, check, name)
        heights, widths = shares.to_numpy(), np.diff(shares.index.to_numpy() / 100)
        return float(((heights[1:] + heights[:-1]) / 2 * widths).sum())  # trapezoids

    return {
        order: {
            "deletion": area("deletion", order) - area("deletion", method),
            "insertion": area("insertion", method) - area("insertion", order),
        }
        for order in ORDERS
    }
