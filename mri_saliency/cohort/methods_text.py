"""All that was done -> a text on the methods to paste into a paper, and the works that it cites.

The sentences are beside the code that does what they state; here they are chosen by what was found in the
folder, and put in order. What an earlier version did not record is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency.attribution.baselines import baseline_sentence
from mri_saliency.attribution.clenshaw_curtis import steps_sentence
from mri_saliency.attribution.methods import METHODS, explained_sentence
from mri_saliency.cohort.alarms import warning_sentences
from mri_saliency.cohort.bibliography import cited_keys, read_library, with_authors
from mri_saliency.cohort.check_verdicts import check_sentences
from mri_saliency.cohort.clusters import cluster_sentence
from mri_saliency.cohort.combination import combination_sentences
from mri_saliency.cohort.contrasts import contrast_sentences
from mri_saliency.cohort.group_test import comparison_sentences
from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.cohort.lateralisation import lateralisation_sentences
from mri_saliency.cohort.method_agreement import agreement_sentences
from mri_saliency.cohort.normal_ranges import normal_range_sentences
from mri_saliency.cohort.region_test import REGION_TEST_SENTENCE
from mri_saliency.cohort.regions import region_sentences
from mri_saliency.cohort.repeatability import repeatability_sentences
from mri_saliency.cohort.report_data import input_warnings
from mri_saliency.cohort.sign_flip_test import test_sentences
from mri_saliency.inputs.preprocessing import preparation_sentences
from mri_saliency.inputs.volume_file import is_synthetic
from mri_saliency.maps.statistics import error_sentences
from mri_saliency.output.files import read_json, read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.provenance import software_sentences
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.wording import counted, listed

if TYPE_CHECKING:
    from mri_saliency.cohort.report import Findings
    from mri_saliency.cohort.report_runs import RunsSection

_NAMED_REASONS = 3  # why maps failed, or scans have a warning


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
    with_network = "combined" not in run
    parts = (
        [
            *_network_sentences(run, records, findings.class_names.tle),
            *preparation_sentences(*_volumes(list(first.values()))),
            *_scan_sentences(run, findings, first),
            *_failure_sentences(failures),
            *findings.exclusions,
        ],
        [*_attribution_sentences(folder, records), *warning_sentences(records)],
        [] if runs is None else _run_sentences(findings, runs),
        [*agreement_sentences(findings.agreement), *_check_sentences(folder, findings)],
        [*_group_sentences(findings, len(first))],
        software_sentences(_making_runs(run, len(records)), with_network=with_network),
    )
    library = read_library()
    keys = [key for key in cited_keys(chain(*parts)) if key in library]
    return MethodsText(
        paragraphs=[with_authors(" ".join(sentences), library) for sentences in parts if sentences],
        bibliography="\n\n".join(library[key].text for key in sorted(keys)) + "\n",
    )


def _network_sentences(run: Mapping, records: Sequence[MapRecord], tle: str) -> Iterator[str]:
    """Yield what was explained: the networks, and which of their outputs."""
    networks = [part.get("checkpoint") or {} for part in run.get("combined") or (run,)]
    names = list(dict.fromkeys(network["network"] for network in networks if network.get("network")))
    trained = "trained classifiers" if len(networks) > 1 else "a trained classifier"
    architecture = f" of the architecture {listed(names)} [@tan2021]" if names else ""
    yield f"Attribution maps were made of {trained}{architecture}."
    recipe = records[0].recipe
    n_logits, log_odds = networks[0].get("n_logits"), "explains" in recipe.settings
    if explained := explained_sentence(n_logits, recipe.target, log_odds=log_odds, tle=tle):
        yield explained
    if run.get("combined"):
        members = [record.statistics.n_networks for record in records]
        yield from combination_sentences(run["combined"], members)


def _volumes(records: Sequence[MapRecord]) -> tuple[int, int | None, int, int]:
    """Return what `preparation_sentences` needs, of a record of each scan."""
    firsts = {record.grid.first_slice for record in records}
    n_synthetic = sum(is_synthetic(Path(record.source.path)) for record in records)
    return records[0].grid.n_slices, firsts.pop() if len(firsts) == 1 else None, n_synthetic, len(records)


def _scan_sentences(run: Mapping, findings: Findings, first: Mapping[str, MapRecord]) -> Iterator[str]:
    """Yield how many scans there are, which rows of the table are not among them, and input warnings."""
    rows = [record.statistics for record in first.values()]
    counts = Counter(row.diagnosis for row in rows)
    names = findings.class_names
    words = diagnosis_words(counts, names) | {
        side: f"{names.tle} with a focus on the {side}" for side in ("left", "right") if side in counts
    }
    of_subjects = ""
    if all(row.subject for row in rows):
        of_subjects = f" of {counted(len({row.subject for row in rows}), 'subject')}"
    groups = listed(f"{counts[diagnosis]} {words[diagnosis]}" for diagnosis in words)
    yield f"The analysis included {counted(len(rows), 'scan')}{of_subjects}: {groups}."
    limit = (run.get("options") or {}).get("max_samples")
    if limit and "combined" not in run and _n_explained(run, len(rows)) == limit:
        yield f"At most the first {limit} scans of the cohort's table were analysed."
    if run.get("status") == "interrupted":
        yield "The run was interrupted; the maps that it had finished were analysed."
    skipped = Counter(row.get("reason") for row in run.get("skipped_rows") or ())
    if skipped:
        reasons = "; ".join(f"{reason} (n = {n})" for reason, n in skipped.most_common())
        verb = "row of the table was" if skipped.total() == 1 else "rows of the table were"
        yield f"Beforehand, {skipped.total()} {verb} left out: {reasons}."
    warnings = Counter(input_warnings([record.statistics for record in findings.records]).values())
    if warnings:
        yield (
            f"The input of {counted(warnings.total(), 'scan')} raised a warning, which excluded none: "
            f"{_quoted(warnings)}."
        )


def _n_explained(run: Mapping, n_scans: int) -> float:
    """Return how many scans the last run was to explain; `n_scans` if it did not count its maps."""
    counts, methods = run.get("counts"), run["options"].get("methods")
    return sum(counts.values()) / len(methods) if counts and methods else n_scans


def _failure_sentences(failures: Sequence[Mapping[str, str]]) -> list[str]:
    """Return which maps could not be made."""
    if not failures:
        return []
    reasons = Counter(_without_path(row) for row in failures)
    n_scans = len({row["subject_id"] for row in failures})
    n_maps = counted(len(failures), "map")
    return [f"{n_maps} of {counted(n_scans, 'scan')} could not be made: {_quoted(reasons)}."]


def _without_path(failure: Mapping[str, str]) -> str:
    """Return the reason of a failure without the path of the scan."""
    file, reason = str(failure["file"]), str(failure["reason"])
    return reason.removeprefix(f"{file}: ").replace(file, "the scan").rstrip(".")


def _quoted(counts: Counter[str]) -> str:
    """Return the most frequent texts, in quotation marks, with their counts."""
    named = counts.most_common(_NAMED_REASONS)
    n_rest = counts.total() - sum(n for _, n in named)
    rest = [f"others (n = {n_rest})"] if n_rest else []
    return "; ".join([*(f"“{text}” (n = {n})" for text, n in named), *rest])


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
    yield from comparison_sentences(contrasts, settings.smooth_mm)
    with_regions = findings.region_test is not None and len(findings.region_test) > 0
    if with_regions:
        yield REGION_TEST_SENTENCE
    if contrasts or with_regions:
        tested = [*contrasts, *(findings.region_test.itertuples() if with_regions else ())]
        yield from contrast_sentences(tested, names)
        family = "points of the brain" if contrasts else "regions"
        if contrasts and with_regions:
            family += ", or regions,"
        columns = () if settings.covariates is None else settings.covariates.columns
        covariates = list(dict.fromkeys(str(column).split("=")[0] for column in columns))
        yield from test_sentences(family, covariates)
    if findings.groups.clusters:
        yield cluster_sentence(atlas_name)
    yield from findings.groups.limits
    if findings.lateralisation is not None:
        yield from lateralisation_sentences(findings.lateralisation, names)


def _making_runs(run: Mapping, n_maps: int) -> list[Mapping]:
    """Return the runs that made the folder's maps, the last one first; only that if none counted them."""
    runs, n_found = [], 0
    for part in (run, *reversed(run.get("earlier_runs") or ())):
        n_made = (part.get("counts") or {}).get("maps", 0)
        if n_made and n_found < n_maps:
            runs.append(part)
            n_found += n_made
    return runs or [run]
