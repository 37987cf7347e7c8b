"""Findings -> in which regions patients have more attribution than controls: what the answer rests on."""

import numpy as np
import pandas as pd

from mri_saliency.inputs.atlas import side_of, without_side
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.findings import Findings
from mri_saliency.statistics.contrasts import ALIGNED, LEFT, RIGHT
from mri_saliency.statistics.sign_flips import SIGNIFICANT

FOCUS = {LEFT.name: "left", RIGHT.name: "right", ALIGNED.name: "left"}  # contrast -> side of its foci
_DENSEST, _OF_MANY, _OF_FEW = 3, 0.03, 0.1  # regions: so many, or of many 3 %; of few at most a tenth
_COLUMNS = "method contrast region p ratio place is_top is_of_scans stands_out".split()


def region_evidence(findings: Findings) -> pd.DataFrame:
    """Return region_group_test.csv's rows with what decides whether a region stands out.

    Of ``n_scanned`` patients, ``n_top`` have the region among the densest, ``n_densest`` none denser;
    ``patients`` and ``controls`` are geometric means of the density, ``place`` is from `place_of`. A region
    that only ``is_of_scans`` would stand out, but the null map has as much there.
    """
    test, regions = findings.region_test, findings.regions
    if test.empty or regions.empty:
        return pd.DataFrame(columns=_COLUMNS).astype({"stands_out": bool, "is_of_scans": bool})
    found, keys, other = [], ["subject", "diagnosis"], {"left": "right", "right": "left"}
    for (method, contrast), rows in test.groupby(["method", "contrast"], sort=False):
        own = regions[(regions["method"] == method) & (regions["region"] != OUTSIDE)]
        with np.errstate(divide="ignore"):
            logs = np.log(own.pivot_table("density", [*keys, "subject_id"], "region")).groupby(keys).mean()
        sides = {(without_side(name), side_of(name)): name for name in logs}
        mirror = [sides.get((without_side(name), other.get(side_of(name) or "")), name) for name in logs]
        diagnosis = logs.index.get_level_values("diagnosis")
        if contrast == ALIGNED.name:
            is_right = np.asarray(diagnosis == "right")[:, None]
            logs = pd.DataFrame(np.where(is_right, logs[mirror], logs), logs.index, logs.columns)
        focus = {ALIGNED.name: ["left", "right"]}.get(contrast, [FOCUS.get(contrast)])
        of_patients = logs[diagnosis.isin(focus) if focus[0] else diagnosis != "HC"]
        ranks, n = of_patients.rank(axis=1, ascending=False), logs.shape[1]
        most = max(1, min(max(_DENSEST, _OF_MANY * n), _OF_FEW * n))
        columns: dict[str, object] = {
            "n_top": (ranks <= most).sum(),
            "n_densest": (ranks == 1).sum(),
            "patients": np.exp(of_patients.mean()),
            "controls": np.exp(logs[diagnosis == "HC"].mean()),
        }
        found.append(rows.join(pd.DataFrame(columns), on="region").assign(n_scanned=len(of_patients)))
    table = pd.concat(found)
    table["place"] = [place_of(*row) for row in zip(table["region"], table["contrast"], strict=True)]
    exceeds = table.get("exceeds_null", pd.Series(index=table.index, dtype=object))
    table["is_top"] = table["n_top"] > table["n_scanned"] / 2
    more = table["is_top"] & (table["p"] <= SIGNIFICANT) & (table["ratio"] > 1)
    table["is_of_scans"] = more & (exceeds.astype(str) == "False")
    return table.assign(stands_out=more & ~table["is_of_scans"])


def place_of(region: str, contrast: str) -> tuple[str, str | None]:
    """Return a region's name without its side, and the side: "focus" or "other", without foci its own."""
    side, focus = side_of(region), FOCUS.get(contrast)
    if side and focus:
        side = "focus" if side == focus else "other"
    first, *rest = without_side(region).split(" ")
    return " ".join([first.lower() if first[1:].islower() else first, *rest]), side
