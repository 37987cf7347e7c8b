"""The record of a finished map: how it was made, and its numbers; the content of its sidecar file."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.statistics import MapStatistics, slice_profile
from mri_saliency.methods import METHODS
from mri_saliency.output.json_kinds import Plain, of_kind
from mri_saliency.output.program import program

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mri_saliency.inputs.loading import ScanContext


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a map beside its scan and its method's code.

    `settings` are the method's, by option; for methods that draw, also the hardware (``drawn_on``); for
    networks of several logits, what is explained of the class (``explains``); for a mean of several runs'
    maps, those runs' networks and recipes (``combined``).
    """

    maths: int  # `mri_saliency.attribution.explainer.MATHS` of the program that made it
    checkpoint: str  # SHA-256 of the network's file
    first_slice: int
    target: int | None  # the explained class; None: each scan's predicted class
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def baseline_name(self) -> str | None:
        """The baseline's name without its hash; None for methods without baseline."""
        identity = self.settings.get("baseline")
        return None if identity is None else str(identity).rsplit(" ", 1)[0]

    def to_json(self) -> dict[str, object]:
        """Return the recipe as a flat JSON object."""
        fixed = {key: value for key, value in vars(self).items() if key != "settings"}
        return fixed | self.settings

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Recipe":
        """Read what `to_json` returned; raises ValueError for anything else."""
        content = of_kind(content, dict[str, Plain | list[Plain]], "fingerprint")
        fixed = {part.name for part in fields(cls)}
        settings = {key: value for key, value in content.items() if key not in fixed}
        return of_kind(content | {"settings": settings}, cls, "fingerprint")

    def digest(self) -> str:
        """Return 12 hexadecimal digits that differ between recipes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, previous: "Recipe") -> list[str]:
        """Describe each setting in which a previous recipe differs from this one."""
        then, now = previous.to_json(), self.to_json()
        return [
            f"{key} was {_shortened(then.get(key))}, now {_shortened(now.get(key))}"
            for key in {**then, **now}
            if then.get(key) != now.get(key)
        ]


@dataclass(frozen=True)
class MeasuredMap:
    """A map that was made and measured, but not drawn yet."""

    subject_id: str
    method: str
    source: FileIdentity  # the scan's file
    grid: Grid
    brain_voxels: int  # of the network's input
    recipe: Recipe
    statistics: MapStatistics  # its row of attribution_statistics.csv
    slice_profile: tuple[float, ...]  # each slice's share of the summed magnitude
    program: str  # the version that made it, with a hash of the source
    combined: tuple[str, ...] = ()  # of a mean: the runs whose map it holds, as in the recipe's ``combined``

    @classmethod
    def of(
        cls,
        values: "np.ndarray",
        statistics: MapStatistics,
        context: "ScanContext",
        recipe: Recipe,
        combined: tuple[str, ...] = (),
    ) -> "MeasuredMap":
        """Return what is recorded of a map, float32 (n_slices, 128, 128), before it is drawn."""
        return MeasuredMap(
            subject_id=context.scan.subject_id,
            method=statistics.method,
            source=context.source,
            grid=context.grid,
            brain_voxels=int(context.brain.sum()),
            recipe=recipe,
            statistics=statistics,
            slice_profile=tuple(slice_profile(values).tolist()),
            program=program(),
            combined=combined,
        )

    def drawn(self, key_slices: tuple[int, ...], drawing: Drawing, files: dict[str, int]) -> "MapRecord":
        """Return the record of the map once it is drawn and written; of a finished map, the new record."""
        return MapRecord(**vars(self) | {"key_slices": key_slices, "drawing": drawing, "files": files})


@dataclass(frozen=True, kw_only=True)
class MapRecord(MeasuredMap):
    """A finished map; its sidecar file holds this as JSON."""

    key_slices: tuple[int, ...]  # those that were drawn
    drawing: Drawing
    files: dict[str, int]  # name -> size in bytes, of every file of the map but the sidecar

    def to_json(self) -> dict[str, Any]:
        """Return the sidecar's content."""
        content = asdict(self) | {"fingerprint": self.recipe.to_json()}
        del content["recipe"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "MapRecord":
        """Read what `to_json` returned; raises ValueError, which says where, for anything else."""
        recipe = vars(Recipe.from_json(content.get("fingerprint", {})))
        record: MapRecord = of_kind(content | {"recipe": recipe}, cls, "record")
        record._check_ranges()
        return record

    def _check_ranges(self) -> None:
        """Raise ValueError for a number or name that no map has."""
        row, n_slices = self.statistics, self.grid.n_slices
        for column in fields(row):
            levels, value = column.metadata.get("Levels"), getattr(row, column.name)
            if levels and value is not None and str(value) not in levels:
                raise ValueError(f"record.statistics.{column.name}: unknown value {value!r:.40}")
        slices = (*self.key_slices, self.drawing.telling_slice)
        if not (
            (row.method, row.subject_id) == (self.method, self.subject_id)
            and len(self.slice_profile) == n_slices > max(slices)
            and min(*slices, row.sample_idx, *self.grid.shape, *self.files.values()) >= 0
        ):
            raise ValueError("record: names or numbers that do not fit each other")


def in_order(records: list[MapRecord]) -> list[MapRecord]:
    """Sort by the scan's place in the cohort, then by the method's in the registry."""
    methods = list(METHODS)
    return sorted(records, key=lambda r: (r.statistics.sample_idx, r.subject_id, methods.index(r.method)))


def statistics_table(records: list[MapRecord]) -> "pd.DataFrame":
    """Return attribution_statistics.csv's rows, in the order of `in_order`."""
    import pandas as pd

    return pd.DataFrame([asdict(record.statistics) for record in in_order(records)])


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"
