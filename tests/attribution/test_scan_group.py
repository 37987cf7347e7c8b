"""A group's maps are those of its scans alone; a part that fails costs no other scan's map."""

from types import SimpleNamespace

import numpy as np
import pytest

from mri_saliency.attribution.baselines import Baseline
from mri_saliency.attribution.scan_group import ScanGroup
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import LoadedScan

from .conftest import assert_same_maps, explain, explainer_of, stacked


@pytest.fixture(scope="module")
def scans(inputs):
    contexts = [SimpleNamespace(source=SimpleNamespace(sha256=name)) for name in "abc"]
    return [LoadedScan(*of_scan, load_s=0) for of_scan in zip(contexts, inputs.numpy(), strict=True)]


def group_of(explainer, scans):
    zero = Baseline("zero", np.zeros_like(scans[0].network_input))
    return ScanGroup(explainer, scans, zero, target=0)


@pytest.mark.parametrize("batch_size", [1, 4])  # parts of a scan, of two
def test_maps_are_those_of_a_batch(prepared, inputs, scans, batch_size):
    group = group_of(explainer_of(prepared, batch_size), scans)
    for method in ("gradient_shap", "saliency", "deep_lift"):
        indices, found = zip(*group.explain(method, [2, 0, 1]), strict=True)
        assert indices == (2, 0, 1)
        assert_same_maps(stacked(found), stacked(explain(prepared, inputs, method))[[2, 0, 1]])


def test_a_part_that_fails_costs_its_scans_alone(prepared, scans, monkeypatch):
    explainer = explainer_of(prepared, batch_size=2)
    attribute, error = explainer.attribute, RuntimeError("injected")

    def fail_with_c(method, batch):
        if "c" in batch.scan_ids:
            raise error
        return attribute(method, batch)

    monkeypatch.setattr(explainer, "attribute", fail_with_c)
    group = group_of(explainer, scans)
    assert [isinstance(found, Exception) for _, found in group.explain("saliency", [0, 1, 2])] == [0, 0, 1]
    assert [found is error for _, found in group.explain("saliency", [2, 1, 0])] == [1, 1, 0]
    assert list(group.explain("deep_lift", [2])) == [(2, error)]


def test_an_unreadable_baseline_is_each_scans_error(prepared, scans, monkeypatch):
    def unreadable(*_):
        raise UserError("gone.nii: no such file")

    monkeypatch.setattr(Baseline, "of", unreadable)
    found = list(group_of(explainer_of(prepared), scans).explain("saliency", [0, 2]))
    assert [(index, str(error)) for index, error in found] == [
        (0, "gone.nii: no such file"),
        (2, "gone.nii: no such file"),
    ]


@pytest.mark.filterwarnings("ignore:out of memory")
def test_parts_shrink_where_the_memory_is_too_small(prepared, inputs, scans):
    """The rest of the group goes in parts of the new size, and the maps are the same."""
    reference = stacked(explain(prepared, inputs, "saliency"))
    explainer, sizes = explainer_of(prepared, batch_size=2), []

    def too_much(_module, arguments):
        sizes.append(len(arguments[0]))
        if len(arguments[0]) > 1:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    with prepared.features[1].register_forward_pre_hook(too_much):
        found = [found for _, found in group_of(explainer, scans).explain("saliency", range(3))]
    assert_same_maps(stacked(found), reference)
    assert explainer.settings.batch_size == 1 and sizes.count(2) == 1


def test_one_copy_of_the_scans_serves_all_methods(prepared, inputs, scans, monkeypatch):
    explainer = explainer_of(prepared)
    group = group_of(explainer, scans)
    list(group.explain("saliency", [0]))
    monkeypatch.setattr(explainer, "batch", None)  # would fail if it were called again
    [(_, found)] = group.explain("input_x_gradient", [1])
    assert_same_maps(stacked([found]), stacked(explain(prepared, inputs, "input_x_gradient"))[1:2])
