"""What the comparison of groups showed -> the rows of the report's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mri_saliency.cohort.contrasts import CONTRASTS
from mri_saliency.cohort.group_test import ComparedContrast
from mri_saliency.inputs.scan_table import ClassNames

_SHOWN_CLUSTERS = 10  # of each contrast


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
        of_contrast = shown.setdefault((row["method"], row["quantity"], row["contrast"]), [])
        if len(of_contrast) == _SHOWN_CLUSTERS:
            continue
        is_ratio = row["quantity"] == "magnitude"
        prefix = "" if is_ratio else "signed map, "
        place = [row[f"peak_{axis}"] for axis in "xyz"]
        effect = f"{row['peak_effect']:.2f} ×" if is_ratio else f"{row['peak_effect']:+.2f}"
        of_contrast.append(
            {
                **row,
                "title": prefix + _contrast_title(row["contrast"], names),
                "place": "–" if None in place else ", ".join(f"{mm:.0f}" for mm in place),
                "effect": effect,
            }
        )
    return [row for rows in shown.values() for row in rows]


def _contrast_title(name: str, names: ClassNames) -> str:
    return CONTRASTS[name].title.format(hc=names.hc, tle=names.tle)
