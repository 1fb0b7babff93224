"""Loader of the TOML file.  All faults are reported at once, each with its place and a suggestion.

Knows files and how to explain their faults; the keys are in settings.py.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from transcribed.config import folder_checks
from transcribed.config.fields import Place, explain_errors
from transcribed.config.inbox import Inbox, InboxSettings
from transcribed.config.operations import AlertSettings, HousekeepingSettings, LogSettings
from transcribed.config.settings import (
    DecoderSettings,
    GpuSettings,
    PolicySettings,
    PrepareSettings,
    RecognizeSettings,
    Settings,
)
from transcribed.core.errors import Misconfigured
from transcribed.core.types import HOTWORDS
from transcribed.system.timeout import call_with_timeout

LOOK_SECONDS = 10.0

log = structlog.get_logger("transcribed")

_SECRET = (("alerts",), ("alerts", "urls"))  # values there are not repeated in an error


def load(path: Path, *, strict: bool = True) -> Settings:
    """Read and check a configuration file and its folders.  Raise Misconfigured with one line per fault.

    Unless `strict`, a missing permission is only logged: while a share is away, it may be that of the empty mount
    point.  If a share hangs, no folder is checked.
    """
    settings = read(path)
    try:
        faults, denied = call_with_timeout(
            LOOK_SECONDS,
            lambda: (list(folder_checks.layout_errors(settings)), list(folder_checks.permission_errors(settings))),
        )
    except TimeoutError:
        log.warning("folders not checked: one does not respond")
        faults, denied = [], []
    if wrong := faults + (denied if strict else []):
        raise Misconfigured("\n".join(f"{path.name}: {fault}" for fault in wrong))
    for fault in denied:
        log.error("folder unusable", error=fault)
    return settings


def read(path: Path) -> Settings:
    """Read a configuration file as `load` does, without checking its folders."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.", "Name another file with --config.") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not valid TOML: {error}.") from error
    try:
        return Settings(**_with_defaults(document, path.absolute().parent / HOTWORDS))
    except ValidationError as error:
        lines = explain_errors(error, _table_of, _SECRET)
        raise Misconfigured("\n".join(f"{path.name}: {line}" for line in lines)) from error


def _with_defaults(document: dict[str, Any], hotwords: Path) -> dict[str, Any]:
    """Complete each inbox from [defaults] and each policy from [gpu]; faults keep the place where they are written.

    `hotwords` is the default hotword file, used if it exists.
    """
    gpu, usual = document.get("gpu", {}), document.get("defaults", {})
    if isinstance(usual, dict) and hotwords.is_file():
        usual = {"hotwords_file": str(hotwords)} | usual
    document = document | {"inbox": _completed(document.get("inbox", []), usual, InboxSettings)}
    if isinstance(gpu, dict) and "policy" in gpu:
        document["gpu"] = gpu | {"policy": _completed(gpu["policy"], gpu, PolicySettings)}
    return document


def _completed(tables: Any, usual: Any, model: type[BaseModel]) -> Any:
    if not isinstance(tables, list) or not isinstance(usual, dict):
        return tables
    known = {key: value for key, value in usual.items() if key in model.model_fields}
    return [known | table if isinstance(table, dict) else table for table in tables]


def _table_of(place: Place) -> type[BaseModel]:
    tables: dict[str, type[BaseModel]] = {
        "inbox": Inbox,
        "defaults": InboxSettings,
        "prepare": PrepareSettings,
        "decoder": DecoderSettings,
        "recognize": RecognizeSettings,
        "gpu": GpuSettings,
        "log": LogSettings,
        "housekeeping": HousekeepingSettings,
        "alerts": AlertSettings,
    }
    return tables.get(str(place[0]), Settings) if len(place) > 1 else Settings
