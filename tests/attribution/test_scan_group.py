"""A group's maps are those of its scans alone; a part that fails costs no other scan's map."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mri_saliency.attribution.scan_group import ScanGroup
from mri_saliency.inputs.loading import LoadedScan
from mri_saliency.inputs.preprocessing import air_input

from .conftest import assert_same_maps, explain, explainer_of, stacked


@pytest.fixture(scope="module")
def scans(inputs):
    contexts = [SimpleNamespace(source=SimpleNamespace(sha256=name)) for name in "abc"]
    zero = np.zeros(inputs.shape[1:], np.float32)
    return [
        LoadedScan(context, values, 0, zero) for context, values in zip(contexts, inputs.numpy(), strict=True)
    ]


@pytest.mark.parametrize("batch_size", [1, 4])  # parts of a scan, of two
@pytest.mark.parametrize("name", ["zero", "background"])  # of all scans, of each
def test_maps_are_those_of_a_batch(prepared, inputs, scans, batch_size, name):
    if name == "background":
        scans = [replace(scan, baseline=air_input(scan.network_input)) for scan in scans]
    group = ScanGroup(explainer_of(prepared, batch_size), scans, target=0)
    from_baseline = torch.from_numpy(np.stack([scan.baseline for scan in scans]))
    for method in ("integrated_gradients", "saliency", "deep_lift"):
        indices, found = zip(*group.explain(method, [2, 0, 1]), strict=True)
        assert indices == (2, 0, 1)
        expected = stacked(explain(prepared, inputs, method, baseline=from_baseline))
        assert_same_maps(stacked(found), expected[[2, 0, 1]])


def test_a_part_that_fails_costs_its_scans_alone(prepared, scans, monkeypatch):
    explainer = explainer_of(prepared, batch_size=2)
    attribute, error = explainer.attribute, RuntimeError("injected")

    def fail_with_c(method, batch):
        if "c" in batch.scan_ids:
            raise error
        return attribute(method, batch)

    monkeypatch.setattr(explainer, "attribute", fail_with_c)
    group = ScanGroup(explainer, scans, target=0)
    assert [isinstance(found, Exception) for _, found in group.explain("saliency", [0, 1, 2])] == [0, 0, 1]
    assert [found is error for _, found in group.explain("saliency", [2, 1, 0])] == [1, 1, 0]
    assert list(group.explain("deep_lift", [2])) == [(2, error)]


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
        found = [found for _, found in ScanGroup(explainer, scans, 0).explain("saliency", range(3))]
    assert_same_maps(stacked(found), reference)
    assert explainer.settings.batch_size == 1 and sizes.count(2) == 1
