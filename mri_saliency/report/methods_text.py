"""All that was done -> a text on the methods to paste into a paper, and the works that it cites.

The sentences are beside the code that does what they state; here they are chosen by what was found in the
folder, and put in order. What an earlier version did not record is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mri_saliency.attribution.baselines import baseline_sentence
from mri_saliency.attribution.clenshaw_curtis import steps_sentence
from mri_saliency.checks.verdicts import check_sentences
from mri_saliency.cohort.method_agreement import agreement_sentences
from mri_saliency.combine.repeatability import repeatability_sentences
from mri_saliency.groups.sentences import (
    cluster_sentence,
    comparison_sentences,
    contrast_sentences,
    sign_flip_sentences,
)
from mri_saliency.maps.statistics import error_sentences
from mri_saliency.methods import METHODS
from mri_saliency.output.files import read_json, read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.regions.comparison import REGION_TEST_SENTENCE
from mri_saliency.regions.densities import region_sentences
from mri_saliency.regions.lateralisation import lateralisation_sentences
from mri_saliency.report.alarms import warning_sentences
from mri_saliency.report.bibliography import cited_keys, read_library, with_authors
from mri_saliency.report.scan_sentences import (
    failure_sentences,
    network_sentences,
    scan_sentences,
    volume_sentences,
)
from mri_saliency.run.run_record import description_sentences, making_runs, software_sentences
from mri_saliency.statistics.normal_ranges import normal_range_sentences
from mri_saliency.wording import listed

if TYPE_CHECKING:
    from mri_saliency.report.findings import Findings
    from mri_saliency.report.networks import RunsSection


@dataclass(frozen=True)
class MethodsText:
    """What was done, for a paper.

    Attributes
    ----------
    paragraphs : list of str
        With authors and years.
    bibliography : str
        The BibTeX entries of the works that are cited, and of no others.
    """

    paragraphs: list[str]
    bibliography: str


def describe_methods(
    folder: OutputFolder,
    run: Mapping,
    findings: Findings,
    failures: Sequence[Mapping[str, str]],
    runs: RunsSection | None = None,
) -> MethodsText:
    """Return the text on the methods of what is in a folder.

    Parameters
    ----------
    folder : OutputFolder
    run : mapping
        The content of run.json; keys may be missing.
    findings : Findings
    failures : sequence of mapping
        The rows of failures.csv.
    runs : RunsSection or None
        As the report's.
    """
    records = in_order(findings.records)
    first = {record.subject_id: record for record in records}
    parts = (
        [
            *network_sentences(run, records, findings.class_names.tle),
            *volume_sentences(list(first.values())),
            *scan_sentences(run, records, findings.class_names),
            *failure_sentences(failures),
            *findings.exclusions,
        ],
        [*_attribution_sentences(folder, records), *warning_sentences(records)],
        [] if runs is None else _run_sentences(findings, runs),
        [*agreement_sentences(findings.agreement), *_check_sentences(folder, findings)],
        [*_group_sentences(findings, len(first))],
        _software_sentences(run, len(records)),
    )
    library = read_library()
    keys = [key for key in cited_keys(chain(*parts)) if key in library]
    return MethodsText(
        paragraphs=[with_authors(" ".join(sentences), library) for sentences in parts if sentences],
        bibliography="\n\n".join(library[key].text for key in sorted(keys)) + "\n",
    )


def _software_sentences(run: Mapping, n_maps: int) -> list[str]:
    """Return with what the maps were made and, of a combination, brought together."""
    runs = making_runs(run, n_maps)
    if "combined" not in run:
        return [*software_sentences(runs), *description_sentences(runs)]
    joined = software_sentences(runs, with_network=False)
    return [*software_sentences(run["combined"]), *joined, *description_sentences(runs)]


def _attribution_sentences(folder: OutputFolder, records: Sequence[MapRecord]) -> Iterator[str]:
    """Yield what each method did, with which settings, and what errors its maps reached."""
    recipes = {record.method: record.recipe for record in records}
    titles = {name: METHODS[name].title for name in METHODS if name in recipes}
    n_scans = len({record.subject_id for record in records})
    for name in titles:
        yield METHODS[name].account
        n = sum(record.method == name for record in records)
        if n < n_scans:
            yield f"Maps of {titles[name]} were available for {n} of the {n_scans} scans."
    baselines: dict[str, list[str]] = {}
    steps: dict[tuple, list[str]] = {}
    for name, title in titles.items():
        settings = recipes[name].settings
        if "baseline" in settings:
            baselines.setdefault(settings["baseline"], []).append(title)
        if "n_steps" in settings:
            steps.setdefault((settings["n_steps"], settings.get("map_error")), []).append(title)
    healthy = read_json(folder.hc_mean_scans) or {}
    for identity, users in baselines.items():
        n_healthy = len(healthy["scans"]) if healthy.get("identity") == identity else None
        yield baseline_sentence(str(identity).rsplit(" ", 1)[0], users, n_healthy)
    for (n_steps, map_error), users in steps.items():
        yield steps_sentence(users, n_steps, map_error)
    for name in titles:
        yield from _draw_sentences(name, recipes[name].settings)
    seeds = {recipes[name].settings.get("seed") for name in titles if METHODS[name].stochastic} - {None}
    if seeds:
        numbers = listed(str(seed) for seed in sorted(seeds))
        yield f"Random draws were seeded by the number {numbers} and the content of each scan's file."
    yield from error_sentences(titles, [record.statistics for record in records])


def _draw_sentences(name: str, settings: Mapping[str, object]) -> list[str]:
    """Return how often a method drew; nothing if it did not, or if that is not known."""
    known = dict(settings)
    if "references" in settings:
        known["n_available"] = str(settings["references"]).split(" ")[0]  # "10 HC scans" and a hash
    try:
        return [METHODS[name].draws.format(**known)] if METHODS[name].draws else []
    except KeyError:
        return []


def _run_sentences(findings: Findings, runs: RunsSection) -> list[str]:
    """Return how runs were compared; nothing where no two explained a scan."""
    if not runs.entries:
        return []
    titles = {name: method.title for name, method in METHODS.items()}
    with_regions = any(entry.icc for entry in runs.entries)
    return repeatability_sentences(findings.verdicts, titles, with_regions=with_regions)


def _check_sentences(folder: OutputFolder, findings: Findings) -> list[str]:
    """Return which checks on the network were made, and which failed."""
    table = read_table(folder.checks) if findings.verdicts else None
    n_scans = None
    if table is not None and "check" in table:
        n_scans = table.loc[table["check"] == "weights", "subject_id"].nunique() or None
    return check_sentences(findings.verdicts, n_scans)


def _group_sentences(findings: Findings, n_scans: int) -> Iterator[str]:
    """Yield how groups and regions were compared, what limits that, and how sides were told apart."""
    settings, names, contrasts = findings.comparison, findings.class_names, findings.groups.contrasts
    if settings is None:
        return
    atlas_name = None if settings.atlas is None else settings.atlas.path.name
    if findings.regions is not None:
        yield from region_sentences(findings.regions, atlas_name, n_scans)
        yield from normal_range_sentences(findings.regions, names)
    if contrasts:
        yield from comparison_sentences(settings.smooth_mm)
    with_regions = findings.region_test is not None and len(findings.region_test) > 0
    if with_regions:
        yield REGION_TEST_SENTENCE
    if contrasts or with_regions:
        tested = [*contrasts, *(findings.region_test.itertuples() if with_regions else ())]
        counts = [(row.contrast, row.n_patients, row.n_controls) for row in tested]
        yield from contrast_sentences(counts, names)
        family = "points of the brain" if contrasts else "regions"
        if contrasts and with_regions:
            family += ", or regions,"
        columns = () if settings.covariates is None else settings.covariates.columns
        covariates = list(dict.fromkeys(str(column).split("=")[0] for column in columns))
        yield from sign_flip_sentences(family, covariates)
    if findings.groups.clusters:
        yield cluster_sentence(atlas_name)
    yield from findings.groups.limits
    if findings.lateralisation is not None:
        yield from lateralisation_sentences(findings.lateralisation, names)
