"""Maps do not depend on how they were batched, and passes fit the memory."""

import copy
import itertools
import re
from contextlib import ExitStack
from dataclasses import replace

import captum.attr
import numpy as np
import pytest
import torch

from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.errors import UserError
from mri_saliency.inputs.checkpoint import load_checkpoint, prepare_for_attribution
from mri_saliency.inputs.file_identity import sha256_of_array
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.loading import Volume
from mri_saliency.methods import BATCH_SIZES, METHODS
from mri_saliency.runtime.device import use_strict_float32

from ..conftest import AFFINE, N_SLICES, REAL_SHAPE, lively_network, save_checkpoint, scan_inputs
from .conftest import PlainLogOdds, assert_same_maps, batch_of, explain, explainer_of, stacked

INTEGRATING = ("integrated_gradients", "noise_tunnel_ig")


@pytest.mark.parametrize(
    ("method", "n_steps"), [*((name, 4) for name in METHODS), *((name, "auto") for name in INTEGRATING)]
)
def test_maps_do_not_depend_on_batch_size_order_or_company(prepared, inputs, method, n_steps):
    def maps(inputs, **options):
        return explain(prepared, inputs, method, n_steps=n_steps, **options)

    reference = maps(inputs, batch_size=3)
    found = [(range(3), maps(inputs, batch_size=batch_size)) for batch_size in (1, 8, 100)]
    found += [((2, 1, 0), maps(inputs.flip(0), ids="cba")), ((1,), maps(inputs[1:2], ids="b"))]
    for scans, attributions in found:
        expected = [reference[scan] for scan in scans]
        assert_same_maps(stacked(attributions), stacked(expected))
        for attribution, same in zip(attributions, expected, strict=True):
            assert attribution.map_error == (same.map_error and pytest.approx(same.map_error, rel=1e-3))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("method", "n_steps"), [*((name, 4) for name in METHODS), *((name, "auto") for name in INTEGRATING)]
)
def test_parts_of_a_batch_have_its_maps(prepared, inputs, method, n_steps, shared):
    """What passes find out about one part is not taken for another's."""
    explainer, baseline = explainer_of(prepared, n_steps=n_steps), 0.5 * inputs.flip(0)[: 1 if shared else 3]
    reference = explainer.attribute(method, batch_of(explainer, inputs, baseline=baseline))
    batch = batch_of(explainer, inputs, baseline=baseline)
    for scans in ([1], [2], [2, 0], [0, 1, 2]):
        part = batch.part(scans)
        assert part.scan_ids == ["abc"[scan] for scan in scans]
        found, expected = explainer.attribute(method, part), [reference[scan] for scan in scans]
        assert_same_maps(stacked(found), stacked(expected))
        for attribution, same in zip(found, expected, strict=True):
            total = same.expected_total
            assert attribution.expected_total == (total and pytest.approx(total, rel=1e-4, abs=1e-5))


@pytest.mark.parametrize(
    ("n_steps", "of_integrals", "of_smoothed"), [(20, 2, 1), ("auto", 50, 12)], ids=["steps", "auto"]
)
def test_scans_at_a_time_fill_one_pass(prepared, n_steps, of_integrals, of_smoothed):
    explainer = Explainer(prepared, Settings(50, n_steps, n_samples=4, n_references=10))
    expected = {
        "integrated_gradients": of_integrals,
        "saliency": 50,
        "gradient_shap": 12,
        "expected_gradients": 5,
        "input_x_gradient": 50,
        "deep_lift": 25,
        "noise_tunnel_ig": of_smoothed,
        "smooth_grad": 12,
    }
    assert {method: explainer.scans_at_a_time(method) for method in METHODS} == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [2, 5])
def test_passes_are_counted_and_have_the_batch_size_at_most(prepared, inputs, method, batch_size):
    sizes, points = [], []  # of all passes, and of those with gradients

    def note(_module, arguments, _output):
        sizes.append(len(arguments[0]))
        if torch.is_grad_enabled():
            points.append(len(arguments[0]))

    explainer = explainer_of(prepared, batch_size)
    batch = batch_of(explainer, inputs)
    with prepared.features[1].register_forward_hook(note):
        first = explainer.attribute(method, batch)
    assert max(sizes) <= batch_size
    assert sum(attribution.passes for attribution in first) == (sum(points) or len(inputs) * 2)
    shared = method in ("saliency", "input_x_gradient")
    assert [attribution.passes for attribution in explainer.attribute(method, batch)] == (
        [0] * len(inputs) if shared else [attribution.passes for attribution in first]
    )


def test_a_waiting_map_keeps_no_other_in_memory(prepared, inputs):
    for attribution in explain(prepared, inputs, "integrated_gradients"):
        values = attribution.values
        assert values.flags.c_contiguous and values.base.nbytes == values.nbytes


