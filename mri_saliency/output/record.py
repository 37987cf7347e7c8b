"""The record of a finished map: how it was made, and its numbers; the content of its sidecar file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.statistics import MapStatistics, measure_map, slice_profile
from mri_saliency.methods import METHODS
from mri_saliency.output.program import program

if TYPE_CHECKING:
    import pandas as pd

    from mri_saliency.attribution.result import Attribution
    from mri_saliency.inputs.loading import ScanContext


SOURCE = "source"  # the scans' dataset in BIDS URIs: the folder of the cohort's table


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a map beside its scan and its method's code.

    Attributes
    ----------
    maths : int
        `mri_saliency.attribution.explainer.MATHS` of the program that made it.
    checkpoint : str
        SHA-256 of the network's file.
    first_slice : int
        ``--first_slice``.
    target : int or None
        The explained class; None: each scan's predicted class.
    settings : dict
        The method's settings, by option; for methods that draw, also the hardware (``drawn_on``); for
        networks of several logits, what is explained of the class (``explains``); for a mean of several
        runs' maps, those runs' networks and recipes (``combined``).
    """

    maths: int
    checkpoint: str
    first_slice: int
    target: int | None
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def baseline_name(self) -> str | None:
        """The baseline's name without its hash; None for methods without baseline."""
        identity = self.settings.get("baseline")
        return None if identity is None else str(identity).rsplit(" ", 1)[0]

    def to_json(self) -> dict:
        """Return the recipe as a flat JSON object."""
        fixed = {key: value for key, value in vars(self).items() if key != "settings"}
        return fixed | self.settings

    @classmethod
    def from_json(cls, content: dict) -> Recipe:
        """Read what `to_json` returned."""
        settings = dict(content)
        fixed = [settings.pop(key, None) for key in ("maths", "checkpoint", "first_slice", "target")]
        return cls(*fixed, settings)

    def digest(self) -> str:
        """Return 12 hexadecimal digits that differ between recipes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, previous: Recipe) -> list[str]:
        """Describe each setting in which a previous recipe differs from this one."""
        then, now = previous.to_json(), self.to_json()
        return [
            f"{key} was {_shortened(then.get(key))}, now {_shortened(now.get(key))}"
            for key in {**then, **now}
            if then.get(key) != now.get(key)
        ]


@dataclass(frozen=True)
class MapRecord:
    """A finished map; its sidecar file holds this as JSON.

    Attributes
    ----------
    subject_id, method : str
        Which map.
    source : FileIdentity
        The scan's file.
    grid : Grid
        The scan's grid, and the slices that the network saw.
    brain_voxels : int
        Voxels of the network's input inside the brain.
    recipe : Recipe
        How it was made.
    statistics : MapStatistics
        Its row of attribution_statistics.csv.
    slice_profile : tuple of float
        Each slice's share of the summed magnitude.
    key_slices : tuple of int
        The slices that were drawn.
    drawing : Drawing or None
        How it was drawn; None in the records of earlier versions.
    program : str
        The version that made it, with a hash of the source.
    files : dict
        File name -> size in bytes, of every file of the map but the sidecar.
    combined : tuple of str
        Of a mean of several runs' maps: those whose map it holds, as in the recipe's ``combined``.
    """

    subject_id: str
    method: str
    source: FileIdentity
    grid: Grid
    brain_voxels: int
    recipe: Recipe
    statistics: MapStatistics
    slice_profile: tuple[float, ...]
    program: str
    key_slices: tuple[int, ...] = ()
    drawing: Drawing | None = None
    files: dict[str, int] = field(default_factory=dict)
    combined: tuple[str, ...] = ()

    def to_json(self, source_folder: Path | None = None) -> dict:
        """Return the sidecar's content; ``Sources``, ``SpatialReference``, ``SkullStripped`` are BIDS's.

        Parameters
        ----------
        source_folder : Path or None
            The folder that the scan's BIDS URI starts from; None: the scan's own.
        """
        uri = scan_uri(Path(self.source.path), source_folder)
        return {
            "subject_id": self.subject_id,
            "method": self.method,
            "source": self.source.to_json(),
            "Sources": [uri],
            "SpatialReference": uri,
            "SkullStripped": True,
            "grid": self.grid.to_json(),
            "brain_voxels": self.brain_voxels,
            "fingerprint": self.recipe.to_json(),
            "statistics": self.statistics.to_json(),
            "slice_profile": list(self.slice_profile),
            "program": self.program,
            "files": self.files,
            "key_slices": list(self.key_slices),
            **({"combined": list(self.combined)} if self.combined else {}),
            **({"drawing": self.drawing.to_json()} if self.drawing else {}),
        }

    @classmethod
    def from_json(cls, content: dict) -> MapRecord:
        """Read a sidecar's content.

        Raises
        ------
        KeyError, TypeError, ValueError
            The content is not a sidecar's.
        """
        return cls(
            subject_id=content["subject_id"],
            method=content["method"],
            source=FileIdentity.from_json(content["source"]),
            grid=Grid.from_json(content["grid"]),
            brain_voxels=content["brain_voxels"],
            recipe=Recipe.from_json(content["fingerprint"]),
            statistics=MapStatistics.from_json(content["statistics"]),
            slice_profile=tuple(content["slice_profile"]),
            program=content["program"],
            key_slices=tuple(content["key_slices"]),
            files=dict(content["files"]),
            combined=tuple(content.get("combined", ())),
            drawing=Drawing(**content["drawing"]) if "drawing" in content else None,
        )


def new_record(context: ScanContext, method: str, attribution: Attribution, recipe: Recipe) -> MapRecord:
    """Return the record of a map that was just made; raises UserError if the map is not finite."""
    return MapRecord(
        subject_id=context.scan.subject_id,
        method=method,
        source=context.source,
        grid=context.grid,
        brain_voxels=int(context.brain.sum()),
        recipe=recipe,
        statistics=measure_map(attribution, context, method, recipe.baseline_name),
        slice_profile=tuple(slice_profile(attribution.values).tolist()),
        program=program(),
    )


def in_order(records: list[MapRecord]) -> list[MapRecord]:
    """Sort by the scan's place in the cohort, then by the method's in the registry."""
    methods = list(METHODS)

    def place(record: MapRecord) -> tuple[int, str, int]:
        return record.statistics.sample_idx, record.subject_id, methods.index(record.method)

    return sorted(records, key=place)


def statistics_table(records: list[MapRecord]) -> pd.DataFrame:
    """Return attribution_statistics.csv's rows, in the order of `in_order`."""
    import pandas as pd

    return pd.DataFrame([record.statistics.to_json() for record in in_order(records)])


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"


def scan_uri(scan: Path, source_folder: Path | None) -> str:
    """Return a scan's BIDS URI, such as ``bids:source:scans/sub-01.nii``.

    Parameters
    ----------
    scan : Path
    source_folder : Path or None
        As `describe_dataset` got it; None: the scan's own folder.
    """
    relative = os.path.relpath(scan, source_folder or scan.parent)
    return f"bids:{SOURCE}:{quote(Path(relative).as_posix())}"
