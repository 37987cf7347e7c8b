"""How a cohort's maps are described, from the options: the atlas, the covariates, the words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from mri_saliency.inputs.atlas import Atlas, read_atlas_for
from mri_saliency.inputs.covariates import read_covariates
from mri_saliency.inputs.grid import Grid
from mri_saliency.options import Options, check_key_slices
from mri_saliency.output.record import MapRecord


@dataclass(frozen=True, eq=False)
class Description:
    """How a cohort's maps are described."""

    key_slices: tuple[int, ...]  # of group figures
    atlas: Atlas | None
    smooth_mm: float  # before groups are compared: full width at half maximum
    covariates: pd.DataFrame | None = None  # from `read_covariates`
    embed: bool = False  # whether the report holds its pictures, instead of links to them


def read_description(options: Options, grids: Iterable[Grid]) -> Description:
    """Read what the options name; the atlas is checked on the first of the scans' grids.

    Raises UserError: a file cannot be read, or does not fit the scans.
    """
    covariates = None
    if options.covariates:
        covariates = read_covariates(options.csv_path, options.path_column, options.covariates)
    atlas = read_atlas_for(options.atlas, options.atlas_names, grids)
    return Description(options.key_slices, atlas, options.smooth_mm, covariates, options.report_embed)


def read_description_of(records: Sequence[MapRecord], options: Options) -> Description:
    """Read how finished maps are described; raises as `read_description`, or for slices they do not have."""
    check_key_slices(options.key_slices, records[0].grid.n_slices)
    return read_description(options, (record.grid for record in records))
