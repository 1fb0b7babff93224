"""List the supported families of models, and identify the family of a model directory.

Knows the first lines of config.yaml and the names of tokens; nothing of networks, so that the daemon can use it.
"""

from __future__ import annotations

import re
from pathlib import Path

from transcribed.core.errors import Misconfigured
from transcribed.core.text import HAN

SENSEVOICE = ("SenseVoiceSmall",)
PARAFORMER = ("SeacoParaformer", "BiCifParaformer", "ContextualParaformer", "Paraformer")
PUNCTUATION = ("CTTransformer",)
HOTWORDS = ("SeacoParaformer", "ContextualParaformer")
"""The families with native hotwords."""

_MODEL = re.compile(r"""^model:\s*["']?([\w.-]+)""", re.MULTILINE)
_HAN = re.compile(f"[{HAN}]")


def of_recognizer(directory: Path) -> str:
    """Return the value of `model` in config.yaml.  Raise Misconfigured unless it is a supported recognizer."""
    return _one_of(directory, (*SENSEVOICE, *PARAFORMER), "is not a supported speech recognizer")


def of_punctuation(directory: Path) -> str:
    """Return the same for a punctuation model.  Raise Misconfigured unless it is a supported one."""
    return _one_of(directory, PUNCTUATION, "is not a supported punctuation model")


def language_of(directory: Path) -> str:
    """Return the language of a phrase that a recognizer must understand: "zh" if it writes only Chinese, else "en"."""
    tokens = directory / "tokens.json"
    chinese = tokens.is_file() and bool(_HAN.search(tokens.read_text("utf-8")))
    return "zh" if chinese and of_recognizer(directory) in PARAFORMER else "en"


def _one_of(directory: Path, known: tuple[str, ...], otherwise: str) -> str:
    family = _family_of(directory)
    if family in known:
        return family
    raise Misconfigured(
        f"The model in {directory} {otherwise}: its family is {family}.",
        f"Use one of these families: {', '.join(known)}.",
    )


def _family_of(directory: Path) -> str:
    config = directory / "config.yaml"
    if config.is_file() and (said := _MODEL.search(config.read_text("utf-8-sig", "replace"))):
        return said[1]
    raise Misconfigured(
        f"The model directory {directory} has no config.yaml with the model's family.",
        "Fetch the model with `transcribed models pull`, or name a complete model directory.",
    )
