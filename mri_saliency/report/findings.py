"""What the cohort's maps show together."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.groups.comparison import ComparisonSettings, GroupComparison
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames


@dataclass(frozen=True, eq=False)
class Findings:
    """What the cohort's maps show together.

    Attributes
    ----------
    records : list of MapRecord
        The maps that are described.
    agreement : DataFrame
        From `mri_saliency.cohort.method_agreement.compare_methods`.
    groups : GroupComparison
    regions : DataFrame or None
        From `mri_saliency.regions.densities.measure_regions`; None without an atlas.
    verdicts : dict
        From `mri_saliency.report.alarms.judge_sanity_checks`.
    alarms : list of str
        From `mri_saliency.report.alarms.find_alarms`.
    notes : list of str
        Which maps and scans are left out, and why, in sentences.
    class_names : ClassNames
    lateralisation : DataFrame or None
        From `mri_saliency.regions.lateralisation.lateralise`; None without an atlas.
    region_test : DataFrame or None
        From `mri_saliency.regions.comparison.compare_regions`; None without an atlas.
    comparison : ComparisonSettings or None
        How groups were compared; None: not known.
    exclusions : list of str
        Which maps and scans are left out, in sentences for a paper.
    """

    records: list[MapRecord]
    agreement: pd.DataFrame
    groups: GroupComparison
    regions: pd.DataFrame | None
    verdicts: dict[str, dict[str, Verdict]]
    alarms: list[str]
    notes: list[str] = field(default_factory=list)
    class_names: ClassNames = DEFAULT_CLASS_NAMES
    lateralisation: pd.DataFrame | None = None
    region_test: pd.DataFrame | None = None
    comparison: ComparisonSettings | None = None
    exclusions: list[str] = field(default_factory=list)
