"""A checkpoint in any of its forms gives the same network; anything else a clear error."""

import copy
import gzip
import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_saliency.errors import UserError
from mri_saliency.inputs import checkpoint, weights_file
from mri_saliency.inputs.checkpoint import VARIANTS, build_network, load_checkpoint

from ..conftest import N_SLICES, lively_network, save_checkpoint, scan_inputs


@pytest.fixture(scope="module")
def inputs():
    return scan_inputs(1, 2)


def logits(network, inputs):
    with torch.no_grad():
        return network(inputs)


@pytest.mark.parametrize("prefix", ["", "backbone.", "_orig_mod.module.backbone.", "model.net_2."])
def test_any_nesting_of_prefixes_gives_the_same_logits(tmp_path, network, inputs, prefix, capsys):
    save_checkpoint(tmp_path / "model.pth", network, prefix)
    loaded = load_checkpoint(tmp_path / "model.pth")
    assert (loaded.variant, loaded.n_slices, loaded.n_logits) == ("tiny", N_SLICES, 1)
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())
    assert capsys.readouterr().err == ""
    torch.testing.assert_close(logits(loaded.network, inputs), logits(network, inputs), rtol=1e-4, atol=1e-5)


def test_what_else_is_in_the_file_is_named_and_left_out(tmp_path, network, inputs, capsys):
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    others = {"criterion.weight": torch.ones(2)} | {f"auroc.{i}": torch.zeros(1) for i in range(5)}
    torch.save({"state_dict": others | state, "epoch": 3}, tmp_path / "model.ckpt")
    found = load_checkpoint(tmp_path / "model.ckpt").network
    torch.testing.assert_close(logits(found, inputs), logits(network, inputs), rtol=1e-4, atol=1e-5)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ") and "holds 6 tensor(s) that are not the network's" in warning
    assert "under 'model.'; left out: criterion.weight, auroc.0" in warning and "and 2 more" in warning


def test_two_networks_in_one_file_are_refused(tmp_path, network):
    weights = network.state_dict().items()
    state = {f"{prefix}.{name}": tensor for prefix in ("student", "teacher") for name, tensor in weights}
    torch.save({"model_state_dict": state}, tmp_path / "model.pth")
    with pytest.raises(UserError, match="holds 2 networks, under 'student.', 'teacher.'; expected one"):
        load_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize(("n_channels", "kind"), [(1, "grey pictures"), (3, "colour pictures.*ImageNet")])
def test_a_network_for_pictures_is_refused(tmp_path, n_channels, kind):
    save_checkpoint(tmp_path / "model.pth", build_network("tiny", n_channels, 1000))
    with pytest.raises(UserError, match=rf"{n_channels} input channel.*{kind}.*coronal slices.*such as 115"):
        load_checkpoint(tmp_path / "model.pth")


def test_bare_state_dict_and_legacy_format(tmp_path, network, inputs):
    torch.save(network.state_dict(), tmp_path / "new.pth")
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    new, old = (logits(load_checkpoint(tmp_path / f"{name}.pth").network, inputs) for name in ("new", "old"))
    assert torch.equal(new, old)


@pytest.mark.parametrize("variant", ["S", "M", "L"])
def test_architecture_is_read_off_the_shapes(tmp_path, variant):
    with torch.device("meta"):
        network = build_network(variant, 21, 3)
    network = network.to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.fill_(0.01)
    assert len(network.state_dict()) == VARIANTS[variant].n_tensors
    save_checkpoint(tmp_path / "model.pth", network)
    loaded = load_checkpoint(tmp_path / "model.pth")
    assert (loaded.variant, loaded.n_slices, loaded.n_logits) == (variant, 21, 3)


