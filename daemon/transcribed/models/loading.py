"""Load a model directory through FunASR's ordinary code, offline, and refuse what FunASR would let pass.

FunASR goes on with random weights when a file is missing, falls to the CPU when the device is, asks the network for
updates, and prints.  Knows directories and devices; nothing of audio or batches.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcribed.errors import Misconfigured

_NEEDED = ("config.yaml", "model.pt", "am.mvn")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """FunASR prints its version and warns of what it does not do; its errors pass."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        root.setLevel(level)


def load(directory: Path, device: str, threads: int) -> tuple[Any, dict[str, Any]]:
    """The FunASR module, in evaluation mode on `device`, and its keyword arguments (tokenizer, frontend, ...).

    Raises Misconfigured if the directory is not whole or the device is not the one asked for.
    """
    missing = [name for name in _NEEDED if not (directory / name).is_file()]
    if missing:
        raise Misconfigured(
            f"The model directory {directory} lacks {', '.join(missing)}.",
            "Fetch the model with `transcribed models pull`, or name a whole model directory.",
        )
    os.environ.update(HF_HUB_OFFLINE="1", MODELSCOPE_OFFLINE="1")
    with _quiet():
        from funasr import AutoModel  # here: it imports all of FunASR, and torch

        loaded = AutoModel(
            model=str(directory),
            device=device,
            ncpu=threads,
            disable_update=True,
            disable_pbar=True,
            disable_log=True,
        )
    actual = str(loaded.kwargs["device"])
    if actual.split(":")[0] != device.split(":")[0]:
        raise Misconfigured(
            f"{device} was asked for, but the model is on {actual}.",
            'Check the driver with `nvidia-smi`, or set device = "cpu".',
        )
    return loaded.model.eval(), loaded.kwargs
