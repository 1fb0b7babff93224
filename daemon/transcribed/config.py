"""The TOML file -> settings.  Every fault is reported at once, with its place and a suggestion.

Knows files and how to explain what is wrong with them; what may stand in them is in settings.py.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from transcribed import folders
from transcribed.errors import Misconfigured
from transcribed.settings import (
    AlertSettings,
    GpuSettings,
    HousekeepingSettings,
    Inbox,
    InboxSettings,
    LogSettings,
    PolicySettings,
    PrepareSettings,
    RecognizeSettings,
    Settings,
)

_SECRET = (("alerts",), ("alerts", "urls"))  # what stands there is not repeated in a fault


def load(path: Path) -> Settings:
    """Read and check a configuration file, and its folders.  Raises Misconfigured with one line per fault."""
    settings = read(path)
    if faults := list(folders.faults(settings)):
        raise Misconfigured("\n".join(f"{path.name}: {fault}" for fault in faults))
    return settings


def read(path: Path) -> Settings:
    """As `load`, without a look at the folders: one on a dead share may hang."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.", "Name another with --config.") from error
    except ValueError as error:
        raise Misconfigured(f"{path} is not TOML: {error}.") from error
    try:
        return Settings(**_with_defaults(document))
    except ValidationError as error:
        raise Misconfigured("\n".join(f"{path.name}: {line}" for line in _explained(error))) from error


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Each inbox completed by [defaults], each policy by [gpu]; faults are found where they are written."""
    gpu = document.get("gpu", {})
    document = document | {"inbox": _completed(document.get("inbox", []), document.get("defaults"), InboxSettings)}
    if isinstance(gpu, dict) and "policy" in gpu:
        document["gpu"] = gpu | {"policy": _completed(gpu["policy"], gpu, PolicySettings)}
    return document


def _completed(tables: Any, usual: Any, model: type[BaseModel]) -> Any:
    if not isinstance(tables, list) or not isinstance(usual, dict):
        return tables
    known = {key: value for key, value in usual.items() if key in model.model_fields}
    return [known | table if isinstance(table, dict) else table for table in tables]


def _explained(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        if fault["type"] == "extra_forbidden":
            yield f"{place}: unknown key{_suggestion(fault['loc'])}"
        else:
            untold = fault["type"] == "missing" or fault["loc"][:2] in _SECRET
            given = "" if untold else f" (it is {fault['input']!r})"
            yield f"{place}: {fault['msg'].removeprefix('Value error, ')}{given}"


def _suggestion(place: tuple[int | str, ...]) -> str:
    tables: dict[str, type[BaseModel]] = {
        "inbox": Inbox,
        "defaults": InboxSettings,
        "prepare": PrepareSettings,
        "recognize": RecognizeSettings,
        "gpu": GpuSettings,
        "log": LogSettings,
        "housekeeping": HousekeepingSettings,
        "alerts": AlertSettings,
    }
    table = tables.get(str(place[0]), Settings) if len(place) > 1 else Settings
    near = difflib.get_close_matches(str(place[-1]), table.model_fields, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""
