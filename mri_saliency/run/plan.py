"""What is finished already: the plan of a run, from the records in the output folder."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.subject_ids import candidate_ids
from mri_saliency.maps.drawing import DEFAULT_SMOOTH_MM
from mri_saliency.methods import METHODS
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, Recipe

_PICTURE_BYTES = 150_000  # of a figure, roughly
_VIEWER_BYTES = 700_000  # at most, on CAT12's grid
_SCAN_VOXELS = 113 * 137 * 113  # of a CAT12 image


@dataclass(frozen=True)
class MapFiles:
    """Which files are written of each map, and where."""

    folder: OutputFolder
    key_slices: tuple[int, ...]  # which are drawn
    nifti: bool  # whether an image in the scan's space is written
    n_logits: int  # of the network, which decide how a figure words the prediction
    smooth_mm: float = DEFAULT_SMOOTH_MM  # of the overlays: full width at half maximum; 0: none

    def are_drawn(self, record: MapRecord) -> bool:
        """Return whether a finished map has all these files."""
        name = (record.method, record.subject_id)
        wanted = {self.folder.slice_figure(*name, index).name for index in self.key_slices}
        wanted |= {self.folder.thumbnail(*name).name, self.folder.viewer(*name).name}
        if self.nifti:
            wanted.add(self.folder.nifti(*name).name)
        drawn_so = (record.key_slices, record.drawing.smooth_mm) == (self.key_slices, self.smooth_mm)
        return wanted <= record.files.keys() and drawn_so

    def can_be_drawn(self, record: MapRecord) -> bool:
        """Return whether a finished map's array suffices for all these files; else it must be made again."""
        if not (self.nifti and METHODS[record.method].has_standard_error):
            return True
        return self.folder.standard_error(record.method, record.subject_id).name in record.files

    def warn_of_full_disk(self, n_maps: int, n_slices: int) -> None:
        """Warn if the files of so many maps will hardly fit on the disk."""
        arrays = 4 * (n_slices * INPUT_SIZE**2 + _SCAN_VOXELS * self.nifti)
        map_bytes = arrays + _PICTURE_BYTES * (3 + len(self.key_slices)) + _VIEWER_BYTES
        needed, free = n_maps * map_bytes, self.folder.free_bytes()
        if needed > free:
            warn(
                f"{self.folder.root}: the new maps need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB "
                "are free. --no_nifti and fewer --key_slices need less."
            )


class Action(Enum):
    """What a run does about a map."""

    MAKE = "make"
    REDRAW = "redraw"  # figures and image, from the array
    KEEP = "keep"


@dataclass(frozen=True)
class Plan:
    """What a run does about each map."""

    actions: Mapping[tuple[str, str], Action]  # (subject_id, method) -> what is done about the map
    recipes: Mapping[str, Recipe]  # method -> how its maps are made
    files: MapFiles
    kept: tuple[MapRecord, ...] = ()  # the finished maps with nothing to be done
    moved: tuple[MapRecord, ...] = ()  # finished maps whose scan is elsewhere now, as they are to be recorded

    def count(self, action: Action) -> int:
        """Return the number of maps with this action."""
        return list(self.actions.values()).count(action)

    def digest(self) -> str:
        """Return what differs between plans of other maps."""
        actions = [(*key, action.value) for key, action in self.actions.items()]
        recipes = [(method, recipe.digest()) for method, recipe in self.recipes.items()]
        return hashlib.sha256(json.dumps([actions, recipes]).encode()).hexdigest()

    def unfinished(self, scans: Iterable[Scan]) -> list[Scan]:
        """Return the scans with a map to be made or redrawn, in order."""
        open_ids = {subject_id for (subject_id, _), action in self.actions.items() if action != Action.KEEP}
        return [scan for scan in scans if scan.subject_id in open_ids]

    def open_methods(self, scan: Scan) -> list[str]:
        """Return the methods whose map of a scan is to be made or redrawn."""
        return [method for method in self.recipes if self._action(scan, method) != Action.KEEP]

    def indices(self, action: Action, method: str, scans: Iterable[Scan]) -> list[int]:
        """Return the positions of the scans whose map by a method has this action."""
        return [i for i, scan in enumerate(scans) if self._action(scan, method) == action]

    def _action(self, scan: Scan, method: str) -> Action:
        """Return what is done about a map; a scan that has none by the method has nothing to be done."""
        return self.actions.get((scan.subject_id, method), Action.KEEP)


