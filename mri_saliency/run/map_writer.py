"""A map -> all its files: figures, array, images and, last, its record; jobs of worker processes."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.figures import map_view, scan_view, slice_figures, summary_figure, thumbnail
from mri_saliency.maps.image import estimate, map_to_nifti, to_nifti
from mri_saliency.maps.statistics import measure_map
from mri_saliency.maps.viewer_data import Anatomy, map_script
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_array, write_nifti, write_picture, write_text
from mri_saliency.output.record import MapRecord, MeasuredMap, Recipe

if TYPE_CHECKING:
    import nibabel as nib

    from mri_saliency.attribution.result import Attribution
    from mri_saliency.inputs.loading import ScanContext
    from mri_saliency.run.plan import MapFiles


def write_new_map(
    context: "ScanContext", method: str, attribution: "Attribution", recipe: Recipe, files: "MapFiles"
) -> dict[str, float]:
    """Measure a map that was just made, and write it; a worker's job, as `redraw_map`."""
    statistics = measure_map(attribution, context, method, recipe.baseline_name)
    record = MeasuredMap.of(attribution.values, statistics, context, recipe)
    extras: dict[Path, nib.Nifti1Image | np.ndarray] = {}
    if attribution.null is not None:
        extras[files.folder.null(method, record.subject_id)] = unpad(attribution.null).astype(np.float16)
    if attribution.voxel_errors is not None:
        scale = colour_scale(unpad(attribution.values), unpad(context.brain))  # the map's
        meaning = estimate(METHODS[method].unit, scale, signed=False)
        image = to_nifti(unpad(attribution.voxel_errors), context.grid, f"{method}, standard error", meaning)
        extras[files.folder.standard_error(method, record.subject_id)] = image
    seconds = write_map(context, record, attribution.values, files, extras)
    return seconds | {"network": attribution.seconds}


def redraw_map(context: "ScanContext", method: str, files: "MapFiles") -> dict[str, float]:
    """Draw a finished map again, from its array; raises UserError if it is no longer there."""
    name = (method, context.scan.subject_id)
    record = files.folder.read_record(*name)
    if record is None:
        raise UserError(f"{files.folder.array(*name)}: was removed or changed while the run went on.")
    return write_map(context, record, files.folder.open_array(*name), files)


def write_map(
    context: "ScanContext",
    record: MeasuredMap,
    values: np.ndarray,
    files: "MapFiles",
    extras: "Mapping[Path, nib.Nifti1Image | np.ndarray] | None" = None,
) -> dict[str, float]:
    """Write a map's figures, array, images and, last, its record; return processor seconds by kind of work.

    A `MapRecord` is a finished map's, whose array is kept; any other record a new map's, which replaces a
    previous one. `extras` are written besides: path -> an array, or an image of the scan's grid.
    """
    began_s, kept = time.process_time(), record.files if isinstance(record, MapRecord) else {}
    folder, name = files.folder, (record.method, record.subject_id)
    unpadded, brain = (np.ascontiguousarray(unpad(array)) for array in (values, context.brain))
    view = scan_view(context, record.statistics, files.key_slices, files.n_logits, files.folder.class_names)
    shown = map_view(view, unpadded, brain, files.smooth_mm)
    drawing = shown.drawing
    pictures = {
        folder.summary_figure(*name): summary_figure(shown),
        folder.thumbnail(*name): thumbnail(context, unpadded, drawing),
    }
    for index, picture in zip(files.key_slices, slice_figures(shown), strict=True):
        pictures[folder.slice_figure(*name, index)] = picture
    drawn_s = time.process_time()

    folder.open_map(*name, replace=not kept)
    written = [folder.array(*name).with_name(file) for file in kept]
    if not kept:
        write_array(folder.array(*name), values)
        written.append(folder.array(*name))
    image = map_to_nifti(values, context.grid, record.method, drawing.scale)
    anatomy = Anatomy(context.greys, brain)
    script = map_script("/".join(name), np.asarray(image.dataobj), context.grid, anatomy, drawing)
    write_text(folder.viewer(*name), script)
    written.append(folder.viewer(*name))
    for path, content in {folder.nifti(*name): image, **(extras or {})}.items():
        if isinstance(content, np.ndarray):
            write_array(path, content)
        elif files.nifti:
            write_nifti(path, content, durably=True)
        else:
            continue
        written.append(path)
    for path, picture in pictures.items():
        write_picture(path, picture)
    sizes = {path.name: path.stat().st_size for path in (*written, *pictures)}
    folder.write_record(record.drawn(files.key_slices, drawing, sizes))
    return {"draw": drawn_s - began_s, "write": time.process_time() - drawn_s}
