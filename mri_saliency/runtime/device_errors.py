"""Errors of a device -> whether its memory was too small, or PyTorch has no kernel for it."""

import torch

from mri_saliency.runtime.device import hardware_name

# PyTorch's allocators, cuBLAS and cuDNN
_NO_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
# cuDNN and cuBLAS report so that they could not allocate, and also that they cannot compute at all: the
# first is what a GPU gets that is older than those PyTorch was built for
_NO_MEMORY_OR_NO_KERNEL = (
    "unable to find an engine",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)
_NO_KERNEL = ("no kernel image is available", "is not compatible with devices", "CUDNN_STATUS_ARCH_MISMATCH")
# Free share of a GPU's memory above which a lack of it is no cause: a convolution's smallest working memory
# for 50 volumes is a few hundred MB.
_ENOUGH_FREE = 0.25


def is_out_of_memory(error: RuntimeError, device: torch.device) -> bool:
    """Return whether a device's memory was too small.

    An error that can mean either counts as such unless a quarter of the GPU's memory is free; call this
    while the error is handled, as what was computed until then still occupies its memory.
    """
    if isinstance(error, torch.OutOfMemoryError) or _has(error, _NO_MEMORY):
        return True
    free_share = _free_share(device)
    return _has(error, _NO_MEMORY_OR_NO_KERNEL) and (free_share is None or free_share < _ENOUGH_FREE)


def has_no_kernel(error: RuntimeError, device: torch.device) -> bool:
    """Return whether PyTorch, or a library of it, cannot compute on this device."""
    is_either = _has(error, _NO_MEMORY_OR_NO_KERNEL) and not is_out_of_memory(error, device)
    return is_either or _has(error, _NO_KERNEL)


def first_line(error: RuntimeError) -> str:
    """Return the first line of an error's message, without the advice that libraries append."""
    return str(error).partition("\n")[0]


def no_kernel_message(error: RuntimeError, device: torch.device) -> str:
    """Return what a user can do about an error that `has_no_kernel`."""
    free_share = _free_share(device)
    free = "" if free_share is None else f", {free_share:.0%} of its memory free"
    name = hardware_name(device)
    if device.type == "cuda":
        name += " (compute capability {}.{})".format(*torch.cuda.get_device_capability(device))
    return (
        f"this PyTorch ({torch.__version__}) cannot run the network on {name} "
        f"({first_line(error)}{free}). Install a PyTorch that was built for this GPU and its driver, "
        "or use --device cpu."
    )


def _has(error: RuntimeError, signs: tuple[str, ...]) -> bool:
    return any(sign in str(error) for sign in signs)


def _free_share(device: torch.device) -> float | None:
    """Return which share of a GPU's memory no program occupies; None where that is not known."""
    if device.type != "cuda":
        return None
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:  # the driver no longer answers
        return None
    return free / total
