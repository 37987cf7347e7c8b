"""The inputs that scans are compared with."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError, warn_by_kind
from mri_saliency.inputs.file_identity import sha256_of_array, sha256_of_file
from mri_saliency.inputs.grid import FIRST_SLICE, INPUT_SIZE
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan, load_volume
from mri_saliency.inputs.preprocessing import air_input
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.volume_file import ARRAY_SUFFIX, read_volume
from mri_saliency.wording import listed

FEW_HEALTHY = 20  # HC scans, below which their mean is a rough control


@dataclass(frozen=True)
class AveragedScan:
    """An HC scan in the mean."""

    path: str
    subject: str
    sha256: str
    content_sha256: str


@dataclass(frozen=True, eq=False)
class HealthyMean:
    """The mean of the HC scans, without the compared scan and other sessions of its subject.

    With them, the scan's difference from a mean of n scans would be smaller by 1/n, for HC alone.
    """

    total: np.ndarray  # float64 (n_slices, 128, 128): the sum of the scans' network inputs
    scans: tuple[AveragedScan, ...]
    first_slice: int  # with which they were prepared

    @property
    def mean(self) -> np.ndarray:
        """The mean of all scans: float32 (n_slices, 128, 128)."""
        return (self.total / len(self.scans)).astype(np.float32)

    @cached_property
    def identity(self) -> str:
        """The baseline's name, and a hash of the scans and of what is left out for each."""
        # not of the mean itself, whose last digits depend on the processor
        parts = [
            f"{scan.sha256} without {','.join(sorted(left.sha256 for left in self.left_out(scan)))}"
            for scan in self.scans
        ]
        return f"hc_mean {hashlib.sha256(';'.join(sorted(parts)).encode()).hexdigest()}"

    def left_out(self, compared: AveragedScan) -> list[AveragedScan]:
        """Return the averaged scans of the same subject or the same content as the compared one."""
        return [
            scan
            for scan in self.scans
            if scan.subject == compared.subject or scan.content_sha256 == compared.content_sha256
        ]

    def without(self, compared: AveragedScan, network_input: np.ndarray) -> np.ndarray:
        """Return the mean without `left_out`, float32 (n_slices, 128, 128), for a scan's own `network_input`.

        Raises UserError: the file of another session, which is loaded, has changed or cannot be read.
        """
        left_out = self.left_out(compared)
        rest = self.total.copy()
        for scan in left_out:
            is_same = scan.content_sha256 == compared.content_sha256
            rest -= network_input if is_same else self._load(scan)
        return (rest / (len(self.scans) - len(left_out))).astype(np.float32)

    def _load(self, scan: AveragedScan) -> np.ndarray:
        path = Path(scan.path)
        network_input = load_volume(path, len(self.total), self.first_slice).network_input
        if sha256_of_file(path) != scan.sha256:
            raise UserError(f"{path}: has changed since it was averaged for the baseline. Start again.")
        return network_input

    def to_json(self) -> dict:
        """Return the JSON that `from_json` reads, with the array of the mean."""
        return {
            "identity": self.identity,
            "mean_sha256": sha256_of_array(self.mean),
            "first_slice": self.first_slice,
            "scans": [asdict(scan) for scan in self.scans],
        }

    @classmethod
    def from_json(cls, content: dict, mean: np.ndarray) -> "HealthyMean":
        """Restore the object to the rounding of `mean`; raise ValueError where that is another."""
        if content["mean_sha256"] != sha256_of_array(mean):
            raise ValueError("the mean is not of these scans")
        scans = tuple(AveragedScan(**scan) for scan in content["scans"])
        return cls(mean.astype(np.float64) * len(scans), scans, content["first_slice"])


@dataclass(frozen=True, eq=False)
class Baseline:
    """What scans are compared with."""

    identity: str  # its name, and a hash where the name alone does not determine the values
    values: np.ndarray | None  # float32 (n_slices, 128, 128); None: each scan's air
    healthy: HealthyMean | None = None  # of hc_mean, for the scans that it leaves out

    def of(self, scans: Sequence[LoadedScan]) -> np.ndarray:
        """Return the baselines, float32: of each scan, (n, n_slices, 128, 128), or of all, (1, ...).

        Raises UserError as `HealthyMean.without`.
        """
        found = [self.of_scan(scan) for scan in scans]
        return np.stack(found if any(one is not self.values for one in found) else found[:1])

    def of_scan(self, scan: LoadedScan) -> np.ndarray:
        """Return a scan's baseline, float32 (n_slices, 128, 128): `values` itself where it is that."""
        if self.values is None:
            return air_input(scan.network_input)
        compared = _identified(scan)
        if self.healthy is None or not self.healthy.left_out(compared):
            return self.values
        return self.healthy.without(compared, scan.network_input)