def keep_names(scans: Iterable[Scan], records: Iterable[MapRecord]) -> list[Scan]:
    """Return the scans under the names that their files' maps have in the folder.

    A scan's name depends on the other rows of the table (`subject_ids`); a finished map is found by its
    file's path all the same, so that one file never has maps under two names. A new scan gets a name that no
    other file's maps have there.
    """
    sources = {record.subject_id: record.source for record in records}
    by_path = {source.path: name for name, source in sources.items()}
    named = [(scan, by_path.get(str(scan.path))) for scan in scans]
    taken = {name.casefold() for name in sources} | {name.casefold() for _, name in named if name}
    kept = []
    for scan, name in named:
        if name is None:
            candidates = [scan.subject_id, *candidate_ids(scan.path)]
            name = next(candidate for candidate in candidates if candidate.casefold() not in taken)
            taken.add(name.casefold())
        kept.append(replace(scan, subject_id=name))
    return kept


def make_recipes(
    methods: Iterable[str], common: Recipe, settings: Mapping[str, object], hardware: str
) -> dict[str, Recipe]:
    """Return each method's recipe: what all share, and of `settings` those that the method depends on.

    A CPU and each model of GPU draw different noise, so the recipe of a method that draws names the hardware.
    """
    recipes = {}
    for name in methods:
        method = METHODS[name]
        drawn_on = {"drawn_on": hardware} if "noise_std" in method.settings else {}
        of_method = {setting: settings[setting] for setting in method.settings if setting in settings}
        recipes[name] = replace(common, settings=common.settings | of_method | drawn_on)
    return recipes


def make_plan(
    scans: Iterable[Scan],
    recipes: Mapping[str, Recipe],
    files: MapFiles,
    records: Iterable[MapRecord],
    *,
    overwrite: bool,
) -> Plan:
    """Decide for each scan and method whether its map is made, redrawn or kept; `records` are the folder's.

    Raises UserError: the folder holds maps made in another way, and `overwrite` is False.
    """
    actions, kept, differing = {}, [], []
    finished = {(record.method, record.subject_id): record for record in records}
    for scan in scans:
        for method, recipe in recipes.items():
            record = finished.get((method, scan.subject_id))
            difference = record and _difference(record, recipe, scan.path)
            if difference:
                differing.append(f"{method} of {scan.subject_id}: {difference}")
            if record is None or difference or not files.can_be_drawn(record):
                actions[scan.subject_id, method] = Action.MAKE
            else:
                is_drawn = files.are_drawn(record)
                actions[scan.subject_id, method] = Action.KEEP if is_drawn else Action.REDRAW
                kept += [record] if is_drawn else []
    if differing and not overwrite:
        raise UserError(
            f"{files.folder.root}: holds {len(differing)} maps that were made in another way, such as "
            f"{differing[0]}. Choose another --output_dir, or replace them with --overwrite."
        )
    return Plan(actions, recipes, files, tuple(kept))


def _difference(record: MapRecord, recipe: Recipe, scan_path: Path) -> str:
    """Describe how a finished map's recipe or scan differs from the requested one; "" if it does not."""
    changed = recipe.differences(record.recipe)
    if not record.source.matches(scan_path):
        changed.append(f"the scan's file has changed, or is another ({record.source.path} then)")
    return "; ".join(changed)
