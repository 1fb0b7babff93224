"""Locate models, verify their files by hash, and fetch them.

Only `pull` uses the network, and only the command line calls it; the daemon never downloads.  Knows directories;
nothing of the contents of a model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from transcribed.core.errors import Misconfigured
from transcribed.system import documents

DEMO = "demo"
SILERO = "silero"
SILERO_WEIGHTS = "silero_vad_16k.npz"
PUBLIC_DETECTOR = "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"
MANIFEST = "manifest.json"
MIN_CONFIDENCE = 0.5  # for models whose manifest names none
SHIPPED = Path(__file__).parent / "models" / DEMO
SILERO_FOLDER = Path(__file__).parent / "models" / SILERO
_ON_HUGGING_FACE = {
    "iic/SenseVoiceSmall": "FunAudioLLM/SenseVoiceSmall",
    PUBLIC_DETECTOR: "funasr/fsmn-vad",
    "iic/punc_ct-transformer_cn-en-common-vocab471067-large": "funasr/ct-punc",
}
"""ModelScope models with another name on Hugging Face.  Not funasr/paraformer-zh, which is a different Paraformer."""
_UNUSED = ("*.onnx", "*.jpg", "*.png", "fig/*", "*.md5")


class Manifest(TypedDict):
    """A model's files, with the SHA-256 of each in hexadecimal."""

    files: dict[str, str]


class _WithConfidence(TypedDict):
    """The part of a model's manifest that says how sure it is of what it knows."""

    min_confidence: Annotated[float, Meta(ge=0, le=1)]


def locate(name: str, models_dir: Path) -> Path:
    """Return the directory of a model: the shipped one for "demo", an absolute path as given, else below `models_dir`.

    Raise Misconfigured if it does not exist.
    """
    if name == DEMO:
        return SHIPPED / "sensevoice"
    return _located(name, models_dir, "model")


def locate_vad(name: str, models_dir: Path) -> Path:
    """Return the directory of the voice activity detector, like `locate`; "silero" is shipped, too."""
    shipped = {DEMO: SHIPPED / "vad", SILERO: SILERO_FOLDER}
    return shipped.get(name) or _located(name, models_dir, "speech detector")


def _located(name: str, models_dir: Path, what: str) -> Path:
    directory = Path(name) if Path(name).is_absolute() else models_dir / name
    if not directory.is_dir():
        raise Misconfigured(
            f"The {what} {name} was not found at {directory}.", f"Fetch it with `transcribed models pull {name}`."
        )
    return directory


def verify(directory: Path, heartbeat: Callable[[], None] = lambda: None) -> int:
    """Compare every file in the manifest with its hash; return how many there are, 0 without a manifest.

    Call `heartbeat` after each file.  Raise Misconfigured with the name of each file that is missing or different.
    """
    manifest = directory / MANIFEST
    if not manifest.is_file():
        return 0
    wanted, wrong = _listed(manifest), []
    for name, sha256 in wanted.items():
        if _sha256(directory / name) != sha256:
            wrong.append(name)
        heartbeat()
    if wrong:
        raise Misconfigured(
            f"The model in {directory} differs from its manifest.  Changed or missing: {', '.join(sorted(wrong))}.",
            "Fetch it again with `transcribed models pull`.",
        )
    return len(wanted)


def _listed(manifest: Path) -> dict[str, str]:
    found = documents.read(manifest, Manifest)
    if found is None:
        raise Misconfigured(f"{manifest} is damaged.", "Fetch the model again with `transcribed models pull`.")
    return found["files"]


def min_confidence(directory: Path) -> float:
    """Return the mean confidence below which the words of a model are not to be believed."""
    found = documents.read(directory / MANIFEST, _WithConfidence)
    return found["min_confidence"] if found else MIN_CONFIDENCE


def version(directory: Path) -> str:
    """Return twelve digits that change with the model's files: by its manifest or else by their sizes and times."""
    manifest = directory / MANIFEST
    told = manifest.read_bytes() if manifest.is_file() else repr(sorted(_looks(directory))).encode()
    return hashlib.sha256(told).hexdigest()[:12]


def _looks(directory: Path) -> Iterator[tuple[str, int, int]]:
    for path in _files(directory):
        found = path.stat()
        yield str(path.relative_to(directory)), found.st_size, found.st_mtime_ns


def record(directory: Path, name: str) -> int:
    """Write the manifest of a model as it is now; return how many files it lists."""
    files = {str(path.relative_to(directory)): str(_sha256(path)) for path in _files(directory)}
    text = json.dumps({"name": name, "files": files}, indent=1, sort_keys=True)
    (directory / MANIFEST).write_text(text + "\n")
    return len(files)


def pull(name: str, models_dir: Path) -> Path:
    """Fetch a model from ModelScope, or from Hugging Face if that fails, and write its manifest.

    Whole or not at all: it is fetched into a folder beside its own and moved there at the end.  Raise Misconfigured
    with both errors.
    """
    target, fetched = models_dir / name, models_dir / f".{name.replace('/', '--')}.fetching"
    errors = []
    for fetch in (_from_modelscope, _from_hugging_face):
        try:
            fetch(name, fetched)
        except Exception as error:  # each hub raises errors of its own; whichever it is, try the other hub
            errors.append(f"{fetch.__name__.removeprefix('_from_')}: {error}")
            continue
        record(fetched, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        fetched.rename(target)
        return target
    raise Misconfigured(f"{name} could not be fetched.\n" + "\n".join(errors), "Check the name and the network.")


def _from_modelscope(name: str, target: Path) -> None:
    from modelscope import snapshot_download

    snapshot_download(name, local_dir=str(target), ignore_file_pattern=list(_UNUSED))


def _from_hugging_face(name: str, target: Path) -> None:
    from huggingface_hub import snapshot_download

    repository = _ON_HUGGING_FACE.get(name, name)
    snapshot_download(repository, local_dir=str(target), ignore_patterns=list(_UNUSED))


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files of a model, without the hubs' own bookkeeping, whose names begin with a dot."""
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if path.is_file() and not hidden and path.name != MANIFEST:
            yield path


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
