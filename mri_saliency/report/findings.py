"""All that the report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.cohort.groups import class_words, diagnosis_words
from mri_saliency.groups.comparison import ComparisonSettings, GroupComparison
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import METHODS
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.report.alarms import Alarm
from mri_saliency.report.answer_pictures import AnswerPictures
from mri_saliency.run.outcome import RunState
from mri_saliency.statistics.contrasts import CONTRASTS
from mri_saliency.wording import Limitation, demo_mark


@dataclass(frozen=True, eq=False)
class Findings:
    """What a run's maps show together; a table, list or mapping is empty where nothing was measured."""

    folder: OutputFolder
    run: Mapping  # the content of run.json
    # the maps that are described, in the order of `mri_saliency.output.record.in_order`
    records: Sequence[MapRecord]
    failures: Sequence[Mapping[str, str]] = ()  # the rows of failures.csv
    state: RunState | None = None  # how far the run is; None once its maps are described
    # from `write_agreement`, `regions_table`, `compare_regions` and `lateralise`
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
    groups: GroupComparison = field(default_factory=GroupComparison)
    comparison: ComparisonSettings | None = None  # how groups were compared; None before they were
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)
    region_test: pd.DataFrame = field(default_factory=pd.DataFrame)
    lateralisation: pd.DataFrame = field(default_factory=pd.DataFrame)
    # method -> {check: its verdict}
    verdicts: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    pictures: AnswerPictures = field(default_factory=AnswerPictures)
    notes: list[str] = field(default_factory=list)  # what is missing, and why, for the user alone
    # what is left out, for the user and for a paper; those of the groups' comparison are in `groups`
    limitations: list[Limitation] = field(default_factory=list)

    @cached_property
    def methods(self) -> dict[str, str]:
        """The methods of the maps, in the registry's order -> what headings call them."""
        used = {record.method for record in self.records}
        return {name: method.heading for name, method in METHODS.items() if name in used}

    @cached_property
    def scans(self) -> list[MapStatistics]:
        """The row of each scan's first map, for what it says of the scan."""
        first: dict[str, MapStatistics] = {}
        for record in self.records:
            first.setdefault(record.subject_id, record.statistics)
        return list(first.values())

    @property
    def input_warnings(self) -> dict[str, str]:
        """The scans with an input warning -> the warning."""
        return {row.subject_id: row.input_warning for row in self.scans if row.input_warning}

    @property
    def demo(self) -> str:
        """What titles of a demo begin with."""
        return demo_mark(row.subject_id for row in self.scans)

    @property
    def words(self) -> dict[str, str]:
        """What the classes are called."""
        return class_words(self.folder.class_names)

    @cached_property
    def diagnoses(self) -> dict[str, str]:
        """What the scans' diagnoses are called."""
        return diagnosis_words({row.diagnosis for row in self.scans}, self.folder.class_names)

    def contrast_title(self, name: str) -> str:
        """Return what a contrast of `CONTRASTS` is called."""
        return CONTRASTS[name].title.format(hc=self.folder.class_names.hc, tle=self.folder.class_names.tle)
