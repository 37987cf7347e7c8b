"""Sanity checks of some scans' maps on the network -> map_checks.csv."""

import numpy as np

from mri_saliency.checks.checked_scans import CheckedScans
from mri_saliency.checks.sanity_checks import check_maps, n_stages
from mri_saliency.cohort.groups import representative
from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.loading import LoadedScan
from mri_saliency.inputs.preprocessing import pad
from mri_saliency.output.files import write_table
from mri_saliency.run.prepare import Run
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks


def check_some_maps(run: Run) -> None:
    """Check each method's maps of some scans on the network, and write what was found."""
    explainer, atlas = run.explainer, run.request.description.atlas
    groups = run.request.load(representative(run.request.scans, run.request.n_checked))
    scans = [scan for group in groups for scan in group if isinstance(scan, LoadedScan)]
    if len(scans) < 2:
        warn("checking maps needs two readable scans at least, whose maps it compares; skipped.")
        return
    inputs, baselines = np.stack([scan.network_input for scan in scans]), run.request.baseline.of(scans)
    scan_ids = [scan.context.source.sha256 for scan in scans]
    checked = CheckedScans(
        inputs,
        baselines,
        scan_ids,
        targets=explainer.batch(inputs, baselines, scan_ids, run.request.target).targets,
        subject_ids=[scan.context.scan.subject_id for scan in scans],
        brains=np.stack([scan.context.brain for scan in scans]),
        labels=np.stack([region_labels(scan, atlas) for scan in scans]),
        region_names={} if atlas is None else atlas.names,
        classes=[scan.context.scan.label for scan in scans],
    )
    print(f"checking the maps of {len(scans)} scans on the network", flush=True)
    progress = Progress(n_stages(checked, run.methods), 0, Ranks(), unit="check")
    table = check_maps(explainer, checked, run.methods, progress.advance)
    progress.close()
    digests = {method: recipe.digest() for method, recipe in run.plan.recipes.items()}  # of the checked maps
    table.insert(0, "fingerprint", table["method"].map(digests))
    write_table(run.folder.checks, table)


def region_labels(scan: LoadedScan, atlas: Atlas | None) -> np.ndarray:
    """Return the region of each voxel of a scan's input, int32 (n_slices, 128, 128); 0 without a place."""
    grid = scan.context.grid
    if atlas is not None and grid.affine is not None:
        try:
            return pad(atlas.on_network_grid(grid))
        except UserError as error:
            warn(f"{scan.context.scan.subject_id}: its regions are not checked: {error}")
    return np.zeros(scan.network_input.shape, np.int32)
