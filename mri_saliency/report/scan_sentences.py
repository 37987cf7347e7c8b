"""What was explained and what was not, in sentences for a paper: networks, scans, rows left out, failures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.combine.combination import combination_sentences
from mri_saliency.inputs.preprocessing import preparation_sentences
from mri_saliency.inputs.volume_file import is_synthetic
from mri_saliency.methods import explained_sentence
from mri_saliency.report.findings import Findings
from mri_saliency.wording import counted, listed


def network_sentences(findings: Findings) -> Iterator[str]:
    """Yield what was explained: the networks, and which of their outputs."""
    runs = findings.run.get("combined", [findings.run])
    names = listed(dict.fromkeys(run["checkpoint"]["network"] for run in runs))
    n_networks = len({run["checkpoint"]["sha256"] for run in runs})
    trained = "trained classifiers" if n_networks > 1 else "a trained classifier"
    yield f"Attribution maps were made of {trained} of the architecture {names} [@tan2021]."
    n_logits, target = findings.run["checkpoint"]["n_logits"], findings.records[0].recipe.target
    yield explained_sentence(n_logits, target, findings.folder.class_names.tle)
    if "combined" in findings.run:
        yield from combination_sentences(runs, [record.statistics.n_networks for record in findings.records])


def volume_sentences(findings: Findings) -> list[str]:
    """Return how volumes became inputs."""
    scans = {record.subject_id: record for record in findings.records}.values()
    first_slices = {scan.grid.first_slice for scan in scans}
    first_slice = first_slices.pop() if len(first_slices) == 1 else None
    n_synthetic = sum(is_synthetic(Path(scan.source.path)) for scan in scans)
    return preparation_sentences(findings.records[0].grid.n_slices, first_slice, n_synthetic, len(scans))


def scan_sentences(findings: Findings) -> Iterator[str]:
    """Yield how many scans there are, which rows of the table are not among them, and input warnings."""
    run, scans, tle = findings.run, findings.scans, findings.folder.class_names.tle
    counts = Counter(scan.diagnosis for scan in scans)
    words = diagnosis_words(counts, findings.folder.class_names) | {
        side: f"{tle} with a focus on the {side}" for side in ("left", "right") if side in counts
    }
    groups = listed(f"{counts[diagnosis]} {word}" for diagnosis, word in words.items())
    kind = "simulated scan" if findings.demo else "scan"
    subjects = counted(len({scan.subject for scan in scans}), "subject")
    yield f"The analysis included {counted(len(scans), kind)} of {subjects}: {groups}."
    limit = run["options"]["max_samples"]
    if limit and "combined" not in run and "counts" in run:
        n_explained = sum(run["counts"].values()) / len(run["options"]["methods"])  # by the last run
        if len(scans) <= limit == n_explained:
            yield f"At most the first {limit} scans of the cohort's table were analysed."
    if run["status"] == "interrupted":
        yield "The run was interrupted; what it had finished was analysed."
    skipped = Counter(row["reason"] for row in run.get("skipped_rows", ()))
    if skipped:
        reasons = "; ".join(f"{reason} (n = {n})" for reason, n in skipped.most_common())
        verb = "row of the table was" if skipped.total() == 1 else "rows of the table were"
        yield f"Beforehand, {skipped.total()} {verb} left out: {reasons}."
    warnings = Counter(findings.input_warnings.values())
    if warnings:
        yield (
            f"The input of {counted(warnings.total(), 'scan')} raised a warning; maps were made "
            f"nevertheless: {_quoted(warnings)}."
        )


def failure_sentences(failures: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield which maps could not be made."""
    if failures:
        reasons = _quoted(Counter(map(_without_path, failures)))
        n_maps, n_scans = len(failures), len({row["subject_id"] for row in failures})
        yield f"{counted(n_maps, 'map')} of {counted(n_scans, 'scan')} could not be made: {reasons}."


def _without_path(failure: Mapping[str, str]) -> str:
    """Return the reason of a failure without the path of the scan."""
    file, reason = str(failure["file"]), str(failure["reason"])
    return reason.removeprefix(f"{file}: ").replace(file, "the scan").rstrip(".")


def _quoted(counts: Counter[str]) -> str:
    """Return the three most frequent texts, in quotation marks, with their counts."""
    named = counts.most_common(3)
    n_rest = counts.total() - sum(n for _, n in named)
    rest = [f"others (n = {n_rest})"] if n_rest else []
    return "; ".join([*(f"“{text}” (n = {n})" for text, n in named), *rest])
