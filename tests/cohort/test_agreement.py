"""How far methods agree, over maps of one recipe."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.cohort.agreement import comparable, compare_methods, draw_summary
from mri_saliency.maps.comparison import agreement
from mri_saliency.output.record import in_order

from .conftest import COHORT_METHODS, SCANS


def test_maps_of_another_recipe_are_left_out(cohort):
    assert comparable(cohort.records) == (in_order(cohort.records), [])
    odd = next(record for record in cohort.records if record.method == "saliency")
    records = [record for record in cohort.records if record is not odd]
    odd = replace(odd, recipe=replace(odd.recipe, first_slice=11))
    kept, notes = comparable([odd, *records])
    assert kept == in_order(records)
    assert len(notes) == 1 and "saliency: 1 of 7 maps" in notes[0] and "fingerprint" in notes[0]


def test_agreement_table(cohort, no_workers):
    table = compare_methods(cohort.folder, in_order(cohort.records), no_workers)
    written = pd.read_csv(cohort.folder.agreement)
    assert list(written) == ["subject_id", "method_a", "method_b", "rank_correlation", "top_overlap"]
    assert written["subject_id"].tolist() == table["subject_id"].tolist() == list(SCANS)
    assert written["rank_correlation"].between(-1, 1).all()
    maps = {method: cohort.folder.load_map(method, "sub-D") for method in COHORT_METHODS}
    [expected] = agreement(maps)
    found = table.set_index("subject_id").loc["sub-D"]
    assert found["rank_correlation"] == pytest.approx(expected["rank_correlation"])
    assert (found["method_a"], found["method_b"]) == COHORT_METHODS


def test_a_single_method_has_no_agreement_and_no_old_table(cohort, no_workers):
    compare_methods(cohort.folder, cohort.records, no_workers)
    of_one_method = [record for record in cohort.records if record.method == "saliency"]
    assert compare_methods(cohort.folder, of_one_method, no_workers).empty
    assert not cohort.folder.agreement.exists()


@pytest.mark.parametrize("methods", [COHORT_METHODS, ("saliency",)])
def test_the_summary_figure_is_drawn(cohort, no_workers, methods):
    records = [record for record in cohort.records if record.method in methods]
    draw_summary(cohort.folder, records, compare_methods(cohort.folder, records, no_workers))
    picture = np.asarray(Image.open(cohort.folder.summary))
    assert picture.shape[1] == 1500 and picture.std() > 10
