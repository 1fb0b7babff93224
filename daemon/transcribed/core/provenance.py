"""Fingerprint of what a transcript was made with, to find out later whether its result would differ now.

Pure.  Hotwords and corrections are stored as a digest; they may be many, and private.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from transcribed import __version__
from transcribed.core.types import BEST_TRACK, RecordingOptions

_NAMES = {"model_version": "model files"}


def made_with(requested: RecordingOptions) -> dict[str, Any]:
    """Return the options that influence the words, as JSON values: equal if and only if the words are made alike."""
    options = requested.options
    return {
        "model": options.model,
        "model_version": requested.model.version,
        "language": options.language,
        "itn": options.itn,
        "punctuation": options.punctuation,
        "hotwords": _digest(options.hotwords),
        "corrections": _digest(options.corrections),
        "channels": None if requested.channels is None else list(requested.channels),
        "tracks": None if requested.tracks == BEST_TRACK else requested.tracks,  # rows of versions without it have none
    }


def key(requested: RecordingOptions) -> str:
    """Return sixteen hexadecimal digits that identify `made_with` and this version of the program."""
    told = json.dumps([__version__, made_with(requested)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names, worded for people, of what differs now."""
    return [_NAMES.get(name, name) for name in now if then.get(name) != now[name]]


def _digest(words: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12] if words else ""
