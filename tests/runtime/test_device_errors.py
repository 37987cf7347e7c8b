"""A lack of memory and a missing kernel are told apart, though libraries use the same words for both."""

import pytest
import torch

from mri_saliency.runtime.device_errors import has_no_kernel, is_out_of_memory, no_kernel_message

GPU = torch.device("cuda:0")
NO_ENGINE = RuntimeError("GET was unable to find an engine to execute this computation")


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of 8 GiB; the test sets how much of it is free."""
    free = {"bytes": 0}
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free["bytes"], 8 * 2**30))
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (6, 1))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "GTX 1080 Ti")
    return free


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("a message of any kind"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 100 bytes"),
    ],
)
def test_a_lack_of_memory_is_one_however_much_is_free(gpu, error):
    for gpu["bytes"] in (0, 8 * 2**30):  # free again, once the error is handled
        assert is_out_of_memory(error, GPU) and not has_no_kernel(error, GPU)
    assert is_out_of_memory(error, torch.device("cpu"))


def test_words_for_both_are_judged_by_the_free_memory(gpu, monkeypatch):
    for error in (NO_ENGINE, RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling …")):
        gpu["bytes"] = 2**30  # an eighth
        assert is_out_of_memory(error, GPU) and not has_no_kernel(error, GPU)
        gpu["bytes"] = 6 * 2**30
        assert has_no_kernel(error, GPU) and not is_out_of_memory(error, GPU)

    def fail(_):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("torch.cuda.mem_get_info", fail)  # not known, so it may be too small
    for device in (GPU, torch.device("cpu")):
        assert is_out_of_memory(NO_ENGINE, device) and not has_no_kernel(NO_ENGINE, device)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: no kernel image is available for execution on the device\nCompile with …",
        "cuDNN version 91900 is not compatible with devices with SM < 7.5. Please install …",
        "cuDNN error: CUDNN_STATUS_ARCH_MISMATCH",
    ],
)
def test_a_missing_kernel_is_one_however_little_is_free(gpu, message):
    for gpu["bytes"] in (0, 8 * 2**30):
        assert has_no_kernel(RuntimeError(message), GPU)
        assert not is_out_of_memory(RuntimeError(message), GPU)
        other = RuntimeError("CUDA error: an illegal memory access was encountered")
        assert not is_out_of_memory(other, GPU) and not has_no_kernel(other, GPU)


def test_the_message_gives_the_gpu_the_reason_and_what_to_do(gpu):
    gpu["bytes"] = 6 * 2**30
    message = no_kernel_message(NO_ENGINE, GPU)
    assert f"PyTorch ({torch.__version__}) cannot run the network on GTX 1080 Ti" in message
    assert "compute capability 6.1" in message and "unable to find an engine" in message
    assert "75% of its memory free" in message and "--device cpu" in message
    assert "cpu (" in no_kernel_message(NO_ENGINE, torch.device("cpu"))
