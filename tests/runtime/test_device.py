"""The device is the one asked for, or a clear error."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mri_saliency.errors import UserError
from mri_saliency.runtime.device import (
    choose_device,
    hardware_name,
    move_to_device,
    usable_cores,
    use_strict_float32,
)
from mri_saliency.runtime.ranks import Ranks


def test_without_cuda_the_cpu_serves(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)  # the driver is too old for it
    assert choose_device(None) == choose_device(torch.device("cpu")) == torch.device("cpu")
    assert hardware_name(torch.device("cpu")) == "cpu"
    with pytest.raises(UserError, match="no device 'cuda:0' here; there are cpu"):
        choose_device(torch.device("cuda:0"))


def test_each_rank_takes_its_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    ranks = Ranks()
    ranks.size, ranks.local_rank = 4, 2
    assert choose_device(None, ranks) == choose_device("cuda", ranks) == torch.device("cuda:2")
    with pytest.raises(UserError, match="each rank takes its own GPU; leave 'cuda:1' out"):
        choose_device("cuda:1", ranks)
    with pytest.MonkeyPatch.context() as scheduled:  # one GPU a task: each sees its own alone
        scheduled.setattr("torch.cuda.device_count", lambda: 1)
        with pytest.raises(UserError, match="no device 'cuda:2' here"):
            choose_device(None, ranks)
        scheduled.setenv("CUDA_VISIBLE_DEVICES", "2")
        assert choose_device(None, ranks) == torch.device("cuda:0")
    assert choose_device("cuda:3") == torch.device("cuda:3") and choose_device(None) == torch.device("cuda:0")


STRICT = """
import os
import sys
import warnings

import torch

from mri_saliency.runtime.device import choose_device

backends = torch.backends
has_new = hasattr(backends.cudnn, "conv")
for start in ("as it is", "old", "new", "general"):  # each in a process of its own, which has PyTorch
    if os.fork() == 0:
        break
    if os.wait()[1]:
        sys.exit(f"where it was set {start}")
else:
    sys.exit()
if start == "old" or not has_new:
    backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("medium")
elif start == "new":
    backends.cudnn.conv.fp32_precision = backends.cuda.matmul.fp32_precision = "tf32"
    backends.mkldnn.conv.fp32_precision = "bf16"
elif start == "general":
    backends.fp32_precision = "tf32"
with warnings.catch_warnings():
    warnings.simplefilter("error")
    choose_device("cpu")
assert torch.get_float32_matmul_precision() == "highest" and backends.cuda.matmul.allow_tf32 is False
if has_new:
    for backend in (backends.cudnn.conv, backends.mkldnn.conv, backends.cuda.matmul, backends.mkldnn.matmul):
        assert backend.fp32_precision == "ieee"
if start != "general":  # which recurrent layers follow, of which the old setting knows as well
    assert backends.cudnn.allow_tf32 is False
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_float32_is_strict_whatever_was_set_before():
    done = subprocess.run([sys.executable, "-c", STRICT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_before_pytorch_2_9_there_are_the_old_settings_alone(monkeypatch):
    cudnn = SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr("torch.backends.cudnn", cudnn)
    torch.set_float32_matmul_precision("high")
    use_strict_float32()
    assert vars(cudnn) == {"allow_tf32": False} and torch.get_float32_matmul_precision() == "highest"


def test_a_device_that_cannot_take_the_network_is_named():
    class Full(torch.nn.Module):
        def to(self, _):
            raise torch.OutOfMemoryError("out of memory\nand details")

    with pytest.raises(UserError, match=r"--device: cpu cannot be used now \(out of memory\)"):
        move_to_device(Full(), torch.device("cpu"))


def test_a_containers_quota_limits_cores_and_threads(monkeypatch, tmp_path):
    monkeypatch.setattr("mri_saliency.runtime.device.Path", lambda _: tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    for name, quota, cores in (
        *(("cpu/cpu.cfs_quota_us", "-1", 8), ("cpu/cpu.cfs_quota_us", "50000", 1)),
        *(("cpu.max", "max 100000", 1), ("cpu.max", "250000 100000", 3)),
    ):
        (tmp_path / name).write_text(quota)
        assert usable_cores() == cores
    threads = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 6)
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    choose_device("cpu")
    assert threads == [3]


def test_ranks_of_a_machine_share_its_cores(monkeypatch):
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for n_ranks, n_cores in (("1", 8), ("3", 2), ("16", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", n_ranks)
        assert usable_cores() == n_cores
