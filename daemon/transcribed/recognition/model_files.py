"""Inspect the files in a model's folder: whether all that it needs are there, and whole as far as a look can tell.

Models are copied by hand, cloned without git-lfs and cut off by full disks; each of these gets a sentence before any
library tries to read the files.  Knows names and first bytes; nothing of networks, and reads no weights.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from transcribed.core.errors import Misconfigured
from transcribed.system import documents

CONFIG = "config.yaml"
CONFIGURATION = "configuration.json"
WEIGHTS = "model.pt"
CMVN = "am.mvn"  # the normalization of features
EVERY_MODELS_FILES = (CONFIG, WEIGHTS)
RECOGNIZER_FILES = (CONFIG, WEIGHTS, CMVN)

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_PICKLE = b"\x80"
_GUESSED = {  # FunASR's own, for a folder without configuration.json (funasr/download/download_model_from_hub.py)
    ("tokenizer_conf", "token_list"): ("tokens.json", "tokens.txt"),
    ("tokenizer_conf", "seg_dict"): ("seg_dict",),
    ("tokenizer_conf", "bpemodel"): ("bpe.model",),
    ("frontend_conf", "cmvn_file"): (CMVN,),
    ("jieba_usr_dict",): ("jieba_usr_dict",),
}

Names = dict[str, Any]
"""File names by the keys of the configuration that want them; tables within tables."""


class _Configuration(TypedDict):
    """The part of configuration.json that names files."""

    file_path_metas: Names


def names(directory: Path) -> Names:
    """Return the names of a model's files: as configuration.json has them, else those that FunASR would look for.

    A single *.bpe.model counts as the tokenizer: SenseVoiceSmall's is not one of the names that FunASR knows.
    """
    if found := _configuration(directory):
        return found["file_path_metas"]
    names: Names = {}
    for keys, candidates in _GUESSED.items():
        for name in candidates:
            if (directory / name).is_file():
                _table(names, keys[:-1])[keys[-1]] = name
                break
    tokenizers = sorted(path.name for path in directory.glob("*.bpe.model"))
    if len(tokenizers) == 1:
        _table(names, ("tokenizer_conf",)).setdefault("bpemodel", tokenizers[0])
    return names


def _configuration(directory: Path) -> _Configuration | None:
    try:
        with (directory / CONFIGURATION).open("rb") as file:  # may be a link, as in the hubs' caches
            return documents.parse(file.read(documents.MAX_BYTES), _Configuration)
    except OSError:
        return None


def _table(names: Names, keys: tuple[str, ...]) -> Names:
    for key in keys:
        names = names.setdefault(key, {})
    return names


def paths(directory: Path, names: Names) -> Names:
    """Return the names as absolute paths; what is no file of this folder stays as it is."""
    made: Names = {}
    for key, value in names.items():
        if isinstance(value, dict):
            made[key] = paths(directory, value)
        else:
            named = isinstance(value, str) and _is_inside(value) and (directory / value).is_file()
            made[key] = str(directory / value) if named else value
    return made


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def inspect(directory: Path, needed: tuple[str, ...] = EVERY_MODELS_FILES) -> None:
    """Raise Misconfigured, with every file that is missing, empty, cut off, or only git-lfs's pointer to one."""
    wanted = dict.fromkeys((*needed, *_named(names(directory))))
    if (directory / CONFIGURATION).exists():
        wanted.setdefault(CONFIGURATION)
    if faults := [f"{name} {fault}" for name in wanted if (fault := _fault(directory, name))]:
        raise Misconfigured(
            f"The model in {directory} is incomplete: {'; '.join(faults)}.",
            "Fetch it again with `transcribed models pull`, or copy all its files, with `git lfs pull` if it was "
            "cloned.",
        )


def _named(names: Names) -> Iterator[str]:
    for value in names.values():
        if isinstance(value, dict):
            yield from _named(value)
        elif isinstance(value, str):
            yield value


def _fault(directory: Path, name: str) -> str | None:
    """Return what is wrong with a file, as the end of a sentence that its name begins."""
    if not _is_inside(name):
        return "is not in that folder"
    path = directory / name
    try:
        with path.open("rb") as file:
            head = file.read(len(_LFS_POINTER))
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head:
        return "is empty"
    if head == _LFS_POINTER:
        return "is only a pointer to the file, since it was cloned without git-lfs"
    if name == CONFIGURATION and _configuration(directory) is None:
        return "is damaged"
    if path.suffix == ".pt" and not head.startswith(_PICKLE) and not zipfile.is_zipfile(path):
        return "is cut off" if head.startswith(b"PK") else "holds no weights of PyTorch"
    return None
