"""All maps in the folder -> what they show together: the second chapter of a run, without the network."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import repeat
from operator import itemgetter, or_
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mri_saliency.cohort.common_space import CommonSpace, find_common_space
from mri_saliency.cohort.comparable import comparable, damage_limitations, draw_summary
from mri_saliency.cohort.effects import Places, effects_figure
from mri_saliency.cohort.method_agreement import Compared, compare_scans, with_partners, write_agreement
from mri_saliency.errors import UserError, warn_by_kind
from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.groups.comparison import ComparisonSettings, GroupComparison, compare_groups
from mri_saliency.groups.means import draw_mean_scan, write_means
from mri_saliency.groups.method_maps import MethodMaps, find_method_maps
from mri_saliency.groups.null_effects import Peaks, Place, compare_null_maps, read_nulls
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import mixed_directions
from mri_saliency.methods import METHODS
from mri_saliency.output.bids import write_dictionary
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import read_table, write_figure, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.comparison import compare_regions, region_test_table
from mri_saliency.regions.densities import divide_maps, missing_null_notes, regions_table, write_regions
from mri_saliency.regions.lateralisation import lateralise
from mri_saliency.report.alarms import find_alarms, judge_maps
from mri_saliency.report.answer import find_answer, tiles
from mri_saliency.report.answer_pictures import AnswerPictures, draw_answer
from mri_saliency.report.findings import Findings
from mri_saliency.report.viewer import write_atlas
from mri_saliency.run.description import Description
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.normal_ranges import normal_range_notes
from mri_saliency.wording import ClassNames


def describe_cohort(
    folder: OutputFolder, records: list[MapRecord], how: Description, workers: Workers
) -> Findings:
    """Find what the maps in the folder show together; write its tables, dictionaries and figures.

    Raises UserError: a map or run.json is gone or damaged, or the atlas does not lie where a scan does.
    """
    run, failures = folder.last_run(), read_table(folder.failures)
    if run is None:
        raise UserError(f"{folder.run_record}: is gone or damaged. Repeat the run; its maps are kept.")
    damages = folder.damages(records)
    records, limitations = comparable(records)
    limitations += damage_limitations(damages)
    space, more = find_common_space(folder, records, workers)
    limitations += more
    direction, _ = mixed_directions({record.subject_id: record.grid for record in records})
    covariates = None if how.covariates is None else _by_scan(how.covariates, records)
    settings = ComparisonSettings(how.smooth_mm, covariates, how.atlas)
    maps = find_method_maps(folder, records, space, how.key_slices)
    writing = [workers.submit(write_atlas, folder, how.atlas, space.grid)]
    groups = _describe_groups(folder, maps, settings, workers)
    of_scans = _read_scans(folder, records, space, (how.atlas, groups.peaks), workers)
    compare_null_maps(groups.peaks, reduce(or_, (scan.nulls for scan in of_scans), {}))
    clusters = pd.DataFrame(groups.clusters).reindex(columns=list(TABLES["group_clusters"]))
    write_or_remove_table(folder.group_clusters, clusters)
    writing.append(workers.submit(_draw_effects, folder.cluster_figure, groups.peaks, folder.class_names))
    agreement, notes = write_agreement(folder, [scan.agreement for scan in of_scans])
    notes += [direction] if direction else []
    writing.append(workers.submit(draw_summary, folder, records, agreement))

    regions = region_test = lateralisation = pd.DataFrame()
    if how.atlas is not None:
        regions = regions_table([scan.regions for scan in of_scans])
        writing.append(workers.submit(write_regions, folder, regions))
        sides = workers.submit(lateralise, folder, regions, how.atlas)
        places = compare_regions(regions, how.atlas.paired_names(), covariates)
        region_test = region_test_table(places)
        write_or_remove_table(folder.region_test, region_test)
        writing.append(workers.submit(_draw_effects, folder.region_test_figure, places, folder.class_names))
        lateralisation, more_notes = sides.result()
        notes += missing_null_notes(regions) + normal_range_notes(regions, folder.class_names) + more_notes
    elif folder.regions.exists():
        notes.append(f"{folder.regions} and what follows from it is from an earlier run; --atlas updates it.")

    verdicts = judge_maps(folder, records)
    alarms = find_alarms(records, verdicts)
    titles = [method.title for method in METHODS.values()]
    warn_by_kind(map(str, (*limitations, *groups.limitations, *notes)), titles)
    for job in writing:
        job.result()
    for table in TABLES:
        write_dictionary(folder, table)
    findings = Findings(
        folder, run, records, [] if failures is None else failures.to_dict("records"),
        agreement=agreement, groups=groups, comparison=settings, regions=regions, region_test=region_test,
        lateralisation=lateralisation, verdicts=verdicts, alarms=alarms, notes=notes, limitations=limitations,
    )  # fmt: skip
    return replace(findings, pictures=_draw_answer(findings, maps, workers))


def _draw_answer(findings: Findings, maps: list[MethodMaps], workers: Workers) -> AnswerPictures:
    """Draw the leading method's maps."""
    leading = find_answer(findings).methods[0].method
    of_scan = {record.subject_id: record for record in findings.records if record.method == leading}
    shown = [of_scan[scan.subject_id] for scan in tiles(findings.scans) if scan.subject_id in of_scan]
    for method_maps in maps:
        if method_maps.method.name == leading and findings.comparison:
            return draw_answer(method_maps, shown, findings.comparison.smooth_mm, workers)
    return AnswerPictures()


