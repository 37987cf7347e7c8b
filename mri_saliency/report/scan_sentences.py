"""What was explained and what was not, in sentences for a paper: networks, scans, rows left out, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.combine.combination import combination_sentences
from mri_saliency.inputs.preprocessing import preparation_sentences
from mri_saliency.inputs.volume_file import is_synthetic
from mri_saliency.methods import explained_sentence
from mri_saliency.output.record import MapRecord
from mri_saliency.report.numbers import input_warnings
from mri_saliency.wording import ClassNames, counted, demo_mark, listed

_NAMED_REASONS = 3  # why maps failed, or scans have a warning


def network_sentences(run: Mapping, records: Sequence[MapRecord], tle: str) -> Iterator[str]:
    """Yield what was explained: the networks, and which of their outputs."""
    networks = [part.get("checkpoint") or {} for part in run.get("combined") or (run,)]
    names = list(dict.fromkeys(network["network"] for network in networks if network.get("network")))
    n_networks = len({network.get("sha256", index) for index, network in enumerate(networks)})
    trained = "trained classifiers" if n_networks > 1 else "a trained classifier"
    architecture = f" of the architecture {listed(names)} [@tan2021]" if names else ""
    yield f"Attribution maps were made of {trained}{architecture}."
    yield explained_sentence(networks[0]["n_logits"], records[0].recipe.target, tle)
    if run.get("combined"):
        members = [record.statistics.n_networks for record in records]
        yield from combination_sentences(run["combined"], members)


def volume_sentences(records: Sequence[MapRecord]) -> list[str]:
    """Return how volumes became inputs; `records` has one of each scan."""
    firsts = {record.grid.first_slice for record in records}
    n_synthetic = sum(is_synthetic(Path(record.source.path)) for record in records)
    first_slice = firsts.pop() if len(firsts) == 1 else None
    return preparation_sentences(records[0].grid.n_slices, first_slice, n_synthetic, len(records))


def scan_sentences(run: Mapping, records: Sequence[MapRecord], names: ClassNames) -> Iterator[str]:
    """Yield how many scans there are, which rows of the table are not among them, and input warnings."""
    rows = list({record.subject_id: record.statistics for record in records}.values())
    counts = Counter(row.diagnosis for row in rows)
    words = diagnosis_words(counts, names) | {
        side: f"{names.tle} with a focus on the {side}" for side in ("left", "right") if side in counts
    }
    of_subjects = ""
    if all(row.subject for row in rows):
        of_subjects = f" of {counted(len({row.subject for row in rows}), 'subject')}"
    groups = listed(f"{counts[diagnosis]} {words[diagnosis]}" for diagnosis in words)
    kind = "simulated scan" if demo_mark(row.subject_id for row in rows) else "scan"
    yield f"The analysis included {counted(len(rows), kind)}{of_subjects}: {groups}."
    limit = (run.get("options") or {}).get("max_samples")
    if limit and "combined" not in run and len(rows) <= limit == _n_explained(run, len(rows)):
        yield f"At most the first {limit} scans of the cohort's table were analysed."
    if run.get("status") == "interrupted":
        yield "The run was interrupted; what it had finished was analysed."
    skipped = Counter(row.get("reason") for row in run.get("skipped_rows") or ())
    if skipped:
        reasons = "; ".join(f"{reason} (n = {n})" for reason, n in skipped.most_common())
        verb = "row of the table was" if skipped.total() == 1 else "rows of the table were"
        yield f"Beforehand, {skipped.total()} {verb} left out: {reasons}."
    warnings = Counter(input_warnings([record.statistics for record in records]).values())
    if warnings:
        yield (
            f"The input of {counted(warnings.total(), 'scan')} raised a warning; maps were made "
            f"nevertheless: {_quoted(warnings)}."
        )


def _n_explained(run: Mapping, n_scans: int) -> float:
    """Return how many scans the last run was to explain; `n_scans` if it did not count its maps."""
    counts, methods = run.get("counts"), run["options"].get("methods")
    return sum(counts.values()) / len(methods) if counts and methods else n_scans


def failure_sentences(failures: Sequence[Mapping[str, str]]) -> list[str]:
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
