"""All that was done -> a text on the methods, of sentences beside the code that acts; [@key] cites a work."""

from collections.abc import Iterator

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
from mri_saliency.output.record import Recipe
from mri_saliency.regions.comparison import REGION_TEST_SENTENCE
from mri_saliency.regions.densities import region_sentences
from mri_saliency.regions.lateralisation import lateralisation_sentences
from mri_saliency.report.alarms import unusual_maps
from mri_saliency.report.findings import Findings
from mri_saliency.report.networks import run_entries
from mri_saliency.report.scan_sentences import (
    failure_sentences,
    network_sentences,
    scan_sentences,
    volume_sentences,
)
from mri_saliency.run.run_record import description_sentences, making_runs, software_sentences
from mri_saliency.wording import listed


def methods_text(findings: Findings) -> list[str]:
    """Return the paragraphs of the text on the methods."""
    parts = (
        [
            *network_sentences(findings),
            *volume_sentences(findings),
            *scan_sentences(findings),
            *failure_sentences(findings.failures),
            *(limitation.sentence for limitation in findings.limitations),
        ],
        [*_attribution_sentences(findings), *unusual_maps(findings.records)],
        _run_sentences(findings),
        [*agreement_sentences(findings.agreement), *_check_sentences(findings)],
        [*_group_sentences(findings)],
        _software_sentences(findings),
    )
    return [" ".join(sentences) for sentences in parts if sentences]


def _attribution_sentences(findings: Findings) -> Iterator[str]:
    """Yield what each method did, with which settings, and what errors its maps reached."""
    recipes = {record.method: record.recipe for record in findings.records}
    titles = {name: METHODS[name].title for name in findings.methods}
    for name in titles:
        yield METHODS[name].account
        n = sum(record.method == name for record in findings.records)
        if n < len(findings.scans):
            yield f"Maps of {titles[name]} were available for {n} of the {len(findings.scans)} scans."
    yield from _baseline_sentences(findings, recipes)
    steps: dict[tuple, list[str]] = {}
    for name, recipe in recipes.items():
        if "n_steps" in (settings := recipe.settings):
            steps.setdefault((settings["n_steps"], settings.get("map_error")), []).append(titles[name])
    for (n_steps, map_error), users in steps.items():
        yield steps_sentence(users, n_steps, map_error)
    recipes = {name: recipe for name, recipe in recipes.items() if METHODS[name].stochastic}
    drawn = {name: recipe.settings for name, recipe in recipes.items() if "combined" not in recipe.settings}
    for name, settings in drawn.items():
        n_available = str(settings.get("references")).split(" ")[0]  # "10 HC scans" and a hash
        yield METHODS[name].draws.format(**settings, n_available=n_available)
    if drawn:
        seeds = listed(sorted({str(settings["seed"]) for settings in drawn.values()}))
        yield f"Random draws were seeded by the number {seeds} and the content of each scan's file."
    yield from error_sentences(titles, [record.statistics for record in findings.records])


def _baseline_sentences(findings: Findings, recipes: dict[str, Recipe]) -> Iterator[str]:
    """Yield what the methods compared the scans with."""
    users: dict[tuple[str, object], list[str]] = {}
    for method, recipe in recipes.items():
        if recipe.baseline_name is not None:
            key = recipe.baseline_name, recipe.settings["baseline"]
            users.setdefault(key, []).append(METHODS[method].title)
    healthy = read_json(findings.folder.hc_mean_scans) or {}
    for (name, identity), titles in users.items():
        n_healthy = len(healthy["scans"]) if healthy.get("identity") == identity else None
        yield baseline_sentence(name, titles, n_healthy)


def _run_sentences(findings: Findings) -> list[str]:
    """Return how runs were compared; nothing where no two explained a scan."""
    runs = findings.run.get("combined")
    if not runs or not (entries := run_entries(findings)):
        return []
    n_networks = len({run["checkpoint"]["sha256"] for run in runs})
    with_regions = any(entry["icc"] for entry in entries)
    return repeatability_sentences(findings.verdicts, n_networks, with_regions=with_regions)


def _check_sentences(findings: Findings) -> list[str]:
    """Return which checks on the network were made, and which failed."""
    table = read_table(findings.folder.checks)
    is_of_weights = None if table is None else table["check"] == "weights"
    n_scans = None if table is None else table.loc[is_of_weights, "subject_id"].nunique()
    return check_sentences(findings.verdicts, n_scans)


def _group_sentences(findings: Findings) -> Iterator[str]:
    """Yield how groups and regions were compared, what limits that, and how sides were told apart."""
    settings, names, contrasts = findings.comparison, findings.folder.class_names, findings.groups.contrasts
    if settings is None:
        return
    atlas_name = None if settings.atlas is None else settings.atlas.path.name
    if atlas_name is not None:
        yield from region_sentences(findings.regions, atlas_name, len(findings.scans))
    if contrasts:
        yield from comparison_sentences(settings.smooth_mm)
    tested = [*contrasts, *findings.region_test.itertuples()]
    if len(findings.region_test):
        yield REGION_TEST_SENTENCE
    if tested:
        counts = [(row.contrast, row.n_patients, row.n_controls) for row in tested]
        yield from contrast_sentences(counts, names)
        families = {
            points: len({row.method for row in rows})
            for points, rows in (("points of the brain", contrasts), ("regions", tested[len(contrasts) :]))
            if rows
        }
        columns = () if settings.covariates is None else settings.covariates.columns
        covariates = list(dict.fromkeys(str(column).split("=")[0] for column in columns))
        yield from sign_flip_sentences(families, covariates)
    if findings.groups.clusters:
        yield cluster_sentence(atlas_name)
    yield from (limitation.sentence for limitation in findings.groups.limitations)
    yield from lateralisation_sentences(findings.lateralisation, names)


def _software_sentences(findings: Findings) -> list[str]:
    """Return with what the maps were made and, of a combination, brought together."""
    run = findings.run
    runs = making_runs(run, len(findings.records))
    if "combined" not in run:
        return [*software_sentences(runs), *description_sentences(runs)]
    joined = software_sentences(runs, with_network=False)
    return [*software_sentences(run["combined"]), *joined, *description_sentences(runs)]
