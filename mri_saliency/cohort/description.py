"""All maps in the folder -> what they show together: the second chapter of a run, without the network."""

from __future__ import annotations

from dataclasses import dataclass

from mri_saliency.cohort.agreement import comparable, draw_summary, mixed_direction_notes
from mri_saliency.cohort.alarms import find_alarms, judge_sanity_checks
from mri_saliency.cohort.atlas import Atlas
from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.cohort.group_maps import map_groups
from mri_saliency.cohort.method_agreement import compare_methods
from mri_saliency.cohort.regions import measure_regions
from mri_saliency.cohort.report import Findings
from mri_saliency.errors import warn
from mri_saliency.inputs.scan_table import ClassNames
from mri_saliency.output.dictionary import TABLES, write_dictionary
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers


@dataclass(frozen=True, eq=False)
class Description:
    """How a cohort is described: the slices of group figures, the words for the classes, the atlas."""

    key_slices: tuple[int, ...]
    class_names: ClassNames
    atlas: Atlas | None


def describe_cohort(
    folder: OutputFolder, records: list[MapRecord], how: Description, workers: Workers
) -> Findings:
    """Find what the maps in the folder show together; write its tables, dictionaries and figures."""
    records, notes = comparable(records)
    notes += mixed_direction_notes(records)
    space, space_notes = find_common_space(folder, records, workers, how.class_names)
    agreement, agreement_notes = compare_methods(folder, records, space, workers)
    summary = workers.submit(draw_summary, folder, records, agreement, how.class_names)
    group_figures = map_groups(folder, records, space, how.key_slices, workers)
    regions = None
    if how.atlas is not None:
        regions = measure_regions(folder, records, how.atlas, workers, how.class_names)
    elif folder.regions.exists():
        notes.append(f"{folder.regions} is from an earlier run; --atlas updates it.")
    summary.result()
    verdicts = judge_sanity_checks(folder, records)
    alarms = find_alarms(records, verdicts)
    notes += space_notes + agreement_notes
    for message in (*notes, *alarms):
        warn(message)
    for table in TABLES:
        write_dictionary(folder, table)
    return Findings(records, agreement, group_figures, regions, verdicts, alarms, notes, how.class_names)
