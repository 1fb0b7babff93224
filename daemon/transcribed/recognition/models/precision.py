"""Choose the precision of matrix products: the best number type of a device, and its fast multiplication.

Knows devices; nothing of models.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_AMPERE = (8, 0)  # older cards compute bfloat16 in software
_CPU_BF16 = {"avx512_bf16", "amx_bf16"}


def dtype_for(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the requested number type; "auto" is the fastest 16-bit type that the device multiplies, else float32."""
    if precision != "auto":
        return _TYPES[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= _AMPERE else torch.float16
    return torch.bfloat16 if _CPU_BF16 & _cpu_flags() else torch.float32


def name_of(dtype: torch.dtype) -> str:
    return _NAMES[dtype]


@contextlib.contextmanager
def fast_products(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Speed up float32 products: on a CPU by oneDNN, up to twice as fast as MKL on AMD and as exact; on a GPU by 11-bit
    factors, if its other products are in 16 bits.

    PyTorch calls it "medium" precision and lets oneDNN round to bfloat16, which it does only with AMX.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_matmul_precision(device, dtype))
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _matmul_precision(device: torch.device, dtype: torch.dtype) -> str:
    if device.type == "cuda":
        return "highest" if dtype == torch.float32 else "high"
    return "highest" if "amx_bf16" in _cpu_flags() else "medium"


@cache
def _cpu_flags() -> frozenset[str]:
    """Return the capabilities of the first processor by /proc/cpuinfo."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
