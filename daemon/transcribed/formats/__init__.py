"""Transcript -> the text of a file; one module per format, all pure.  The format's name is the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal, cast, get_args

from transcribed.core import Transcript

Format = Literal["json", "srt", "vtt", "txt"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""In the order in which they are written: whoever waits for the text finds the others there."""


def render(transcript: Transcript, format: Format) -> str:
    """The whole file as text."""
    module = import_module(f"transcribed.formats.{format}")
    return cast(Callable[[Transcript], str], module.render)(transcript)
