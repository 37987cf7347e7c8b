"""What tells other people and BIDS tools what the output folder is, following BIDS 1.10."""

from typing import TYPE_CHECKING

from mri_saliency import __version__
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import SUBFOLDERS, read_text, write_json, write_text
from mri_saliency.output.program import TOOL

if TYPE_CHECKING:
    from mri_saliency.output.folder import OutputFolder

_MARK = f"# Made by {TOOL}"  # begins the files that a later run may replace

# BIDS has a folder for each subject, not for each method, and no name for an attribution map.
_IGNORED = (
    *(f"/{method}" for method in METHODS),
    *(f"/{folder}" for folder in SUBFOLDERS),
    *(f"/*.{ending}" for ending in ("bib", "csv", "html", "json", "png")),
    "!/dataset_description.json",
)

_README = f"""\
{_MARK} {__version__}: attribution maps of an MRI classifier

They show what moved the logit of one trained network. They do not show that the network is right,
nor where the disease is. Read report.html first.

METHOD/SUBJECT/SUBJECT_METHOD_...
    attributions.npy        the map: float32 (slices, 128, 128), coronal slice, x, z, with padding
    attributions.nii.gz     the same on the scan's grid; the sum is kept
    attributions.json       how it was made, and its numbers
    *.nii.gz, null.npy      where a method or a mean of runs has it: standard error, spread, signs, null map
    *.png, viewer.js        slices, summary, thumbnail; the map for the viewer of report.html
report.html                 all results, and a text on the methods to paste into a paper
attribution_summary.png     the cohort's maps in one figure
attribution_statistics.csv  the numbers of all maps
tables/, figures/           further ones; beside each NAME.csv, NAME.json says what its columns are
run.json                    command, settings, versions, and the runs before
group_maps/                 mean scan and baseline, and of each method METHOD/METHOD_...
    GROUP_*                 the mean map of a group, in steps of 1/32767 of its largest magnitude
    CONTRAST_*              where two groups differ, as in left_minus_HC: ratio, t, -log10 of corrected p
"""


def describe_dataset(folder: "OutputFolder") -> None:
    """Write dataset_description.json, README and .bidsignore; a user's own are kept."""
    content = {
        "Name": "Attribution maps of an MRI classifier",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": TOOL, "Version": __version__}],
    }
    path = folder.root / "dataset_description.json"
    if not path.exists() or TOOL in (read_text(path) or ""):
        write_json(path, content)
    for name, text in {"README": _README, ".bidsignore": "\n".join((_MARK, *_IGNORED, ""))}.items():
        path = folder.root / name
        if not path.exists() or (read_text(path) or "").startswith(_MARK):
            write_text(path, text)


def write_dictionary(folder: "OutputFolder", name: str) -> None:
    """Write a table's data dictionary next to it, ``NAME.json``; remove it if there is no table."""
    table = folder.table(name)
    path = table.with_suffix(".json")
    if table.exists():
        write_json(path, TABLES[name])
    else:
        path.unlink(missing_ok=True)