def make_baseline(
    name: str,
    healthy: Sequence[Scan],
    load: Callable[[Sequence[Scan]], Iterator[list[LoadedScan | UnreadableScan]]],
    *,
    n_slices: int,
    first_slice: int,
) -> Baseline:
    """Make the baseline that ``--baseline`` asks for; `load` loads the HC scans in groups, for hc_mean.

    Raises UserError: no HC scan is readable, or all are of one subject; or as `load_baseline`.
    """
    if name == "background":
        return Baseline(name, None)
    if name == "zero":
        return Baseline(name, np.zeros((n_slices, INPUT_SIZE, INPUT_SIZE), np.float32))
    if name == "hc_mean":
        print(f"averaging {len(healthy)} HC scans for the baseline", flush=True)
        mean = _average(load(healthy), first_slice)
        return Baseline(mean.identity, mean.mean, mean)
    values = load_baseline(Path(name), n_slices, first_slice)
    return Baseline(f"{Path(name).name} {sha256_of_array(values)}", values)


def load_baseline(path: Path, n_slices: int, first_slice: int = FIRST_SLICE) -> np.ndarray:
    """Load a baseline: float32 (n_slices, 128, 128); raises as `load_volume`.

    A ``.npy`` array of that shape is the network's input; any other file is prepared as a scan is.
    """
    if path.suffix == ARRAY_SUFFIX:
        array = read_volume(path)[0]
        if array.shape == (n_slices, INPUT_SIZE, INPUT_SIZE):
            return array.astype(np.float32)
    return load_volume(path, n_slices, first_slice).network_input


def baseline_sentence(name: str, titles: Sequence[str], n_healthy: int | None = None) -> str:
    """Return what scans were compared with by methods, given by their titles, in a sentence for a paper.

    Names of different runs' baselines are joined by " and "; `n_healthy` scans are in the mean of hc_mean.
    """
    of_methods = f"The baseline of {listed(titles)}"
    scans = "the controls' scans" if n_healthy is None else f"{n_healthy} scans of controls"
    words = {
        "zero": "an input of zeros",
        "background": "for each scan, a uniform image of the scan's background intensity",
        "hc_mean": f"the mean network input of {scans}, without those of the compared scan's own subject "
        "or of the same content",
    }
    parts = name.split(" and ")
    if len(parts) > 1:
        return f"{of_methods} differed between the runs: {listed(parts)}."
    return f"{of_methods} was {words.get(name, f'the image {name}')}."


def check_healthy(option: str, n: int, alone: Sequence[Scan | AveragedScan]) -> None:
    """Raise UserError without HC scans, or where they are `alone`, of one subject or content."""
    if not n:
        raise UserError(f"{option}: the table (--csv_path) has no readable HC scan. Choose another.")
    if alone:
        raise UserError(
            f"{option}: expected HC scans of two subjects at least in the table (--csv_path); found {n} "
            f"readable, none of which differs from {alone[0].path} in subject ({alone[0].subject}) and "
            "content. Choose another."
        )


def _average(groups: Iterable[list[LoadedScan | UnreadableScan]], first_slice: int) -> HealthyMean:
    total, scans, unreadable = np.zeros(()), [], []
    for scan in (scan for group in groups for scan in group):
        if isinstance(scan, UnreadableScan):
            unreadable.append(scan)
        else:
            total = total + scan.network_input.astype(np.float64)
            scans.append(_identified(scan))
    reasons = (f"left out of the baseline: {scan.reason}" for scan in unreadable)
    warn_by_kind(reasons, [str(scan.scan.path) for scan in unreadable])
    healthy = HealthyMean(total, tuple(scans), first_slice)
    alone = [scan for scan in healthy.scans if len(healthy.left_out(scan)) == len(scans)]
    check_healthy("--baseline hc_mean", len(scans), alone)
    return healthy


def _identified(scan: LoadedScan) -> AveragedScan:
    person, source = scan.context.scan, scan.context.source
    return AveragedScan(str(person.path), person.subject, source.sha256, source.content_sha256)
