"""Load a model directory through FunASR's ordinary code, offline, and reject faults that FunASR would ignore.

FunASR continues with random weights if a file is missing, falls back to the CPU if the device is, checks for updates
online, prints, and holds a model's weights in memory three times while it loads them.  Here it only builds the network;
the weights are mapped from their file, so that they take no memory of their own and processes share them.  Knows
directories and devices; nothing of audio or batches.
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
from transcribed.recognition import model_files
from transcribed.recognition.device import is_lost, is_out_of_memory
from transcribed.recognition.models import funasr_imports

ENOUGH_WEIGHTS = 0.9  # some checkpoints lack a head that only training uses
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # around the weights in a checkpoint, as FunASR unwraps them
_PARALLEL = "module."  # before the names of a model that was trained on several cards


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
    directory: Path, device: str, threads: int, needed: tuple[str, ...] = model_files.RECOGNIZER_FILES
) -> tuple[Any, dict[str, Any]]:
    """Return the FunASR module, in evaluation mode on `device`, and its keyword arguments (tokenizer, frontend, ...).

    Raise Misconfigured if the directory is incomplete, a file cannot be read, or there is no such device.
    """
    model_files.inspect(directory, needed)
    os.environ.update(HF_HUB_OFFLINE="1", MODELSCOPE_OFFLINE="1")
    try:
        with _quiet():
            loaded = _built(directory, threads)
        _take_weights(loaded.model, directory)
        _check_normalization(loaded.kwargs["frontend"], directory)
        _require(device)
        return loaded.model.to(device).eval(), loaded.kwargs | {"device": device}
    except Misconfigured:
        raise
    except Exception as error:  # torch, sentencepiece and yaml raise errors of their own at a damaged file
        if is_out_of_memory(error) or is_lost(error):
            raise
        raise Misconfigured(
            f"The model in {directory} cannot be loaded: {str(error).strip() or type(error).__name__}".split("\n")[0],
            "Run `transcribed models verify`; if files are damaged, fetch them again with `transcribed models pull`.",
        ) from error


def _require(device: str) -> None:
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        raise Misconfigured(
            f"{device} was requested, but PyTorch finds no card.",
            'Check the driver with `nvidia-smi`, or set device = "cpu".',
        )


def _built(directory: Path, threads: int) -> Any:
    """Build FunASR's AutoModel on the CPU, with random weights.

    Raise Misconfigured if it needs classes that FunASR does not have.
    """
    config = "\n".join(path.read_text("utf-8-sig", "replace") for path in directory.glob("*.yaml"))
    with funasr_imports.no_programs():
        funasr_imports.provide(config)
        with funasr_imports.no_clustering():
            from funasr import AutoModel  # here: it imports torch

    build = functools.partial(AutoModel, **_configuration(directory, threads))
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


def _configuration(directory: Path, threads: int) -> dict[str, Any]:
    """Return AutoModel's arguments: what its hubs' code would read from the folder, but for the weights.

    With `model_conf` among them, AutoModel looks at no folder and no hub.
    """
    from omegaconf import OmegaConf

    files = model_files.paths(directory, model_files.names(directory))
    ours = {
        "model_path": str(directory),
        "device": "cpu",
        "ncpu": threads,
        "disable_update": True,
        "trust_remote_code": False,
        "disable_pbar": True,
        "disable_log": True,
    }
    config = OmegaConf.load(directory / model_files.CONFIG)
    made = OmegaConf.to_container(OmegaConf.merge({"model_conf": {}}, config, files, ours), resolve=True)
    assert isinstance(made, dict), "what is merged of tables is one"
    return {str(key): value for key, value in made.items() if key != "init_param"}


def _take_weights(model: Any, directory: Path) -> None:
    """Give the model its weights, mapped from the file: privately, so that changing one in place copies its page.

    Raise Misconfigured if too few come from the file: all others are random.
    """
    import torch

    name = model_files.names(directory).get("init_param", model_files.WEIGHTS)
    weights = torch.load(directory / name, map_location="cpu", mmap=True, weights_only=True)
    for wrapper in _WRAPPERS:
        weights = weights.get(wrapper, weights)
    weights = {name.removeprefix(_PARALLEL): weight for name, weight in weights.items()}
    wanted = model.state_dict()
    taken = {n: weights[n].to(w.dtype) for n, w in wanted.items() if n in weights and weights[n].shape == w.shape}
    known, total = (sum(w.numel() for w in each.values()) for each in (taken, wanted))
    if known < ENOUGH_WEIGHTS * total:
        raise Misconfigured(
            f"The weights in {directory} belong to another model: only {known / total:.0%} of them match config.yaml.",
            "Fetch the model again with `transcribed models pull`.",
        )
    model.load_state_dict(taken, strict=False, assign=True)


def _check_normalization(frontend: Any, directory: Path) -> None:
    """Raise Misconfigured if FunASR read another number of values than there are features."""
    if frontend is not None and frontend.cmvn is not None and frontend.cmvn.shape[-1] != frontend.output_size():
        raise Misconfigured(
            f"{model_files.CMVN} in {directory} holds no normalization for this model.",
            "Fetch the model again with `transcribed models pull`.",
        )