def _draw_effects(path: Path, places: Sequence[Places], class_names: ClassNames) -> None:
    """Draw where groups differ; remove the figure of an earlier run if they differ nowhere."""
    if figure := effects_figure(places, class_names):
        write_figure(path, figure)
    else:
        path.unlink(missing_ok=True)


def _describe_groups(
    folder: OutputFolder, maps: list[MethodMaps], settings: ComparisonSettings, workers: Workers
) -> GroupComparison:
    """Write the means of all methods' groups, and compare the groups."""
    for method_maps in maps:
        folder.open_groups(method_maps.method.name)
    comparisons = [workers.submit(compare_groups, method_maps, settings) for method_maps in maps]
    means = [workers.submit(write_means, method_maps, settings.smooth_mm) for method_maps in maps]
    if maps:
        draw_mean_scan(maps[0])
    groups = GroupComparison()
    for method_maps, figures, comparison in zip(maps, means, comparisons, strict=True):
        groups.figures[method_maps.method.name] = figures.result()
        groups.add(comparison.result())
        folder.close_groups(method_maps.method.name)
    return groups


class _OfScan(NamedTuple):
    """What is measured of one scan's maps."""

    agreement: Compared
    nulls: dict[tuple[int, str], np.ndarray]  # from `read_nulls`
    regions: pd.DataFrame  # from `divide_maps`


def _read_scans(
    folder: OutputFolder,
    records: Sequence[MapRecord],
    space: CommonSpace,
    what: tuple[Atlas | None, Sequence[Peaks]],
    workers: Workers,
) -> list[_OfScan]:
    """Measure each scan's maps, in the records' order, while its file is read once."""
    atlas, peaks = what
    scans: dict[str, list[MapRecord]] = {}
    for record in records:
        scans.setdefault(record.subject_id, []).append(record)
    work = with_partners(list(scans.values()), itemgetter(0))
    of_peaks = peaks[0].space if peaks else None, [of_contrast.place for of_contrast in peaks]
    found = workers.map_parts(partial(_of_scans, folder, space, of_peaks, atlas), work)
    by_name = {maps[0].subject_id: one for (maps, *_), one in zip(work, found, strict=True)}
    return [by_name[name] for name in scans]


def _of_scans(
    folder: OutputFolder,
    space: CommonSpace,
    of_peaks: tuple[AnalysisSpace | None, list[Place]],
    atlas: Atlas | None,
    work: Sequence[list[list[MapRecord]]],
) -> list[_OfScan]:
    """Measure some scans, from `with_partners`, one after the other; runs in a worker."""
    scans = [maps for maps, *_ in work]
    regions = repeat(pd.DataFrame(), len(scans)) if atlas is None else divide_maps(folder, atlas, scans)
    columns = compare_scans(folder, space, work), read_nulls(folder, space, *of_peaks, scans), regions
    return list(map(_OfScan, *columns))


def _by_scan(covariates: pd.DataFrame, records: list[MapRecord]) -> pd.DataFrame:
    """Return the covariates of the recorded scans, indexed by their names; only complete rows."""
    paths = {record.subject_id: record.source.path for record in records}
    return covariates.reindex(paths.values()).set_axis(list(paths)).dropna()