def test_the_file_is_identified_and_its_parameters_are_kept(tmp_path, network):
    path, parameters_path = tmp_path / "model.pth", tmp_path / "parameters.json"
    save_checkpoint(path, network)
    parameters_path.write_text('{"dropout_rate": 0.3, "test_csv": "a.csv"}')
    loaded = load_checkpoint(path, parameters_path)
    assert (loaded.path, loaded.sha256) == (path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert loaded.parameters == {"dropout_rate": 0.3, "test_csv": "a.csv"}
    assert load_checkpoint(path).parameters == {}


def test_merging_normalisation_leaves_function_and_gradient(network, inputs):
    merged = checkpoint.prepare_for_attribution(copy.deepcopy(network))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in merged.modules())
    torch.testing.assert_close(logits(merged, inputs), logits(network, inputs), rtol=1e-4, atol=1e-5)
    x = inputs.clone().requires_grad_()
    gradient, merged_gradient = (
        torch.autograd.grad(candidate(x).sum(), x)[0] for candidate in (network, merged)
    )
    assert (merged_gradient - gradient).abs().max() < 1e-4 * gradient.abs().max()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_the_optimizer_takes_no_memory(tmp_path, network):
    def resident_bytes():
        return int(Path("/proc/self/smaps_rollup").read_text().split("Rss:")[1].split()[0]) * 1024

    state = {f"backbone.{k}": v for k, v in network.state_dict().items()}
    ballast = torch.zeros(100_000_000)  # 0.4 GB
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"m": ballast}}, tmp_path / "model.pth")
    before = resident_bytes()
    load_checkpoint(tmp_path / "model.pth")
    assert resident_bytes() - before < 100_000_000


def saved():
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(999)}, file)
    return file.getvalue()


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def torchscript():
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), file)
    return file.getvalue()


def test_a_file_that_changes_after_loading_changes_nothing(tmp_path, network, inputs):
    path = tmp_path / "model.pth"
    save_checkpoint(path, network)
    loaded = load_checkpoint(path)
    before = logits(loaded.network, inputs)
    with path.open("r+b") as file:  # the same file, as torch.save writes it
        file.write(bytes(path.stat().st_size))
    assert torch.equal(logits(loaded.network, inputs), before)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_file_that_changes_while_it_is_loaded_is_refused(tmp_path, network, monkeypatch, is_cut):
    path, find = tmp_path / "model.pth", weights_file._find_network
    save_checkpoint(path, network)

    def find_slowly(state, path):
        if is_cut:
            os.truncate(path, 20_000)
        else:
            save_checkpoint(path, lively_network(seed=5))
        return find(state, path)

    monkeypatch.setattr(weights_file, "_find_network", find_slowly)
    with pytest.raises(UserError, match="changed while it was read"):
        load_checkpoint(path)


def test_a_damaged_tensor_is_found(tmp_path, network):
    path = tmp_path / "model.pth"
    save_checkpoint(path, network)
    content = bytearray(path.read_bytes())
    weights = network.classifier[1].weight.detach().numpy().tobytes()
    content[content.index(weights) + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged, copy it again"):
        load_checkpoint(path)


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path, network):
    state = network.state_dict()
    state["features.0.0.weight"] = torch.zeros(1).expand(8, 10**9, 3, 3)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(UserError, match="claims more than the file holds"):
        load_checkpoint(tmp_path / "model.pth")


