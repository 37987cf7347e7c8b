"""Densities and asymmetries of regions -> how far each scan's lie from those of the cohort's HC."""

import numpy as np
import pandas as pd

from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames

LEAST_CONTROLS = 15  # HC subjects; fewer say too little of what is normal
MEASURES = ("density", "asymmetry")


def add_normal_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each scan's regions with those of the HC subjects, method by method.

    `table`, of `regions.densities`, is returned with `density_z` (of the density's logarithm) and
    `asymmetry_z`, from `compare_with_controls`.
    """
    scans = table.drop_duplicates("subject_id").set_index("subject_id")
    rows = scans.index.get_indexer(table["subject_id"])
    columns = table.groupby(["method", "region"], sort=False).ngroup().to_numpy()
    subjects, is_control = scans["subject"].to_numpy(), (scans["diagnosis"] == "HC").to_numpy()
    for measure in MEASURES:
        values = np.full((len(scans), columns.max(initial=-1) + 1), np.nan)
        values[rows, columns] = table[measure]
        if measure == "density":
            values = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
        z = compare_with_controls(values, subjects, is_control)
        table = table.assign(**{f"{measure}_z": z[rows, columns]})
    return table


def normal_range_notes(table: pd.DataFrame, class_names: ClassNames = DEFAULT_CLASS_NAMES) -> list[str]:
    """Return why there are no normal ranges, for the user; nothing if there are."""
    n_controls = table.loc[table["diagnosis"] == "HC", "subject"].nunique() if len(table) else 0
    if not len(table) or n_controls >= LEAST_CONTROLS:
        return []
    return [
        f"regions have no normal range: it needs {LEAST_CONTROLS} {class_names.hc} subjects, and there are "
        f"{n_controls}."
    ]


def compare_with_controls(values: np.ndarray, subjects: np.ndarray, is_control: np.ndarray) -> np.ndarray:
    """Compare scans with the controls' normal range.

    A control subject's sessions are averaged, so that each counts once; a scan is never compared with
    its own subject.

    `values` are float64 (n_scans, n_regions); `subjects` are the scans' persons. Returned, in the same shape,
    is the distance to the controls' mean in their sample standard deviations: NaN where the value is, fewer
    than `LEAST_CONTROLS` control subjects have one, or these are all equal.
    """
    table = pd.DataFrame(values)
    averaged = table[is_control].groupby(subjects[is_control]).mean()
    controls = averaged.index.to_numpy()
    # with all controls, then, for a control's scans, without them
    parts = [(~np.isin(subjects, controls), np.ones(len(controls), bool))]
    parts += [(subjects == name, controls != name) for name in controls]
    enough = averaged.count() >= LEAST_CONTROLS
    z = np.full(values.shape, np.nan)
    for scans, others in parts if enough.any() else ():
        normal = averaged[others]
        varies = normal.max() > normal.min()  # the spread of equal values may be rounding
        z[scans] = (table[scans] - normal.mean()) / normal.std().where(enough & varies)
    return z
