"""What the comparison of groups showed -> the rows of the report's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mri_saliency.groups.comparison import ComparedContrast
from mri_saliency.statistics.contrasts import CONTRASTS
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import ClassNames

_SHOWN_CLUSTERS = 5  # of each contrast
_MINUS = "\N{MINUS SIGN}"
_SHOWN_REGIONS = 10  # of each contrast of a method


def comparison_entries(contrasts: Sequence[ComparedContrast], names: ClassNames) -> list[dict]:
    """Return the rows of the report's table of contrasts: the fields of `ComparedContrast`, and ``title``."""
    return [vars(contrast) | {"title": _contrast_title(contrast.contrast, names)} for contrast in contrasts]


def cluster_entries(clusters: Sequence[Mapping], names: ClassNames) -> list[dict]:
    """Return the first rows of the report's table of clusters.

    Parameters
    ----------
    clusters : sequence of mapping
        Rows of group_clusters.csv.

    Returns
    -------
    list of dict
        The row, and ``title``, ``place`` and ``effect`` in words; of each contrast the `_SHOWN_CLUSTERS`
        with the largest |t|.
    """
    shown: dict[tuple, list[dict]] = {}
    for row in clusters:
        of_contrast = shown.setdefault((row["method"], row["contrast"]), [])
        if len(of_contrast) == _SHOWN_CLUSTERS:
            continue
        peak_mm = [row[f"peak_{axis}"] for axis in "xyz"]
        of_contrast.append(
            {
                **row,
                "title": _contrast_title(row["contrast"], names),
                "place": "–"
                if None in peak_mm
                else ", ".join(f"{mm:.0f}" for mm in peak_mm).replace("-", _MINUS),
                "effect": f"{row['peak_effect']:.2f} ×",
            }
        )
    return [row for rows in shown.values() for row in rows]


@dataclass(frozen=True)
class RegionEntry:
    """What the comparison of regions showed in one contrast of one method.

    Attributes
    ----------
    method, title : str
    n_patients, n_controls : int
    n_regions : int
        That were compared.
    n_significant : int
    shown : list of dict
        The significant rows of region_group_test.csv with the smallest p.
    smallest_p : float
    """

    method: str
    title: str
    n_patients: int
    n_controls: int
    n_regions: int
    n_significant: int
    shown: list[dict]
    smallest_p: float


def region_entries(table: pd.DataFrame | None, names: ClassNames) -> list[RegionEntry]:
    """Return an entry for each method and contrast; `table` has the rows of region_group_test.csv."""
    if table is None or table.empty:
        return []
    entries = []
    for (method, contrast), rows in table.groupby(["method", "contrast"], sort=False):
        significant = rows[rows["p"] <= SIGNIFICANT].sort_values("t", key=abs, ascending=False)
        entries.append(
            RegionEntry(
                method=method,
                title=_contrast_title(contrast, names),
                n_patients=int(rows["n_patients"].iloc[0]),
                n_controls=int(rows["n_controls"].iloc[0]),
                n_regions=len(rows),
                n_significant=len(significant),
                shown=significant.head(_SHOWN_REGIONS).to_dict("records"),
                smallest_p=float(rows["p"].min()),
            )
        )
    return entries


def _contrast_title(name: str, names: ClassNames) -> str:
    return CONTRASTS[name].title.format(hc=names.hc, tle=names.tle)
