"""The data dictionaries describe every column of the tables that a run writes, and no other."""

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.combine.repeatability import region_agreement
from mri_saliency.groups.clusters import find_clusters
from mri_saliency.maps.comparison import NULL
from mri_saliency.methods import METHODS
from mri_saliency.output.bids import write_dictionary
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_table, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.comparison import compare_regions, region_test_table
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.statistics.normal_ranges import LEAST_CONTROLS

from ..conftest import run_in
from ..made_cohort import GRID, SIDED_PAIRS, sided_regions

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
        shutil.copy(root / "combined/tables" / f"{name}.csv", run.output / "tables")
    # tables of ten patients
    folder = OutputFolder(run.output)
    regions = pd.concat([sided_regions().assign(run=name) for name in ("a", "b")])
    write_table(folder.run_region_agreement, region_agreement(regions))
    write_table(folder.group_clusters, made_up_clusters())
    region_test = region_test_table(compare_regions(sided_regions(), SIDED_PAIRS))
    write_table(folder.region_test, region_test)
    write_table(folder.lateralisation, lateralisation_table(sided_regions(), SIDED_PAIRS))
    return {name: pd.read_csv(folder.table(name), dtype=str) for name in TABLES}


def made_up_clusters():
    t = np.full((GRID.n_slices, 112, 112), 5.0, np.float32)
    clusters = pd.DataFrame(find_clusters(t, 0 * t, GRID, None)[0])
    clusters = clusters.assign(method="saliency", contrast="left_minus_HC", exceeds_null=True)
    return clusters.reindex(columns=list(TABLES["group_clusters"]))


@pytest.mark.parametrize("name", TABLES)
def test_a_dictionary_has_the_tables_columns_and_values(tables, name):
    assert list(TABLES[name]) == list(tables[name].columns)
    for column, about in TABLES[name].items():
        values, levels = set(tables[name][column].dropna()), set(about.get("Levels", ()))
        if (name, column) == ("region_statistics", "region"):
            assert values - levels == {"Everywhere"}
        elif column == "step":
            steps = values - levels - {"Everywhere"}
            assert all(re.match(r"[\d.]+$", step) for step in steps)
        elif (name, column) in (("map_checks", "check"), ("map_checks", "measure"), ("map_checks", "order")):
            assert values == levels
        elif levels:
            assert values <= levels, column


def test_numbers_in_descriptions_are_the_programs():
    def meaning(table, column):
        return TABLES[table][column]["Description"]

    ok = TABLES["attribution_statistics"]["completeness_verdict"]["Levels"]["ok"]
    assert ok == "up to 5% of it, for methods that draw up to 3 standard errors; or 0.0001 logits"
    assert NULL in TABLES["method_agreement"]["method_b"]["Levels"]
    assert f"below {LEAST_CONTROLS} HC" in meaning("region_statistics", "density_z")


def test_dictionaries_are_in_bids_form_and_go_with_their_tables(tmp_path):
    folder = OutputFolder(tmp_path)
    for name, columns in TABLES.items():
        write_text(folder.table(name), "a table")
        write_dictionary(folder, name)
        content = json.loads(folder.table(name).with_suffix(".json").read_text())
        assert list(content) == list(columns)
        for about in content.values():
            assert about["Description"] and set(about) <= {"LongName", "Description", "Units", "Levels"}
        folder.table(name).unlink()
        write_dictionary(folder, name)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_a_columns_values_mean():
    statistics = TABLES["attribution_statistics"]
    assert statistics["abs_mean"] == {
        "LongName": "mean magnitude", "Description": "over the array", "Units": "the method's unit",
    }  # fmt: skip
    assert statistics["true_label"]["Levels"] == {"0": "HC", "1": "TLE"}
    methods = statistics["method"]["Levels"]
    assert list(methods) == list(METHODS)
    assert methods["saliency"].endswith("; in logit per unit of intensity")
