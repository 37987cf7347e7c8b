"""The HC scans that Expected Gradients compares a scan with."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mri_saliency.attribution.baselines import check_healthy
from mri_saliency.errors import warn, warn_by_kind
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.loading import UnreadableScan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.volume_file import content_sha256, read_volume


@dataclass(frozen=True, eq=False)
class References:
    """HC scans with which scans are compared, each scan with those that are not of its own subject."""

    # float32 (128, 128, n_slices), slices last as in `Batch`; in the main memory, 7.5 MB each for 115 slices
    inputs: tuple[np.ndarray, ...]
    scan_ids: tuple[str, ...]  # SHA-256 of the files
    relatives: tuple[frozenset[str], ...]  # those not compared with it: its own id, and its subject's others
    paths: tuple[str, ...] = ()  # for the record

    @cached_property
    def identity(self) -> str:
        """How many they are, and a hash of the scans and of what each is not compared with."""
        parts = [
            f"{scan_id} not for {','.join(sorted(relatives))}"
            for scan_id, relatives in zip(self.scan_ids, self.relatives, strict=True)
        ]
        return f"{len(parts)} HC scans {hashlib.sha256(';'.join(sorted(parts)).encode()).hexdigest()}"

    def available(self, scan_id: str) -> list[int]:
        """Return the indices of the references that a scan, given by its SHA-256, is compared with."""
        return [index for index, relatives in enumerate(self.relatives) if scan_id not in relatives]


def load_references(
    scans: Sequence[Scan], in_groups: Callable[..., Iterator[list]], *, n_references: int, seed: int
) -> References:
    """Load the references: all HC scans of the table's, or `n_references` of them if there are more.

    Which ones is drawn by the run's seed and the files' contents, not their order or places. Each subject has
    one scan among them before any has two. Files of the same voxels count once.

    `in_groups` is `load_in_groups` but for its first argument, and its ``load`` can be replaced. Raises
    UserError as `check_healthy`.
    """
    subjects = {scan.subject for scan in scans if scan.label == 0}
    candidates = [scan for scan in scans if scan.subject in subjects]
    sources = _sources(candidates, in_groups)
    healthy = [scan for scan in candidates if scan.label == 0 and scan in sources]
    # of copies the one with the smallest SHA-256, so that the table's order does not matter
    healthy = sorted(reversed(healthy), key=lambda scan: sources[scan].sha256, reverse=True)
    distinct = {sources[scan].content_sha256: scan for scan in healthy}
    ordered = _by_lot({sources[scan].sha256: scan for scan in distinct.values()}, seed)
    print(f"loading {min(n_references, len(ordered))} of {len(ordered)} HC scans as references", flush=True)
    references = _load(ordered, sources, in_groups, n_references)
    alone = [scan for scan, source in sources.items() if not references.available(source.sha256)]
    check_healthy("--methods expected_gradients", len(references.inputs), alone)
    return references


def identify_scan(scan: Scan) -> FileIdentity:
    """Return the identity of a scan's file; a worker's job."""
    voxels, affine, _ = read_volume(scan.path, nan_allowed=True)
    return FileIdentity.of(scan.path, content_sha256(voxels, affine))


def _sources(scans: Sequence[Scan], in_groups: Callable[..., Iterator[list]]) -> dict[Scan, FileIdentity]:
    """Return the identity of each scan's file, without those that cannot be read."""
    found = (source for group in in_groups(scans, load=identify_scan) for source in group)
    sources, unreadable = {}, []
    for scan, source in zip(scans, found, strict=True):
        if not isinstance(source, UnreadableScan):
            sources[scan] = source
        elif scan.label == 0:
            unreadable.append(source)
    reasons = (f"left out of the references: {source.reason}" for source in unreadable)
    warn_by_kind(reasons, [str(source.scan.path) for source in unreadable])
    return sources


def _by_lot(scans: Mapping[str, Scan], seed: int) -> list[Scan]:
    """Return scans, given by their SHA-256, in random order, one of each subject before any second one."""
    lots = sorted(scans, key=lambda scan_id: hashlib.sha256(f"{seed}\0{scan_id}".encode()).digest())
    turns: Counter[str] = Counter()
    turn = {}
    for scan_id in lots:
        turns[scans[scan_id].subject] += 1
        turn[scan_id] = turns[scans[scan_id].subject]
    return [scans[scan_id] for scan_id in sorted(lots, key=turn.__getitem__)]


def _load(
    scans: Sequence[Scan],
    sources: Mapping[Scan, FileIdentity],
    in_groups: Callable[..., Iterator[list]],
    n: int,
) -> References:
    """Load the first `n` readable scans."""
    by_subject: dict[str, set[str]] = {}
    by_content: dict[str, set[str]] = {}
    for scan, source in sources.items():
        by_subject.setdefault(scan.subject, set()).add(source.content_sha256)
        by_content.setdefault(source.content_sha256, set()).add(source.sha256)
    inputs, scan_ids, relatives, paths = [], [], [], []
    for loaded in (loaded for group in in_groups(scans) for loaded in group):
        if isinstance(loaded, UnreadableScan):
            warn(f"left out of the references: {loaded.reason}")
            continue
        source = loaded.context.source
        # a copy under another subject's name makes both subjects relatives
        families = (family for family in by_subject.values() if source.content_sha256 in family)
        contents = {source.content_sha256}.union(*families)
        inputs.append(np.ascontiguousarray(loaded.network_input.transpose(1, 2, 0)))
        scan_ids.append(source.sha256)
        relatives.append(frozenset({source.sha256}).union(*(by_content.get(c, ()) for c in contents)))
        paths.append(str(loaded.context.scan.path))
        if len(inputs) == n:
            break
    return References(*map(tuple, (inputs, scan_ids, relatives, paths)))
