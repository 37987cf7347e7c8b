"""What tells other people and BIDS tools what the output folder is, following BIDS 1.10."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mri_saliency import __version__
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_json, write_text
from mri_saliency.output.record import SOURCE

if TYPE_CHECKING:
    from mri_saliency.output.folder import OutputFolder

TOOL = "mri-saliency-maps"
_MARK = f"# Made by {TOOL}"  # begins the files that a later run may replace

# BIDS has a folder for each subject, not for each method, and no name for an attribution map.
_IGNORED = (
    *(f"/{method}" for method in METHODS),
    "/atlas_viewer.js",
    "/group_maps",
    *(f"/*.{ending}" for ending in ("bib", "csv", "html", "json", "npy", "png")),
    "!/dataset_description.json",
)

_README = f"""\
{_MARK} {__version__}: attribution maps of an MRI classifier

They show what moved the logit of one trained network. They do not show that the network is right,
nor where the disease is. Read report.html first.

METHOD/SUBJECT/SUBJECT_METHOD_...
    attributions.npy      the map: float32 (slices, 128, 128), coronal slice, x, z, with padding
    attributions.nii.gz   the same on the scan's grid; the sum is kept
    standard_error.nii.gz standard errors of the values, of expected_gradients
    attributions.json     how it was made, and its numbers
    slice_K.png, summary.png, thumbnail.png
    viewer.js             the map for the viewer of report.html: 8 bits, inside the brain alone
    spread.nii.gz, sign_agreement.nii.gz, difference.nii.gz
                          of a mean over runs: standard deviation, share of the runs with the mean's
                          sign; of two runs, the second less the first
group_maps/METHOD/METHOD_...
    GROUP_mean.nii.gz, GROUP_magnitude.nii.gz, GROUP.png
                          means of the maps and of their magnitudes over a group
    GROUP_mean_viewer.js  the mean of the maps for the viewer of report.html
    CONTRAST_ratio.nii.gz, CONTRAST_t.nii.gz, CONTRAST_neg_log10_p_fwe.nii.gz, CONTRAST.png
                          where the magnitudes of two groups differ, as in left_minus_HC; the last
                          image is -log10 of corrected p, which is 0 where nothing was tested
report.html               all results, and a text on the methods to paste into a paper
references.bib            the works that this text cites, in BibTeX
NAME.csv, NAME.json       a table, and what its columns are
NAME.png, NAME.npy        figures, mean scans
atlas_viewer.js           the atlas's regions for the viewer of report.html
baseline_hc_mean.json     the scans in the mean control, which is made without a scan for that scan
run.json                  command, settings, versions, and the runs before

dataset_description.json describes the folder to BIDS tools; .bidsignore lists what has no name in
BIDS. In sidecars, bids:{SOURCE}:PATH is a file below the folder of the cohort's table, which
DatasetLinks in dataset_description.json gives relative to this folder: after moving one of them,
correct it there.
"""


def describe_dataset(folder: OutputFolder, source_folder: Path) -> None:
    """Write dataset_description.json, README and .bidsignore, without absolute paths.

    A README or .bidsignore of the user's own is kept.

    Parameters
    ----------
    folder : OutputFolder
    source_folder : Path
        The folder of the cohort's table, which BIDS URIs of scans start from.
    """
    # links are followed: ".." of a linked folder is elsewhere
    link = quote(Path(os.path.relpath(source_folder.resolve(), folder.root.resolve())).as_posix())
    content = {
        "Name": "Attribution maps of an MRI classifier",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": TOOL, "Version": __version__}],
        "SourceDatasets": [{"URL": f"bids:{SOURCE}:"}],
        "DatasetLinks": {SOURCE: link},
    }
    write_json(folder.dataset_description, content)
    _write_own(folder.root / "README", _README)
    _write_own(folder.root / ".bidsignore", "\n".join((f"{_MARK}: what has no name in BIDS", *_IGNORED, "")))


def _write_own(path: Path, text: str) -> None:
    """Write a file unless another program or the user made the one that is there."""
    if not path.exists() or path.read_bytes().startswith(_MARK.encode()):
        write_text(path, text)
