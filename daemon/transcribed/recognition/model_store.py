"""Locate models, verify their files by hash, and tell what their manifests say of them.

A manifest is written where a model is fetched (model_download.py) or made.  Knows directories; nothing of the contents
of a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from transcribed.core.errors import Misconfigured
from transcribed.core.types import ModelFacts
from transcribed.recognition import public_models
from transcribed.system import documents

DEMO = "demo"
SILERO = "silero"
SILERO_WEIGHTS = "silero_vad_16k.npz"
MANIFEST = "manifest.json"
MIN_CONFIDENCE = 0.5  # for models whose manifest names none
SHIPPED = Path(__file__).parent / "models" / DEMO
SILERO_FOLDER = Path(__file__).parent / "models" / SILERO

_Sentence = Annotated[str, Meta(max_length=300)]


class Manifest(TypedDict):
    """A model's files, with the SHA-256 of each in hexadecimal."""

    files: dict[str, str]


class _Told(TypedDict, total=False):
    """What a manifest may say besides."""

    min_confidence: Annotated[float, Meta(ge=0, le=1)]
    caution: _Sentence
    credit: _Sentence
    licence: _Sentence


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
    directory = folder_of(name, models_dir)
    if not directory.is_dir():
        raise Misconfigured(
            f"The {what} {name} was not found at {directory}.", f"Fetch it with `transcribed models pull {name}`."
        )
    return directory


def folder_of(name: str, models_dir: Path) -> Path:
    """Return where a model is, or would be: below `models_dir`, whichever of its names it is called by."""
    return Path(name) if Path(name).is_absolute() else models_dir / public_models.canonical(name)


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


def facts(name: str, directory: Path) -> ModelFacts:
    """Return what those who read its transcripts, or judge them, have to know of a model."""
    told = documents.read(directory / MANIFEST, _Told) or {}
    public = public_models.find(name)
    credit = told.get("credit") or (public.credit if public else "")
    licence = told.get("licence") or (public.licence if public else "")
    return ModelFacts(
        version(directory),
        told.get("min_confidence", MIN_CONFIDENCE),
        told.get("caution", ""),
        ", ".join(filter(None, (credit, licence))),
    )


def detector_facts(name: str, models_dir: Path) -> ModelFacts:
    """Return the same of the speech detector."""
    return facts(name, locate_vad(name, models_dir))


def version(directory: Path) -> str:
    """Return twelve digits that change with the model's files: by its manifest or else by their sizes and times."""
    manifest = directory / MANIFEST
    told = manifest.read_bytes() if manifest.is_file() else repr(sorted(_looks(directory))).encode()
    return hashlib.sha256(told).hexdigest()[:12]


def _looks(directory: Path) -> Iterator[tuple[str, int, int]]:
    for path in _files(directory):
        found = path.stat()
        yield str(path.relative_to(directory)), found.st_size, found.st_mtime_ns


def record(directory: Path, **facts: str) -> dict[str, str]:
    """Write the manifest of a model as it is now, with what else is known of it; return the hashes of its files."""
    files = {str(path.relative_to(directory)): str(_sha256(path)) for path in _files(directory)}
    text = json.dumps(facts | {"files": files}, indent=1, sort_keys=True)
    (directory / MANIFEST).write_text(text + "\n")
    return files


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