@pytest.mark.filterwarnings("ignore:out of memory")
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("injected"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
def test_out_of_memory_halves_the_batch_and_repeats(prepared, inputs, error):
    def too_much_for(limit):
        def check(_module, arguments):
            if len(arguments[0]) > limit:
                raise error

        return check

    reference = stacked(explain(prepared, inputs, "gradient_shap"))
    explainer = explainer_of(prepared, batch_size=8)
    batch, layer = batch_of(explainer, inputs), prepared.features[1]
    with layer.register_forward_pre_hook(too_much_for(2)), pytest.warns(match="--batch_size 2"):
        found = stacked(explainer.attribute("gradient_shap", batch))
    assert explainer.settings.batch_size == 2
    assert_same_maps(found, reference)
    expected = [one.passes for one in explain(prepared, inputs, "integrated_gradients", n_steps="auto")]
    other = explainer_of(prepared, batch_size=8, n_steps="auto")
    paths = batch_of(other, inputs)  # the paths' ends, 4 points, fit before it is halved
    with layer.register_forward_pre_hook(too_much_for(5)), pytest.warns(match="--batch_size 4"):
        found = other.attribute("integrated_gradients", paths)
    assert [one.passes for one in found] == expected
    with layer.register_forward_pre_hook(too_much_for(0)), pytest.warns():
        with pytest.raises(UserError, match=rf"one volume at a time \({re.escape(str(error))}\)"):
            explainer.attribute("saliency", batch)


@pytest.mark.parametrize(
    ("message", "error", "match"),
    [
        (
            "GET was unable to find an engine to execute this computation",
            UserError,
            r"saliency: this PyTorch .* cannot run .*engine.*90% .* free",
        ),
        ("CUDA error: an illegal memory access was encountered", RuntimeError, "illegal"),
    ],
)
def test_other_errors_are_not_taken_for_a_lack_of_memory(
    prepared, inputs, monkeypatch, message, error, match
):
    def fail(*_):
        raise RuntimeError(message)

    explainer = Explainer(prepared, Settings(8))
    batch = batch_of(explainer, inputs)
    monkeypatch.setattr("mri_saliency.runtime.device_errors._free_share", lambda _: 0.9)
    with prepared.features[1].register_forward_pre_hook(fail), pytest.raises(error, match=match):
        explainer.attribute("saliency", batch)
    assert explainer.settings.batch_size == 8


def test_a_message_gives_the_scans_that_the_device_cannot_hold(prepared, inputs, monkeypatch):
    def full(_):
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr("torch.from_numpy", full)
    with pytest.raises(UserError, match="3 scans.*--batch_size"):
        batch_of(Explainer(prepared, Settings(8)), inputs)


def test_targets_choose_the_class(inputs):
    network = lively_network(n_logits=3)
    prepared = prepare_for_attribution(copy.deepcopy(network))
    with torch.no_grad():
        predicted = network(inputs).argmax(dim=1).tolist()
    assert predicted != [1] * 3
    for asked, targets in ((1, [1] * 3), (None, predicted), ([2, 0, 1], [2, 0, 1])):
        x = inputs.clone().requires_grad_()
        reference = captum.attr.Saliency(PlainLogOdds(network)).attribute(x, target=targets)
        found = explain(prepared, inputs, "saliency", targets=asked)
        assert_same_maps(stacked(found), reference, 1e-4)
        assert [attribution.target for attribution in found] == targets
        assert all(attribution.logits.shape == (3,) for attribution in found)


@pytest.fixture
def volumes():
    """Two scans as the network takes them."""
    grid = Grid(REAL_SHAPE, AFFINE, 4, first_slice=10, n_slices=N_SLICES)
    return [Volume(network_input, grid, content_sha256="") for network_input in scan_inputs(1, 2).numpy()]


@pytest.mark.parametrize("method", METHODS)
def test_one_volume_has_the_map_of_a_batch(prepared, volumes, method):
    explainer = explainer_of(prepared)
    attribution = explainer.explain(volumes[0], method)
    network_input = volumes[0].network_input
    ids = [sha256_of_array(network_input)]
    (expected,) = explain(prepared, torch.from_numpy(network_input[None]), method, ids=ids, targets=None)
    assert_same_maps(stacked([attribution]), stacked([expected]))
    assert attribution.expected_total == pytest.approx(expected.expected_total)


def test_a_volume_is_compared_with_another_or_an_array(prepared, volumes):
    explainer = explainer_of(prepared)
    first, second = volumes
    with torch.no_grad():
        logits = prepared(scan_inputs(1, 2))[:, 0].tolist()
    maps = []
    turned = second.network_input[::-1].astype(float)[::-1]  # another dtype and order in memory
    for baseline in (second, second.network_input, turned):
        attribution = explainer.explain(first, "deep_lift", baseline)
        assert attribution.expected_total == pytest.approx(logits[0] - logits[1], abs=1e-4)
        maps.append(attribution)
    assert_same_maps(stacked(maps[1:]), stacked(maps[:1] * 2))


def test_one_volumes_class_can_be_chosen(volumes):
    explainer = explainer_of(prepare_for_attribution(lively_network(n_logits=3)))
    with torch.no_grad():
        predicted = int(explainer.network(scan_inputs(1)).argmax())
    targets = [explainer.explain(volumes[0], "saliency", target=k).target for k in (None, 0, 2)]
    assert targets == [predicted, 0, 2]


def test_what_cannot_be_explained_is_refused(prepared, network, volumes):
    explainer = Explainer(prepared)  # with the command line's batch size
    assert explainer.settings == Settings(BATCH_SIZES["cpu"])
    volume, array = volumes[0], volumes[0].network_input
    damaged = np.where(array > 2, np.nan, array), np.where(array > 2, 1e300, array.astype(float))
    odd_calls = [
        ((volume, "grad_cam"), "no method 'grad_cam'; there are integrated_gradients, "),
        ((volume, ["saliency"]), "no method"),
        ((array,), "a volume of load_volume, found ndarray"),
        (("scan.nii",), "a volume of load_volume, found str"),
        ((replace(volume, network_input=array[1:]),), r"volume .* \(9, 128, 128\), found \(8, 128, 128\)"),
        *(((replace(volume, network_input=bad),), "volume of finite numbers") for bad in damaged),
        *(((volume, "saliency", bad), "baseline of finite numbers") for bad in damaged),
        ((volume, "saliency", array[1:]), r"baseline .* \(9, 128, 128\), found \(8, 128, 128\)"),
        ((volume, "saliency", array.astype(str)), "baseline of numbers .*<U"),
        ((volume, "saliency", "zero"), r"a baseline .* \(9, 128, 128\), found \(\) of str"),
        ((volume, "saliency", None, 1), r"no class 1; the network has 1 logit\(s\)"),
        *(((volume, "saliency", None, bad), f"target: .* found {bad!r}") for bad in (0.5, "0", True, -1)),
        ((volume, "expected_gradients"), r"Settings\(references="),
    ]
    for arguments, message in odd_calls:
        with pytest.raises(UserError, match=message):
            explainer.explain(*arguments)
    for unprepared in (network, prepared.features, "best_model.pth", copy.deepcopy(prepared).train()):
        with pytest.raises(UserError, match=f"load_checkpoint.*found {type(unprepared).__name__}"):
            Explainer(unprepared)


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *itertools.product(
            ("batch_size", "n_steps", "n_samples", "n_references"), (0, 1.5, "50", True, None)
        ),
        *itertools.product(("noise_std", "map_error"), (0, -1.0, float("nan"), float("inf"), "0.1", None)),
        *itertools.product(("seed",), (-1, 0.5, "0")),
    ],
)
def test_settings_that_make_no_map_are_refused(name, odd):
    with pytest.raises(UserError, match=f"{name}: expected .*, found {odd!r}"):
        Settings(**{"batch_size": 1, name: odd})


