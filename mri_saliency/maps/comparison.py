"""How far maps agree with each other, and with a region that is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

# In the place of a method: its null map. Not "null", which pandas and others read as an empty cell.
NULL = "null_map"
_SAMPLED = (slice(None, None, 3),) * 3  # ranking 20,000 voxels of a brain is right to 0.01, and quick
AGREEMENT = "rank_correlation"  # the column of `agreement`
CHANCE = "_chance"  # ends a column's name: the same of the maps of two different subjects


def agreement(
    maps: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    brain: np.ndarray,
) -> list[float]:
    """Return each pair's Spearman's correlation of magnitudes in the brain; NaN if a map is constant there.

    Arrays are (n_slices, height, width); every third voxel on each axis counts. The first map of a pair is
    one of `maps`, the second one of `others`, which may be the same.
    """
    firsts = {name: _ranked(maps[name], brain) for name in {a for a, _ in pairs}}
    seconds = dict(firsts) if maps is others else {}
    seconds |= {b: _ranked(others[b], brain) for b in {b for _, b in pairs} - seconds.keys()}
    return [float(firsts[a] @ seconds[b]) if firsts[a].size else float("nan") for a, b in pairs]


def _ranked(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Return a sample of a map's magnitudes in the brain, as ranks of mean 0 and length 1, or NaN."""
    ranks = centred_ranks(np.abs(values[_SAMPLED][brain[_SAMPLED]]))
    length = np.linalg.norm(ranks)
    return ranks / length if length else np.full(ranks.shape, np.nan)


@dataclass(frozen=True, eq=False)
class MeanAgreement:
    """`agreement` averaged over scans, and the same of the maps of different subjects.

    Methods and, last, `NULL` if there are such rows, by methods; 1 on the diagonal, NaN where no row is.
    """

    mean: pd.DataFrame
    chance: pd.DataFrame


def mean_agreement(rows: pd.DataFrame, methods: Sequence[str]) -> MeanAgreement:
    """Average method_agreement.csv over scans."""
    matrices = []
    for column in (AGREEMENT, AGREEMENT + CHANCE):
        matrix = pd.DataFrame(np.where(np.eye(len(methods)), 1.0, np.nan), index=methods, columns=methods)
        means = rows.groupby(["method_a", "method_b"])[column].mean() if len(rows) else {}
        for (a, b), mean in means.items():
            matrix.loc[b, a] = mean
            if b != NULL:
                matrix.loc[a, b] = mean
        matrices.append(matrix)
    return MeanAgreement(*matrices)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's correlation of two series; NaN below three points or where one is constant."""
    return correlation(centred_ranks(x), centred_ranks(y))


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of finite values (n,) less their mean, float64; ties have their mean rank."""
    # importing scipy.stats takes 0.7 s, and pandas ranks in twice the time
    values = np.asarray(values)
    order = values.argsort()
    ordered, n = values[order], len(values)
    starts = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, n)  # of all ties but the first
    sizes = np.diff(starts, prepend=0)
    ranks = np.empty(n)
    ranks[order] = np.repeat(starts - (sizes + n) / 2, sizes)
    return ranks


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two series of mean 0; NaN below three points or where one is zero."""
    if len(a) < 3 or not a.any() or not b.any():
        return float("nan")
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def localisation(values: np.ndarray, region: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Measure how well a map's magnitude finds a known region, whose voxels count as brain.

    Returns a dict: ``enrichment``: the region's share of the brain's summed magnitude over its share of the
    voxels. ``auc``: area under the ROC curve of the magnitude, region against the rest of the brain. Both NaN
    for an empty region or a map that is zero in the brain.
    """
    brain = brain | region
    magnitude = np.abs(values[brain]).astype(np.float64)
    inside = region[brain]
    if inside.all() or not inside.any() or not magnitude.any():
        return {"enrichment": float("nan"), "auc": float("nan")}
    return {
        "enrichment": float(magnitude[inside].mean() / magnitude.mean()),
        "auc": roc_auc(magnitude, inside),
    }


def roc_auc(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (n,) that should be higher where bool (n,) is true.

    Ties count half; NaN if one class is absent.
    """
    is_positive = np.asarray(is_positive, bool)
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    # Mann and Whitney's U
    return float(0.5 + centred_ranks(scores)[is_positive].sum() / (n_positive * n_negative))
