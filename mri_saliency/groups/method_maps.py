"""One method's finished maps on the cohort's common grid; how images of groups are written and drawn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.preprocessing import grey_levels, intensity_window
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.figures import Layer, View
from mri_saliency.maps.image import Meaning, as_int16, to_nifti, to_scan_grid
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.maps.viewer_data import Anatomy, map_script
from mri_saliency.methods import METHODS, Method
from mri_saliency.output.files import write_nifti, write_picture, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import demo_mark

_COMPRESSION = 6  # of images of groups, which are few


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """One method's maps on the common grid; `scans` has an entry for each. Sent to worker processes."""

    folder: OutputFolder
    method: Method
    scans: list[MapStatistics]
    space: CommonSpace
    key_slices: tuple[int, ...]
    uses_controls: bool = False  # whether the maps compare scans with the controls'

    @property
    def has_one_target(self) -> bool:
        """Whether all maps explain the same logit."""
        return len({scan.target for scan in self.scans}) == 1

    def open_map(self, scan: MapStatistics) -> np.ndarray:
        """Open a scan's map on the common grid, without pad: float32 (n_slices, 112, 112)."""
        values = self.folder.load_map(self.method.name, scan.subject_id)
        return values[:, ::-1] if self.space.mirrored[scan.subject_id] else values

    def write_image(self, name: str, values: np.ndarray, description: str, meaning: Meaning) -> None:
        """Write a map of a group as compressed NIfTI image on the common grid, means in fine steps."""
        image = to_nifti(values, self.space.grid, f"{self.method.name}, {description}", meaning)
        path = self.folder.group_map(self.method.name, f"{name}.nii.gz")
        write_nifti(path, image if meaning.nearest else as_int16(image), level=_COMPRESSION)

    def write_viewer(self, name: str, values: np.ndarray, drawing: Drawing) -> None:
        """Write a group's mean map for the report's viewer, over the mean scan."""
        grid, mean_scan, brain = self.space.grid, self.space.mean_scan, self.space.brain
        greys = grey_levels(mean_scan, intensity_window(mean_scan))
        anatomy = Anatomy(greys, np.zeros_like(greys, bool) if brain is None else brain)
        key = f"group_maps/{self.method.name}/{name}"
        script = map_script(key, to_scan_grid(values, grid), grid, anatomy, drawing)
        write_text(self.folder.group_map(self.method.name, f"{name}_mean_viewer.js"), script)

    def write_figure(self, name: str, picture: np.ndarray) -> Path:
        """Write a group's figure; return its path."""
        path = self.folder.group_map(self.method.name, f"{name}.png")
        write_picture(path, picture)
        return path

    def shown(self, values: np.ndarray) -> np.ndarray:
        """Return a map's key slices, upright."""
        return upright(values[list(self.key_slices)], self.space.grid)

    def layer(self, values: np.ndarray, limit: float) -> Layer:
        """Return a map of a group as figures show it."""
        return Layer(self.shown(values), limit)

    def view(self, title: str, subtitle: str) -> View:
        """Return what the figures of groups show besides the maps."""
        grid, mean_scan = self.space.grid, self.space.mean_scan
        window = intensity_window(mean_scan)
        return View(
            grid=grid,
            key_slices=self.key_slices,
            anatomy=self.shown(grey_levels(mean_scan, window)),
            title=f"{self.method.title}   {title}",
            subtitle=demo_mark(scan.subject_id for scan in self.scans) + subtitle,
            signed=self.method.signed,
            unit=self.method.unit,
            window=window,
        )


def find_method_maps(
    folder: OutputFolder, records: list[MapRecord], space: CommonSpace, key_slices: tuple[int, ...]
) -> list[MethodMaps]:
    """Return the maps of each method that has some on the common grid."""
    found = []
    for method in METHODS.values():
        placed = [record for record in records if record.subject_id in space.mirrored]
        of_method = [record for record in placed if record.method == method.name]
        if of_method:
            recipe, scans = of_method[0].recipe, [record.statistics for record in of_method]
            uses_controls = recipe.baseline_name == "hc_mean" or "references" in recipe.settings
            found.append(MethodMaps(folder, method, scans, space, key_slices, uses_controls))
    return found
