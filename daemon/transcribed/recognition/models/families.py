"""Which families of models there are, and of which one a directory is.

Knows the first lines of config.yaml and the names of tokens; nothing of networks, so that the daemon may ask.
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
"""Those that can be told what to expect."""

_MODEL = re.compile(r"""^model:\s*["']?([\w.-]+)""", re.MULTILINE)
_HAN = re.compile(f"[{HAN}]")


def of_recognizer(directory: Path) -> str:
    """The name that `model` has in its config.yaml.  Raises Misconfigured unless it recognizes speech."""
    return _one_of(directory, (*SENSEVOICE, *PARAFORMER), "recognizes no speech that is known here")


def of_punctuation(directory: Path) -> str:
    """As `of_recognizer`.  Raises Misconfigured unless it puts marks into texts."""
    return _one_of(directory, PUNCTUATION, "puts no marks into texts")


def language_of(directory: Path) -> str:
    """Of a phrase that a recognizer must understand: "zh" where it writes Chinese only, else "en"."""
    tokens = directory / "tokens.json"
    chinese = tokens.is_file() and bool(_HAN.search(tokens.read_text("utf-8")))
    return "zh" if chinese and of_recognizer(directory) in PARAFORMER else "en"


def _one_of(directory: Path, known: tuple[str, ...], otherwise: str) -> str:
    family = _family_of(directory)
    if family in known:
        return family
    raise Misconfigured(
        f"The model in {directory} {otherwise}: it is a {family}.", f"Use one of these families: {', '.join(known)}."
    )


def _family_of(directory: Path) -> str:
    config = directory / "config.yaml"
    if config.is_file() and (said := _MODEL.search(config.read_text("utf-8", "replace"))):
        return said[1]
    raise Misconfigured(
        f"The model directory {directory} has no config.yaml that tells what it is.",
        "Fetch the model with `transcribed models pull`, or name a whole model directory.",
    )