def in_float64():
    state = ExitStack()
    state.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float64)
    return state


SWITCHED = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default_device": lambda: torch.device("meta"),
    "float64": in_float64,
}


@pytest.mark.parametrize("switched", SWITCHED)
def test_what_a_notebook_has_switched_changes_no_map(tmp_path, network, prepared, volumes, switched):
    save_checkpoint(tmp_path / "net.pth", network)
    with SWITCHED[switched]():
        loaded = load_checkpoint(tmp_path / "net.pth").network
        explainer = explainer_of(copy.deepcopy(loaded) if switched == "inference_mode" else loaded)
        before = torch.get_default_dtype()
        found = [explainer.explain(volumes[0], method) for method in METHODS]
        assert torch.get_default_dtype() == before  # given back
    expected = [explainer_of(prepared).explain(volumes[0], method) for method in METHODS]
    assert_same_maps(stacked(found), stacked(expected))


on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@on_a_gpu
@pytest.mark.parametrize("n_logits", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_gpu_agrees_with_itself_and_with_the_cpu(inputs, method, n_logits):
    use_strict_float32()
    prepared = prepare_for_attribution(lively_network(n_logits=n_logits))
    on_gpu, targets = copy.deepcopy(prepared).cuda(), [n_logits - 1, 0, n_logits // 2]
    first, second = (stacked(explain(on_gpu, inputs, method, targets=targets)) for _ in range(2))
    assert_same_maps(first, second)
    if not METHODS[method].stochastic:
        assert_same_maps(first, stacked(explain(prepared, inputs, method, targets=targets)), 1e-4)