def test_numpy_arrays_and_types_among_the_metrics_load_in_both_spellings(tmp_path, network):
    kinds = ("?", "i1", "u2", "i4", "u8", "f2", ">f8", "c8", "S3", "U5", "M8[D]", "f4,i8")
    metrics = {kind: np.zeros((2, 3), kind) for kind in kinds}
    metrics |= {"type": np.float32, "dtype": np.dtype("f8"), "scalar": np.int8(3)}
    path, content = tmp_path / "model.pth", {"model_state_dict": network.state_dict(), "metrics": metrics}
    torch.save(content, path)
    assert load_checkpoint(path).variant == "tiny"
    # in the legacy format the pickle is not checksummed, so the other spelling can be put in
    torch.save(content, path, _use_new_zipfile_serialization=False)
    data, spellings = path.read_bytes(), (b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert any(spelling in data for spelling in spellings)
    for before, after in (spellings, spellings[::-1]):
        path.write_bytes(data.replace(before, after))
        assert load_checkpoint(path).variant == "tiny"


class Attack:
    def __reduce__(self):
        return os.system, ("touch attacked",)


BAD_FILES = {
    "missing": (None, "no such file"),
    "empty": (b"", "not a PyTorch file"),
    "truncated": (saved()[:999], "truncated"),
    "cut in the middle": (saved()[:999] + saved()[1999:], "damaged|cannot be read"),
    "TorchScript": (torchscript(), "is TorchScript.*torch.jit.load"),
    "zipped": (zipped("fold_1/best_model.pth", saved()), "holds fold_1/best_model.pth.*unpack it first"),
    "packed again": (zipped("best_model/data.pkl", b"\x80\x02N."), "packed again"),
    "gzipped": (gzip.compress(saved()), "packed file: unpack it first"),
    "safetensors": (b"\x10\0\0\0\0\0\0\0" + b'{"__metadata__":', "safetensors"),
    "Keras": (b"\x89HDF\r\n\x1a\n", "HDF5, as Keras"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "but ONNX"),
    "SavedModel": (b"\x08\x01\x12\xd0\x0f\n", "TensorFlow SavedModel"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "page": (b"<!DOCTYPE html><html>", "web page"),
    "object array": ({"x": np.array([None])}, "object numpy.object_, which could run code"),
    "plain pickle": (pickle.dumps([1, 2]), "cannot be read|not a PyTorch checkpoint"),
    "other dict": ({"weights": 3}, "found the keys 'weights'"),
    "list": ([1, 2], "found a list"),
    "other network": ({"layer.weight": torch.zeros(3)}, "EfficientNetV2"),
    "attack": ({"model_state_dict": Attack()}, "could run code"),
    "module": (torch.nn.Linear(2, 2), r"whole pickled module.*torch.save\(model.state_dict"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_without_a_checkpoint_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = BAD_FILES[name]
    if isinstance(content, bytes):
        Path("model.pth").write_bytes(content)
    elif content is not None:
        torch.save(content, "model.pth")
    with pytest.raises(UserError, match=message) as caught:
        load_checkpoint(Path("model.pth"))
    assert "weights_only=False" not in str(caught.value)
    assert not Path("attacked").exists()


def set_tensor(name, value):
    return lambda state: state.__setitem__(f"backbone.{name}", value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda state: state.pop("backbone.features.1.0.block.0.0.weight"), "0.weight: missing"),
        (set_tensor("classifier.1.bias", torch.zeros(2)), r"expected shape \(1,\), found \(2,\)"),
        (set_tensor("features.0.1.bias", torch.full((8,), float("nan"))), "NaN or infinite"),
        (set_tensor("extra.weight", torch.zeros(2)), "extra.weight: not part"),
    ],
)
def test_bad_tensors_are_named(tmp_path, network, edit, message):
    state = {f"backbone.{name}": tensor.clone() for name, tensor in network.state_dict().items()}
    edit(state)
    torch.save({"model_state_dict": state}, tmp_path / "model.pth")
    with pytest.raises(UserError, match=message):
        load_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("text", ["[]", "", "[" * 100_000, "\xff"])
def test_bad_parameters_cost_a_warning(tmp_path, capsys, text):
    path = tmp_path / "parameters.json"
    path.write_bytes(text.encode("latin1" if text == "\xff" else "utf-8"))
    assert checkpoint.read_parameters(path) == {}
    assert f"warning: {path}: expected a JSON object" in capsys.readouterr().err


def test_parameters_as_python_writes_them(tmp_path, capsys):
    path = tmp_path / "parameters.json"
    path.write_text('\ufeff{"best": NaN, "max": -Infinity, "rate": 0.5}', encoding="utf-8")
    assert checkpoint.read_parameters(path) == {"best": "NaN", "max": "-Infinity", "rate": 0.5}
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="--parameters_path"):
        checkpoint.read_parameters(tmp_path / "absent.json")
