"""Finished maps -> what the report's viewer offers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup  # Jinja depends on it

from mri_saliency.cohort.groups import diagnosis_words, group_titles
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import LOWERS, OPACITY_POWER, RAISES
from mri_saliency.maps.image import voxel_mass
from mri_saliency.maps.viewer_data import atlas_script
from mri_saliency.output.files import write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.report.numbers import common_scale
from mri_saliency.wording import ClassNames

_EMBEDDED_SCANS = 20  # at most: each map takes 0.7 MB of the page


@dataclass(frozen=True)
class Viewer:
    """What the page holds for its viewer.

    Attributes
    ----------
    index : dict
        The maps that have a file, and their methods' common colour scales; for ``viewer.js``.
    scripts : list of Markup
        The content of files that the page contains.
    """

    index: Mapping[str, object]
    scripts: Sequence[Markup]


def make_viewer(
    folder: OutputFolder, records: Sequence[MapRecord], class_names: ClassNames, *, embed: bool
) -> Viewer | None:
    """Return what the viewer offers of finished maps; None if that is nothing, as of earlier versions' maps.

    Parameters
    ----------
    folder : OutputFolder
    records : sequence of MapRecord
    class_names : ClassNames
    embed : bool
        Whether the page contains the files of the groups and, of up to 20 scans, the maps.
    """
    offered = [
        record for record in records if folder.viewer(record.method, record.subject_id).name in record.files
    ]
    if not offered:
        return None
    words = diagnosis_words({record.statistics.diagnosis for record in offered}, class_names)
    paths, methods = [], {}
    has_scans = not embed or len({record.subject_id for record in offered}) <= _EMBEDDED_SCANS
    for method in dict.fromkeys(record.method for record in offered):
        maps = [record for record in offered if record.method == method]
        groups = {
            name: title
            for name, title in group_titles(class_names).items()
            if folder.group_map(method, f"{name}_mean_viewer.js").exists()
        }
        if not groups and not has_scans:
            continue
        paths += [folder.group_map(method, f"{name}_mean_viewer.js") for name in groups]
        methods[method] = {
            "limits": common_limits(maps),
            "groups": groups,
            "scans": [record.subject_id for record in maps] if has_scans else [],
        }
    if not methods:
        return None
    diagnoses = {record.subject_id: words[record.statistics.diagnosis] for record in offered}
    if has_scans:
        paths += [folder.viewer(record.method, record.subject_id) for record in offered]
    has_atlas = folder.atlas_viewer.exists()
    if has_atlas:
        paths.append(folder.atlas_viewer)
    index = {
        "methods": methods,
        "diagnoses": diagnoses,
        "atlas": folder.atlas_viewer.name if has_atlas else None,
        "colours": {"raises": RAISES, "lowers": LOWERS, "power": OPACITY_POWER},
    }
    return Viewer(index, [Markup(path.read_text(encoding="utf-8")) for path in paths] if embed else [])


def common_limits(records: Sequence[MapRecord]) -> tuple[float, float] | None:
    """Return where the colours of one method's maps, and of its smoothed maps, saturate on a common scale.

    In the unit of the NIfTI files; None if no map records how it was drawn.
    """
    own = [
        np.array([record.drawing.scale, record.drawing.overlay_scale]) * voxel_mass(record.grid)
        for record in records
        if record.drawing
    ]
    return tuple(common_scale(own).tolist()) if own else None


def write_atlas(folder: OutputFolder, atlas: Atlas | None, grid: Grid) -> None:
    """Write the atlas on a grid for the viewer; without an atlas or an affine, remove a previous one."""
    if atlas is None or grid.affine is None:
        folder.atlas_viewer.unlink(missing_ok=True)
        return
    write_text(folder.atlas_viewer, atlas_script(atlas.resampled(grid.shape, grid.matrix), atlas.names, grid))
