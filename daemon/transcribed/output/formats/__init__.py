"""Render a transcript as the text of a file; one module per format, all pure.  A format's name is the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal, cast, get_args

from transcribed.core.types import Transcript
from transcribed.output.layout import PLAIN, Style

Format = Literal["json", "html", "md", "tsv", "lrc", "srt", "vtt", "txt"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""In the order in which they are written, the text last: once it exists, so do the others."""

DEFAULT_FORMATS: tuple[Format, ...] = ("json", "srt", "vtt", "txt")


def render(transcript: Transcript, format: Format, style: Style = PLAIN) -> str:
    """Return the whole file as text."""
    module = import_module(f"transcribed.output.formats.{format}")
    return cast(Callable[[Transcript, Style], str], module.render)(transcript, style)
