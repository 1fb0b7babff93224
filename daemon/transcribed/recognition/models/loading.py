"""Load a model directory through FunASR's ordinary code, offline, and reject faults that FunASR would ignore.

FunASR continues with random weights if a file is missing, falls back to the CPU if the device is, checks for updates
online, and prints.  Knows directories and devices; nothing of audio or batches.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transcribed.core.errors import Misconfigured
from transcribed.recognition.models import funasr_imports

ENOUGH_WEIGHTS = 0.9  # some checkpoints lack a head that only training uses
RECOGNIZER_FILES = ("config.yaml", "model.pt", "am.mvn")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence FunASR's output and its warnings, but not its errors."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        root.setLevel(level)


def load(
    directory: Path, device: str, threads: int, needed: tuple[str, ...] = RECOGNIZER_FILES
) -> tuple[Any, dict[str, Any]]:
    """Return the FunASR module, in evaluation mode on `device`, and its keyword arguments (tokenizer, frontend, ...).

    Raise Misconfigured if the directory is incomplete or the device is not the requested one.
    """
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise Misconfigured(
            f"The model directory {directory} lacks {', '.join(missing)}.",
            "Fetch the model with `transcribed models pull`, or name a complete model directory.",
        )
    os.environ.update(HF_HUB_OFFLINE="1", MODELSCOPE_OFFLINE="1")
    with _quiet():
        loaded = _built(directory, device, threads)
    _check_weights(loaded.model, directory)
    actual = str(loaded.kwargs["device"])
    if actual.split(":")[0] != device.split(":")[0]:
        raise Misconfigured(
            f"{device} was requested, but the model was loaded on {actual}.",
            'Check the driver with `nvidia-smi`, or set device = "cpu".',
        )
    return loaded.model.eval(), loaded.kwargs


def _built(directory: Path, device: str, threads: int) -> Any:
    """Build FunASR's AutoModel.  Raise Misconfigured if it needs classes that FunASR does not have."""
    config = "\n".join(path.read_text("utf-8", "replace") for path in directory.glob("*.yaml"))
    with funasr_imports.no_programs():
        funasr_imports.provide(config)
        with funasr_imports.no_clustering():
            from funasr import AutoModel  # here: it imports torch

    build = functools.partial(
        AutoModel,
        model=str(directory),
        device=device,
        ncpu=threads,
        disable_update=True,
        trust_remote_code=False,  # overrides the config.yaml
        disable_pbar=True,
        disable_log=True,
    )
    try:
        with contextlib.suppress(TypeError):  # a class missing from the registry is None, and None cannot be called
            return build()
        funasr_imports.provide_all()
        return build()
    except (TypeError, RuntimeError) as error:
        if not (missing := funasr_imports.missing(config)):
            raise
        raise Misconfigured(
            f"The model in {directory} needs parts that FunASR {version('funasr')} lacks: {', '.join(missing)}.",
            "Fetch the model again with `transcribed models pull`, or install the versions in constraints.txt.",
        ) from error


def _check_weights(model: Any, directory: Path) -> None:
    """Raise Misconfigured if too few weights come from the file: FunASR leaves all others random."""
    import torch

    file = torch.load(directory / "model.pt", map_location="cpu", mmap=True, weights_only=True)
    weights = file.get("state_dict", file)
    wanted = model.state_dict()
    taken = sum(w.numel() for name, w in wanted.items() if name in weights and weights[name].shape == w.shape)
    total = sum(w.numel() for w in wanted.values())
    if taken < ENOUGH_WEIGHTS * total:
        raise Misconfigured(
            f"The weights in {directory} belong to another model: only {taken / total:.0%} of them match config.yaml.",
            "Fetch the model again with `transcribed models pull`.",
        )
