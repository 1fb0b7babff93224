"""Fetch a model from ModelScope or Hugging Face, and record what was fetched.

The only module that uses the network for models, and only the command line calls it; the daemon never downloads.  The
hubs' own clients fetch, and go on where they were interrupted.  Knows hubs and folders; nothing of the contents of a
model.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from transcribed.core.errors import Misconfigured
from transcribed.core.quantities import size
from transcribed.recognition import model_files, model_store, public_models
from transcribed.recognition.public_models import PublicModel

_UNUSED = ["*.onnx", "*.jpg", "*.png", "fig/*", "*.md5"]
_SPARE_BYTES = 2**28  # of free space that stays
_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
_UNREACHABLE = {"NetworkError", "TransportError", "ConnectionError", "TimeoutError"}  # of the clients' own libraries
_OFFLINE = (
    "Check the name and the network.  On a machine without one, run this command on another and copy {} here, to the "
    "same place."
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a hub has of a model."""

    revision: str
    sizes: dict[str, int]  # in bytes, by the names of its files

    @property
    def wanted_bytes(self) -> int:
        wanted = (n for n in self.sizes if not any(fnmatch.fnmatch(n, pattern) for pattern in _UNUSED))
        return sum(self.sizes[name] for name in wanted)


@dataclass(frozen=True, slots=True)
class Hub:
    name: str
    called: Callable[[str, PublicModel | None], str | None]  # what it calls a model; None if it does not have it
    list: Callable[[str], Listing]
    fetch: Callable[[str, Path], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    folder: Path
    hub: str
    licence: str


def pull(name: str, models_dir: Path, *, any_version: bool = False) -> Fetched:
    """Fetch a model, by any of its names, from ModelScope, or from Hugging Face if that fails, and write its manifest.

    Whole or not at all: each hub fetches into a folder of its own, which takes the place of the model's when it is
    complete; one that was interrupted goes on.  A file with other bytes than are publicly known is refused, unless
    `any_version`.  Raise Misconfigured with the reasons of both hubs.
    """
    reasons = []
    for hub in HUBS:
        try:
            return _pull_from(hub, name, models_dir, any_version)
        except Exception as error:  # each hub raises errors of its own; whichever it is, try the other hub
            reasons.append(f"{hub.name}: {_reason(error)}")
    hint = _OFFLINE.format(model_store.folder_of(name, models_dir))
    raise Misconfigured(f"{name} could not be fetched.\n" + "\n".join(reasons), hint)


def _pull_from(hub: Hub, name: str, models_dir: Path, any_version: bool) -> Fetched:
    known, canonical = public_models.find(name), public_models.canonical(name)
    called = hub.called(name, known)
    if called is None:
        raise Misconfigured("it does not have this model.")
    staging, target = _staging(canonical, hub, models_dir), model_store.folder_of(name, models_dir)
    listing = hub.list(called)
    _require_space(listing, staging)
    hub.fetch(called, staging)  # its client goes on with what is there
    hashes = known.sha256 if known else {}
    model_files.inspect(staging, (model_files.CONFIG, *hashes) if hashes else model_files.EVERY_MODELS_FILES)
    licence, credit = _licence(staging, known), known.credit if known else name
    facts = {"name": canonical, "hub": hub.name, "revision": listing.revision}
    found = model_store.record(staging, **facts, credit=credit, licence=licence)
    if not any_version:
        _require_published(staging, hashes, found)
    _put(staging, target)
    for other in HUBS:
        shutil.rmtree(_staging(canonical, other, models_dir), ignore_errors=True)
    return Fetched(target, hub.name, licence)


def _reason(error: Exception) -> str:
    if _UNREACHABLE.intersection(each.__name__ for each in type(error).__mro__):
        return "it cannot be reached from this machine."
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def _staging(name: str, hub: Hub, models_dir: Path) -> Path:
    return models_dir / f".{name.replace('/', '--')}.{hub.name}.fetching"


def _require_space(listing: Listing, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed, free = listing.wanted_bytes - there + _SPARE_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise Misconfigured(f"{size(needed)} are needed at {folder.parent}, and {size(free)} are free.")


def _require_published(folder: Path, published: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise Misconfigured if a file is not the one that is publicly known; it is fetched anew then."""
    for name, sha256 in published.items():
        if found[name] != sha256:
            (folder / name).unlink()
            raise Misconfigured(
                f"its {name} is not the published one (SHA-256 {found[name][:12]}... instead of {sha256[:12]}...): it "
                "was damaged on its way, or the hub has another version, which `--any-version` takes."
            )


def _licence(folder: Path, known: PublicModel | None) -> str:
    """Return the licence that is known of a model, or that its README.md states."""
    if known:
        return known.licence
    try:
        found = _FRONT_MATTER.match((folder / "README.md").read_text("utf-8"))
        told = yaml.safe_load(found[1]) if found else {}
        licence = " ".join(str(told[key]) for key in ("license_name", "license_link", "license") if told.get(key))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError):
        licence = ""
    return licence[:200] or "its licence is not stated"


def _put(fetched: Path, target: Path) -> None:
    """Let a fetched folder take the place of the one that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fetched.rename(target)
    shutil.rmtree(old, ignore_errors=True)


# --- the hubs ------------------------------------------------------------------------------------------


def _list_modelscope(name: str) -> Listing:
    from modelscope_hub.api import HubApi

    files = [file for file in HubApi().legacy.list_repo_files(name, "model") if file.get("Type") != "tree"]
    newest = max(files, key=lambda file: int(file.get("CommittedDate") or 0), default={})
    return Listing(str(newest.get("Revision") or ""), {str(f["Path"]): int(f.get("Size") or 0) for f in files})


def _fetch_modelscope(name: str, folder: Path) -> None:
    from modelscope import snapshot_download

    snapshot_download(name, local_dir=str(folder), ignore_file_pattern=_UNUSED)


def _list_hugging_face(name: str) -> Listing:
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, files_metadata=True)
    return Listing(str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or ()})


def _fetch_hugging_face(name: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(name, local_dir=str(folder), ignore_patterns=_UNUSED)


HUBS = (
    Hub("modelscope", lambda name, known: known.name if known else name, _list_modelscope, _fetch_modelscope),
    Hub(
        "hugging_face",
        lambda name, known: known.hugging_face if known else name,
        _list_hugging_face,
        _fetch_hugging_face,
    ),
)
