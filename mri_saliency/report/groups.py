"""What the comparison of groups showed -> the rows of the report's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mri_saliency.statistics.sign_flips import SIGNIFICANT

_SHOWN_CLUSTERS = 5  # of each contrast
_SHOWN_REGIONS = 10  # of each contrast of a method


def shown_clusters(clusters: Sequence[Mapping]) -> list[Mapping]:
    """Return the first rows of each contrast of group_clusters.csv: those with the largest |t|."""
    shown: dict[tuple[str, str], list[Mapping]] = {}
    for row in clusters:
        shown.setdefault((row["method"], row["contrast"]), []).append(row)
    return [row for rows in shown.values() for row in rows[:_SHOWN_CLUSTERS]]


@dataclass(frozen=True)
class RegionContrast:
    """What the comparison of regions showed in one contrast of one method.

    Attributes
    ----------
    row : dict
        A row of region_group_test.csv, for what all rows of the contrast share.
    n_regions, n_significant : int
        That were compared, and of them with a significant difference.
    shown : list of dict
        The significant rows with the largest |t|.
    """

    row: dict
    n_regions: int
    n_significant: int
    shown: list[dict]
    smallest_p: float


def region_contrasts(table: pd.DataFrame) -> list[RegionContrast]:
    """Return an entry for each method and contrast; `table` has the rows of region_group_test.csv."""
    entries = []
    for _, rows in table.groupby(["method", "contrast"], sort=False) if len(table) else ():
        significant = rows[rows["p"] <= SIGNIFICANT].sort_values("t", key=abs, ascending=False)
        entries.append(
            RegionContrast(
                row=rows.iloc[0].to_dict(),
                n_regions=len(rows),
                n_significant=len(significant),
                shown=significant.head(_SHOWN_REGIONS).to_dict("records"),
                smallest_p=float(rows["p"].min()),
            )
        )
    return entries
