"""All maps in the folder -> what they show together: the second chapter of a run, without the network."""

from __future__ import annotations

import pandas as pd

from mri_saliency.cohort.common_space import find_common_space, other_grid_sentences
from mri_saliency.cohort.comparable import (
    comparable,
    damage_notes,
    draw_summary,
    left_out_sentences,
    mixed_direction_notes,
    whole_maps,
)
from mri_saliency.cohort.method_agreement import compare_methods
from mri_saliency.combine.repeatability import judge_repeatability
from mri_saliency.errors import warn
from mri_saliency.groups.comparison import ComparisonSettings, GroupComparison, compare_groups
from mri_saliency.groups.means import write_means
from mri_saliency.groups.method_maps import MethodMaps, find_method_maps
from mri_saliency.output.bids import write_dictionary
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.comparison import compare_regions
from mri_saliency.regions.densities import measure_regions, missing_null_notes
from mri_saliency.regions.lateralisation import lateralise
from mri_saliency.report.alarms import find_alarms, judge_sanity_checks
from mri_saliency.report.findings import Findings
from mri_saliency.report.viewer import write_atlas
from mri_saliency.run.description import Description
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.normal_ranges import normal_range_notes


def describe_cohort(
    folder: OutputFolder, records: list[MapRecord], how: Description, workers: Workers
) -> Findings:
    """Find what the maps in the folder show together; write its tables, dictionaries and figures."""
    available, damages = whole_maps(folder, records, workers)
    records, notes = comparable(available)
    notes += damage_notes(damages)
    exclusions = left_out_sentences(available, records)
    notes += mixed_direction_notes(records)
    space, space_notes = find_common_space(folder, records, workers, how.class_names)
    exclusions += other_grid_sentences(space, records)
    agreement, agreement_notes = compare_methods(folder, records, space, workers)
    write_atlas(folder, how.atlas, space.grid)
    summary = workers.submit(draw_summary, folder, records, agreement, how.class_names)
    covariates = None if how.covariates is None else _by_scan(how.covariates, records)
    settings = ComparisonSettings(how.smooth_mm, covariates, how.atlas)
    groups = _describe_groups(
        folder, find_method_maps(folder, records, space, how.key_slices), settings, workers
    )
    regions = lateralisation = region_test = None
    if how.atlas is not None:
        regions = measure_regions(folder, records, how.atlas, workers, how.class_names)
        lateralisation, side_notes = lateralise(folder, regions, how.atlas, how.class_names)
        region_test = compare_regions(regions, how.atlas.paired_names(), covariates)
        write_or_remove_table(folder.region_test, region_test)
        notes += missing_null_notes(regions) + normal_range_notes(regions, how.class_names) + side_notes
    elif folder.regions.exists():
        notes.append(f"{folder.regions} and what follows from it is from an earlier run; --atlas updates it.")
    summary.result()
    verdicts = judge_sanity_checks(folder, records)
    for method, verdict in judge_repeatability(folder).items():
        verdicts[method] = verdicts.get(method, {}) | verdict
    alarms = find_alarms(records, verdicts)
    notes += space_notes + agreement_notes
    for message in (*notes, *groups.notes, *alarms):
        warn(message)
    for table in TABLES:
        write_dictionary(folder, table)
    return Findings(
        records, agreement, groups, regions, verdicts, alarms, notes, how.class_names,
        lateralisation=lateralisation, region_test=region_test, comparison=settings, exclusions=exclusions,
    )  # fmt: skip


def _describe_groups(
    folder: OutputFolder, maps: list[MethodMaps], settings: ComparisonSettings, workers: Workers
) -> GroupComparison:
    """Write the means of all methods' groups, and compare the groups."""
    for method_maps in maps:
        folder.open_groups(method_maps.method.name)
    means = [workers.submit(write_means, method_maps, settings.smooth_mm) for method_maps in maps]
    comparisons = [workers.submit(compare_groups, method_maps, settings) for method_maps in maps]
    groups = GroupComparison()
    for method_maps, figures in zip(maps, means, strict=True):
        groups.figures[method_maps.method.name] = figures.result()
    for comparison in comparisons:
        groups.add(comparison.result())
    for method_maps in maps:
        folder.close_groups(method_maps.method.name)
    write_or_remove_table(folder.group_clusters, pd.DataFrame(groups.clusters))
    return groups


def _by_scan(covariates: pd.DataFrame, records: list[MapRecord]) -> pd.DataFrame:
    """Return the covariates of the recorded scans, indexed by their names; only complete rows."""
    paths = {record.subject_id: record.source.path for record in records}
    rows = covariates.reindex(paths.values())
    rows.index = list(paths)
    return rows.dropna()
