"""The data dictionaries describe every column of the tables that a run writes, and no other."""

import json
import re
import shutil
from dataclasses import fields

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.combine.repeatability import region_agreement
from mri_saliency.combine.run_difference import region_differences
from mri_saliency.groups.clusters import find_clusters
from mri_saliency.maps.comparison import NULL, TOP_SHARE
from mri_saliency.maps.statistics import (
    COMPLETENESS_TOLERANCE,
    LOGIT_ROUNDING,
    STANDARD_ERRORS,
    MapStatistics,
)
from mri_saliency.methods import METHODS
from mri_saliency.output.dictionary import TABLES, markdown, write_dictionary
from mri_saliency.output.files import write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.comparison import compare_regions
from mri_saliency.regions.lateralisation import LEAST_CONTROLS as LEAST_FOR_THRESHOLD
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.run.outcome import Failure
from mri_saliency.statistics.normal_ranges import LEAST_CONTROLS

from ..conftest import run_in
from ..made_cohort import GRID, SIDED_PAIRS, sided_regions
from ..test_manual import MANUAL

RUN = ("--n_steps", "2", "--n_samples", "2", "--key_slices", "2", "--no_nifti", "--check_maps", "3")


@pytest.fixture(scope="module")
def tables(tmp_path_factory, made_run):
    """All tables of a run on three scans and one that is gone, with an atlas and checks."""
    root = tmp_path_factory.mktemp("tables")
    shutil.copytree(made_run, root / "run")
    run = run_in(root / "run")
    run.table.write_text(run.table.read_text() + "scans/gone.nii,HC,sub-Z\n")
    labels = np.zeros((61, 73, 61), np.int16)
    labels[:, :15] = 1  # where the tiny network looks
    nib.Nifti1Image(labels, nib.affines.from_matvec(3 * np.eye(3), (-90, -126, -72))).to_filename(
        root / "atlas.nii"
    )
    (root / "names.csv").write_text("index,name\n1,Everywhere\n")
    named = ("--atlas", root / "atlas.nii", "--atlas_names", root / "names.csv")
    assert script.main(run.options("--methods", "saliency", "gradient_shap", *RUN, *named)) == 1
    combined = ("--combine", *(run.output, run.output), "--output_dir", root / "combined", "--key_slices", 2)
    assert script.main([*map(str, (*combined, *named)), "--workers", "0", "--no_nifti"]) == 0
    for name in ("run_agreement", "run_regions"):
        shutil.copy(root / "combined" / f"{name}.csv", run.output)
    # tables of ten patients
    regions = pd.concat([sided_regions().assign(run=name) for name in ("a", "b")])
    write_table(run.output / "run_region_agreement.csv", region_agreement(regions))
    write_table(run.output / "run_region_difference.csv", region_differences(regions))
    write_table(run.output / "group_clusters.csv", made_up_clusters())
    write_table(run.output / "region_group_test.csv", compare_regions(sided_regions(), SIDED_PAIRS))
    write_table(run.output / "lateralisation.csv", lateralisation_table(sided_regions(), SIDED_PAIRS))
    return {name: pd.read_csv(run.output / f"{name}.csv", dtype=str) for name in TABLES}


def made_up_clusters():
    t = np.full((GRID.n_slices, 112, 112), 5.0, np.float32)
    clusters = find_clusters(t, t, 0 * t, GRID, None)
    return pd.DataFrame([{"method": "saliency", "contrast": "left_minus_HC"} | row for row in clusters])


@pytest.mark.parametrize("name", TABLES)
def test_a_dictionary_has_the_tables_columns_in_their_order(tables, name):
    assert list(TABLES[name]) == list(tables[name].columns)


@pytest.mark.parametrize("name", TABLES)
def test_levels_are_the_tables_values(tables, name):
    for column, about in TABLES[name].items():
        values = set(tables[name][column].dropna())
        if (name, column) == ("region_statistics", "region"):
            assert values - set(about.levels) == {"Everywhere"}
        elif column == "step":
            steps = values - set(about.levels) - {"Everywhere"}
            assert all(re.match(r"[\d.]+$|classifier|features", step) for step in steps)
        elif about.levels:
            assert values <= set(about.levels), column


def test_all_checks_and_measures_have_a_level(tables):
    for column in ("check", "measure", "order"):
        assert set(tables["map_checks"][column].dropna()) == set(TABLES["map_checks"][column].levels)


def test_dataclasses_are_described():
    assert list(TABLES["attribution_statistics"]) == [field.name for field in fields(MapStatistics)]
    assert list(TABLES["failures"]) == [field.name for field in fields(Failure)]


def test_numbers_in_descriptions_are_the_programs():
    ok = TABLES["attribution_statistics"]["completeness_verdict"].levels["ok"]
    assert f"{COMPLETENESS_TOLERANCE:.0%}" in ok and f"{LOGIT_ROUNDING:g} logits" in ok
    assert f"{STANDARD_ERRORS} standard errors" in ok
    overlap = TABLES["method_agreement"]["top_overlap"].description
    assert f"{TOP_SHARE:.0%}" in overlap
    assert NULL in TABLES["method_agreement"]["method_b"].levels
    assert f"below {LEAST_CONTROLS} HC" in TABLES["region_statistics"]["density_z"].description
    threshold = TABLES["lateralisation"]["threshold"].description
    assert f"fewer than {LEAST_FOR_THRESHOLD} of them" in threshold


@pytest.mark.parametrize("name", TABLES)
def test_a_dictionary_is_in_bids_form_and_goes_with_its_table(tmp_path, name):
    folder = OutputFolder(tmp_path)
    (tmp_path / f"{name}.csv").write_text("a table")
    write_dictionary(folder, name)
    content = json.loads((tmp_path / f"{name}.json").read_text())
    assert list(content) == list(TABLES[name])
    for about in content.values():
        assert about["Description"] and set(about) <= {"LongName", "Description", "Units", "Levels"}
        assert all(isinstance(level, str) for level in about.get("Levels", {}).values())
    (tmp_path / f"{name}.csv").unlink()
    write_dictionary(folder, name)
    assert not (tmp_path / f"{name}.json").exists()
    write_dictionary(folder, name)


def test_methods_have_their_question_and_unit():
    levels = TABLES["attribution_statistics"]["method"].levels
    assert list(levels) == list(METHODS)
    assert levels["saliency"].endswith("; in logit per unit of intensity")


@pytest.mark.parametrize("name", TABLES)
def test_the_manuals_list_has_each_column_once_in_the_same_words(name):
    text = markdown(name)
    assert text in MANUAL
    assert max(map(len, text.splitlines())) <= 118
    unwrapped = text.replace("\n  ", " ")
    for column, about in TABLES[name].items():
        assert sum(f"`{column}`" in line.split(":")[0] for line in unwrapped.splitlines()) == 1
        assert about.description in unwrapped and (about.units or "") in unwrapped


def test_alike_columns_share_an_item():
    alike = "- `mean`, `std`, `min`, `max`, `abs_mean`: over the array (the method's unit)\n"
    assert alike in markdown("attribution_statistics")
