"""The data dictionaries describe every column of the tables that a run writes, and no other."""

import json

import numpy as np
import pandas as pd
import pytest

from mri_saliency.combine.repeatability import region_agreement
from mri_saliency.groups.clusters import find_clusters
from mri_saliency.maps.comparison import NULL
from mri_saliency.methods import METHODS
from mri_saliency.output.bids import write_dictionary
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.comparison import compare_regions, region_test_table
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.statistics.normal_ranges import LEAST_CONTROLS

from ..made_cohort import GRID, SIDED_PAIRS, sided_regions


def made_up_clusters():
    t = np.full((GRID.n_slices, 112, 112), 5.0, np.float32)
    clusters = pd.DataFrame(find_clusters(t, 0 * t, GRID, None)[0])
    clusters = clusters.assign(method="saliency", contrast="left_minus_HC", exceeds_null=True)
    return clusters.reindex(columns=list(TABLES["group_clusters"]))


TABLES_OF_PATIENTS = {
    "run_region_agreement": lambda: region_agreement(
        pd.concat([sided_regions().assign(run=name) for name in ("a", "b")])
    ),
    "group_clusters": made_up_clusters,
    "region_group_test": lambda: region_test_table(compare_regions(sided_regions(), SIDED_PAIRS)),
    "lateralisation": lambda: lateralisation_table(sided_regions(), SIDED_PAIRS),
}


@pytest.mark.parametrize("name", TABLES_OF_PATIENTS)
def test_a_dictionary_has_the_tables_columns_and_values(name):
    """Of other tables: see tests of whole runs."""
    table = TABLES_OF_PATIENTS[name]()
    assert list(TABLES[name]) == list(table.columns)
    for column, about in TABLES[name].items():
        if "Levels" in about:
            assert set(map(str, table[column].dropna())) <= set(about["Levels"]), column


def test_numbers_in_descriptions_are_the_programs():
    def meaning(table, column):
        return TABLES[table][column]["Description"]

    ok = TABLES["attribution_statistics"]["completeness_verdict"]["Levels"]["ok"]
    assert all(number in ok for number in ("5% of it", "3 standard errors", "0.0001 logits"))
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
