"""Select the device that a worker computes on, measure its memory, and interpret its errors.

Runs in the worker's process.  Knows PyTorch's view of a device; nothing of models, batches or other processes.
"""

from __future__ import annotations

import logging
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from transcribed.core.telemetry import Footprint

_NEW_NAME = (2, 10)  # PyTorch 2.9.1 still ignored PYTORCH_ALLOC_CONF (pytorch#183387)
_WSL = Path("/dev/dxg")  # expandable segments fail there (pytorch#192330)

log = logging.getLogger("transcribed.device")


class DeviceMemory(Protocol):
    """The memory of a device, as this process uses it."""

    def begin(self) -> None:
        """Take the memory allocated now as resting, and count the peak from here."""
        ...

    def footprint(self) -> Footprint | None: ...

    def spare_bytes(self) -> float:
        """Return how much could be allocated now: the device's free memory and our reusable cache."""
        ...

    def release(self) -> None:
        """Release all cached memory."""
        ...


class CpuMemory:
    """The memory of a CPU, which is the host's and is not measured."""

    def begin(self) -> None: ...

    def footprint(self) -> None:
        return None

    def spare_bytes(self) -> float:
        return float("inf")

    def release(self) -> None: ...


class CudaMemory:
    """PyTorch's caching allocator on the one card that this process sees."""

    def __init__(self) -> None:
        self._resting = 0

    def begin(self) -> None:
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        self._resting = torch.cuda.memory_allocated()

    def footprint(self) -> Footprint:
        import torch

        torch.cuda.synchronize()
        free, _ = torch.cuda.mem_get_info()
        peak, reserved = torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved()
        return Footprint(self._resting, peak, reserved, free, at=time.monotonic())

    def spare_bytes(self) -> float:
        import torch

        free, _ = torch.cuda.mem_get_info()
        return float(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())

    def release(self) -> None:
        import torch

        torch.cuda.empty_cache()


def choose(slot: str) -> str:
    """Make the slot's card the only one that this process sees; return PyTorch's name for it.

    Selects by UUID, since CUDA and NVML count cards differently, and before PyTorch is imported.  Raise DeviceLost if
    there is no such card.
    """
    if slot.startswith("cpu"):
        return "cpu"
    from transcribed.recognition.nvml import uuid_of  # here: the daemon imports this module, and not pynvml

    os.environ["CUDA_VISIBLE_DEVICES"] = uuid_of(slot)
    if not _WSL.exists():
        os.environ.setdefault(allocator_variable(version("torch")), "expandable_segments:True")
    return "cuda:0"


def allocator_variable(torch_version: str) -> str:
    """Return the environment variable from which this PyTorch reads its allocator's settings."""
    major, minor = (int(part) for part in torch_version.split(".")[:2])
    return "PYTORCH_ALLOC_CONF" if (major, minor) >= _NEW_NAME else "PYTORCH_CUDA_ALLOC_CONF"


def identity(device: str) -> str:
    """Return the UUID of the card that this process sees, or "cpu"."""
    return "cpu" if device == "cpu" else os.environ["CUDA_VISIBLE_DEVICES"]


def versions(device: str) -> str:
    """Return the versions of everything below the models that memory use depends on."""
    import torch

    if device == "cpu":
        return f"PyTorch {torch.__version__}"
    from transcribed.recognition.nvml import driver

    name, compute = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    return f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, driver {driver()}, {name} {compute}"


def memory_of(device: str) -> DeviceMemory:
    if device == "cpu":
        return CpuMemory()
    _check_allocator()
    return CudaMemory()


def _check_allocator() -> None:
    """Warn if PyTorch ignored the setting: memory would be lost to fragmentation without a visible cause."""
    import torch

    settings = torch.cuda.memory._snapshot()["allocator_settings"]
    if not settings.get("expandable_segments") and not _WSL.exists():
        log.warning("PyTorch ignored the allocator setting expandable_segments")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a device or the host ran out of memory; PyTorch's CPU allocator raises only a RuntimeError."""
    told = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in told
        or "CUDA error: out of memory" in told
        or "STATUS_ALLOC_FAILED" in told  # of cuBLAS and cuDNN
    )


def is_lost(error: BaseException) -> bool:
    """Return whether every later call will fail too: a CUDA error persists in the process that met it."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
