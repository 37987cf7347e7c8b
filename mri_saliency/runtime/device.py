"""The device that runs the network, the cores, and how freed memory is reused."""

import ctypes
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency.errors import UserError
from mri_saliency.runtime.ranks import Ranks

if TYPE_CHECKING:
    import torch
    from torch import nn

DEFAULT_DEVICE = "cuda:0"


def usable_cores() -> int:
    """Return the number of CPU cores this process may use: its share among torchrun's local ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if (quota := _cpu_quota()) is not None:
        cores = min(cores, math.ceil(quota))
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _cpu_quota() -> float | None:
    """Return the cores that a container's cgroup (version 2 or 1) grants; None where it sets no limit."""
    root = Path("/sys/fs/cgroup")
    for quota, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with suppress(OSError, ValueError):
            words = (root / quota).read_text().split()
            words += (root / period).read_text().split() if period else []
            if words[0] not in ("max", "-1"):
                return int(words[0]) / int(words[1])
    return None


def choose_device(name: "str | torch.device | None" = None, ranks: Ranks | None = None) -> "torch.device":
    """Return a device, and prepare PyTorch for it (strict float32, memory, threads).

    `name` is ``cpu``, ``cuda``, ``cuda:1`` ...; None is this rank's GPU, or the CPU where there is none.
    Raises UserError for a device that is not there, and for one that is named for several ranks.
    """
    import torch

    name = None if name is None else str(name)
    # devices are counted even where the driver is too old for them
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = ["cpu", *(f"cuda:{index}" for index in range(n_gpus))]
    is_given = n_gpus == 1 and any(name.endswith("_VISIBLE_DEVICES") for name in os.environ)
    # a scheduler shows each rank its own GPU alone, as the first
    gpu_of_rank = DEFAULT_DEVICE if ranks is None or is_given else f"cuda:{ranks.local_rank}"
    is_shared = ranks is not None and ranks.size > 1
    if is_shared and name not in (None, "cpu", "cuda"):
        raise UserError(f"--device: with torchrun each rank takes its own GPU; leave {name!r} out.")
    if name is None:
        name = gpu_of_rank if n_gpus else "cpu"
    name = gpu_of_rank if name == "cuda" else name
    if name not in available:
        raise UserError(f"--device: no device {name!r} here; there are {', '.join(available)}.")
    use_strict_float32()
    keep_freed_memory()
    if name == "cpu":  # torchrun leaves each rank one thread, and a container's quota is not known to PyTorch
        n_threads = usable_cores() if is_shared else min(usable_cores(), torch.get_num_threads())
        torch.set_num_threads(n_threads)
    return torch.device(name)


def use_strict_float32() -> None:
    """Let PyTorch compute convolutions and matrix products of float32 in float32, on every device.

    By default NVIDIA's convolutions round their inputs to 10 bits (TF32). Two generations of settings exist;
    from PyTorch 2.9 on, it is an error if they contradict each other. So both are set.

    What remains is the order of sums in cuDNN's gradient of a convolution: two runs on one GPU can differ by
    millionths of a map's maximum, where TF32 changes it by thousandths. `torch.backends.cudnn.deterministic`
    would exclude that; it can cost speed, and is left as it is.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch 2.9 calls these two deprecated
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    if hasattr(torch.backends.cudnn, "conv"):  # from PyTorch 2.9 on
        # "none", which the line above leaves, means whatever torch.backends.fp32_precision is
        for backend in (torch.backends.cudnn, torch.backends.mkldnn):
            backend.conv.fp32_precision = "ieee"


@contextmanager
def plain_pytorch() -> Iterator[None]:
    """Let PyTorch compute as it does where nothing was switched: gradients, float32, no autocast.

    A notebook's inference mode, default type or default device is given back at the end.
    """
    import torch

    with ExitStack() as states:
        states.enter_context(torch.inference_mode(False))
        states.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                states.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            states.enter_context(torch.device("cpu"))
        states.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        yield


def hardware_name(device: "torch.device") -> str:
    """Return the name of a device's hardware, such as ``NVIDIA H100``; ``cpu`` for any CPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def move_to_device(network: "nn.Module", device: "torch.device") -> "nn.Module":
    """Return the network on a device; raises UserError if that is full, or reserved for another process."""
    try:
        return network.to(device)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--device: {device} cannot be used now ({reason}). Free it, or name another."
        ) from error


def has_room(device: "torch.device", n_bytes: int) -> bool:
    """Return whether a device can keep so many bytes for good: a quarter of what a GPU has free, at most."""
    import torch

    return device.type != "cuda" or n_bytes <= torch.cuda.mem_get_info(device)[0] / 4


def keep_freed_memory() -> None:
    """Let glibc reuse freed blocks of up to 32 MiB instead of returning each to the system.

    By default every activation's memory is mapped anew and its pages are cleared: a third of the time
    of a pass. Whole batches of volumes are larger and still go back. A single heap serves all threads, so
    that one can use what another freed.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8  # malloc.h
        libc.mallopt(m_arena_max, 1)
        libc.mallopt(m_mmap_threshold, 2**25)  # the most that glibc before 2.35 accepts
        libc.mallopt(m_trim_threshold, 2**31 - 1)
