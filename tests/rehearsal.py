"""A device without hardware: its tensors are on the CPU, but only transfers may mix the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME = "rehearsal"
_aten = torch.ops.aten
_TRANSFERS = {_aten._to_copy.default, _aten.copy_.default}
_WAITS = {_aten._local_scalar_dense.default, _aten.nonzero.default, _aten.masked_select.default}
_KEPT: list[torch.library.Library] = []  # registrations end with their object
_WAITS |= {_aten.equal.default, _aten.is_nonzero.default}


class DeviceTensor(torch.Tensor):
    """A tensor that is on the stand-in; `inner`, on the CPU, has its values."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, layout=inner.layout, device=torch.device(NAME, 0),
        )  # fmt: skip

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"DeviceTensor({self.inner})"

    def tolist(self):
        _Device.active.counts["waits"] += 1
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if (device := _Device.active) is None:
            raise RuntimeError("the stand-in is no longer there")
        return device.run(func, args, kwargs or {})


class _Device(TorchDispatchMode):
    """Runs what is asked of the stand-in as CUDA would, and counts what the processor waits for."""

    active: _Device | None = None

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def run(self, func, args, kwargs):
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        here = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
        wanted = kwargs.get("device")
        target = wanted is not None and torch.device(wanted).type == NAME
        if not here and not target:
            return func(*args, **kwargs)
        if func in _TRANSFERS:
            to = args[0] if func is _aten.copy_.default else None
            arrives = target if to is None else isinstance(to, DeviceTensor)
            stays = to is None and wanted is None
            leaves = not stays and not arrives
            self.counts["waits"] += leaves and bool(here)
        else:
            on_the_cpu = [one for one in tensors if not isinstance(one, DeviceTensor) and one.dim()]
            # CUDA's indexing, too, takes indices from the CPU, and copies them: the processor waits
            if on_the_cpu and func in (_aten.index.Tensor, _aten.index_put_.default):
                self.counts["waits"] += 1
            elif on_the_cpu and here:
                raise RuntimeError(f"Expected all tensors to be on the same device, in {func}")
            self.counts["waits"] += func in _WAITS
            arrives, leaves, stays = True, func is _aten._local_scalar_dense.default, False
            if wanted is not None and not target:
                raise RuntimeError(f"{func} asks for {wanted} with tensors of the device")
        plain_args, plain = tree_map(_inner, (args, dict(kwargs)))
        if target:
            plain["device"] = torch.device("cpu")
        if "pin_memory" in plain:
            plain["pin_memory"] = False
        with torch.utils._python_dispatch._disable_current_modes():
            answer = func(*plain_args, **plain)
        if func._schema.name.endswith("_") and not func._schema.name.endswith("__") or "out" in kwargs:
            return kwargs.get("out", args[0])
        return answer if leaves else tree_map(_wrapped, answer)

    def __enter__(self):
        _Device.active = self
        return super().__enter__()

    def __exit__(self, *error):
        _Device.active = None
        return super().__exit__(*error)


def _inner(leaf):
    return leaf.inner if isinstance(leaf, DeviceTensor) else leaf


def _wrapped(leaf):
    return DeviceTensor(leaf) if isinstance(leaf, torch.Tensor) else leaf


@contextmanager
def rehearsed() -> Iterator[_Device]:
    """Offer the device; skip the test where this PyTorch has no means for it."""
    if not set_up():
        pytest.skip(f"PyTorch {torch.__version__} cannot rehearse a device")
    on_the_cpu = torch.Generator  # its draws are the CPU's
    with _Device() as device, pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "Generator", lambda device="cpu": on_the_cpu())
        yield device


def set_up() -> bool:
    """Register the device, before this process's first backward pass; return whether PyTorch can."""
    if torch._C._get_privateuse1_backend_name() == NAME:
        return True
    register = getattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend", None)
    if register is None:
        return False
    register(NAME)
    kernels = torch.library.Library("aten", "IMPL")
    for name in ("empty.memory_format", "empty_strided"):  # for what Python's indexing makes of a list
        kernels.impl(name, partial(_new, getattr(_aten, name.partition(".")[0])), "PrivateUse1")
    kernels.impl("_copy_from", _copy_from, "PrivateUse1")
    _KEPT.append(kernels)
    return True


def _new(function, *args, device=None, pin_memory=None, **kwargs):
    return DeviceTensor(function(*args, device="cpu", **kwargs))


def _copy_from(source, to, non_blocking=False):
    _inner(to).copy_(_inner(source))
    return to
