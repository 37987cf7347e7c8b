"""Finished maps -> what the report's viewer offers of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup  # Jinja depends on it

from mri_saliency.cohort.groups import group_titles
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import LOWERS, OPACITY_POWER, RAISES
from mri_saliency.maps.image import voxel_mass
from mri_saliency.maps.viewer_data import atlas_script
from mri_saliency.output.files import relative_url, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.report.findings import Findings
from mri_saliency.report.numbers import common_scale

_EMBEDDED_SCANS = 20  # at most: each map takes 0.7 MB of the page


@dataclass(frozen=True)
class Viewer:
    """What the page holds for its viewer."""

    index: Mapping[str, object]  # for ``viewer.js``: the maps, and their methods' common colour scales
    scripts: Sequence[Markup]  # the content of files that the page contains


def viewer_of(findings: Findings, *, embedded: bool) -> Viewer | None:
    """Return what the viewer offers, and its files if `embedded`; None if that is nothing."""
    folder, titles = findings.folder, group_titles(findings.folder.class_names)
    has_scans = not embedded or len(findings.scans) <= _EMBEDDED_SCANS
    methods: dict[str, dict] = {}
    paths = []
    for method in findings.methods:
        maps = [record for record in findings.records if record.method == method]
        files = {name: folder.group_map(method, f"{name}_mean_viewer.js") for name in titles}
        groups = {name: titles[name] for name, path in files.items() if path.exists()}
        scans = [record.subject_id for record in maps] if has_scans else []
        if groups or scans:
            methods[method] = {"title": findings.methods[method], "limits": common_limits(maps)}
            methods[method] |= {"groups": groups, "scans": scans}
            paths += [files[name] for name in groups]
            paths += [folder.viewer(method, subject_id) for subject_id in scans if embedded]
    if not methods:
        return None
    has_atlas = folder.atlas_viewer.exists()
    index = {
        "methods": methods,
        "atlas": relative_url(folder.atlas_viewer, folder.root) if has_atlas else None,
        "colours": {"raises": RAISES, "lowers": LOWERS, "power": OPACITY_POWER},
    }
    paths += [folder.atlas_viewer] if has_atlas else []
    return Viewer(index, [Markup(path.read_text(encoding="utf-8")) for path in paths] if embedded else [])


def common_limits(records: Sequence[MapRecord]) -> tuple[float, float]:
    """Return where colours of maps, and of smoothed ones, saturate, in the NIfTI files' unit."""
    scales = np.array([(record.drawing.scale, record.drawing.overlay_scale) for record in records])
    of_maps, of_smoothed = common_scale(scales * [[voxel_mass(record.grid)] for record in records])
    return float(of_maps), float(of_smoothed)


def write_atlas(folder: OutputFolder, atlas: Atlas | None, grid: Grid) -> None:
    """Write the atlas on a grid for the viewer; without an atlas or an affine, remove a previous one."""
    if atlas is None or grid.matrix is None:
        folder.atlas_viewer.unlink(missing_ok=True)
    else:
        labels = atlas.resampled(grid.shape, grid.matrix)
        write_text(folder.atlas_viewer, atlas_script(labels, atlas.names, grid))
