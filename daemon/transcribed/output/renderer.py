"""Render an outcome as files: their names and contents.  Pure; knows no folders."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from transcribed.core.text import printable
from transcribed.core.types import Failure, Outcome, Transcript
from transcribed.output.formats import DEFAULT_FORMATS, FORMATS, Format, render
from transcribed.output.layout import PLAIN, Style
from transcribed.output.transcript import language_of

OutputNames = Literal["full", "stem", "media"]

NOTE = "error.txt"
LONGEST_SUFFIX = "zh.sdh.html"
MAX_NAME_BYTES = 255
BOM = "\ufeff"
_FOR_EDITORS = ("txt", "srt", "tsv", "lrc")
SUBTITLES = ("srt", "vtt")
UNTOLD = "und"  # undetermined language (ISO 639-2)


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """An inbox's settings for its transcripts: formats, names and style."""

    formats: Sequence[Format] = DEFAULT_FORMATS
    style: Style = PLAIN
    names: OutputNames = "full"  # of subtitles: "media" adds the language, as media players expect
    bom: bool = False


DEFAULT_SETTINGS = OutputSettings()


def render_files(outcome: Outcome, settings: OutputSettings, recording: str | None = None) -> list[tuple[str, bytes]]:
    """Return suffix and content of every file.  `recording` is its URL relative to them.

    Undecodable bytes in names are written as escapes.
    """
    texts = _texts(outcome, settings, recording) if isinstance(outcome, Transcript) else [(NOTE, failure_note(outcome))]
    return [(suffix, text.encode("utf-8", "backslashreplace")) for suffix, text in texts]


def _texts(transcript: Transcript, settings: OutputSettings, recording: str | None) -> list[tuple[str, str]]:
    style = replace(settings.style, recording=recording)
    return [
        (_suffix(transcript, format, settings), f"{_mark(format, settings)}{render(transcript, format, style)}")
        for format in _formats(transcript, settings)
    ]


def _formats(transcript: Transcript, settings: OutputSettings) -> list[Format]:
    wanted = transcript.preparation.requested.formats or settings.formats
    return [format for format in FORMATS if format in wanted]


def _mark(format: Format, settings: OutputSettings) -> str:
    return BOM if settings.bom and format in _FOR_EDITORS else ""


def _suffix(transcript: Transcript, format: Format, settings: OutputSettings) -> str:
    return suffix_of(format, language_of(transcript) or UNTOLD, settings)


def suffix_of(format: Format, language: str, settings: OutputSettings) -> str:
    """Return the suffix: `srt`; for media players `en.srt`, or `en.sdh.srt` (Jellyfin's and Kodi's flags)."""
    if format not in SUBTITLES or settings.names != "media":
        return format
    return f"{language}.sdh.{format}" if settings.style.sdh else f"{language}.{format}"


def failure_note(failure: Failure) -> str:
    """Return the note that people get instead of a transcript."""
    source = failure.job.source
    lines = [f"{printable(source.name)} could not be transcribed.", "", failure.reason]
    lines += [failure.hint] if failure.hint else []
    lines += ["", "An older transcript beside this note belongs to an earlier version of the file."]
    lines += ["The recording itself is unchanged.  To retry, drop it into the folder again, or run:"]
    return "\n".join([*lines, f"    transcribed retry {_shell_word(str(source.path))}", ""])


def file_name(output: str, suffix: str) -> str:
    """Return `output.suffix`; a name too long for a file system is cut between characters and gets a hash."""
    folder, name = os.path.split(output)
    # with the longest suffix, so that all files of a recording share their stem
    room = MAX_NAME_BYTES - len(LONGEST_SUFFIX) - 1
    if len(os.fsencode(name)) > room:
        tail = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
        name = os.fsencode(name)[: room - len(tail)].decode("utf-8", "ignore") + tail
    return os.path.join(folder, f"{name}.{suffix}")


def _shell_word(path: str) -> str:
    """Quote a path for a shell, without characters that a terminal would interpret (bash, ANSI-C quoting)."""
    if path.isprintable():
        return shlex.quote(path)
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in "'\\" else f"\\x{b:02x}" for b in os.fsencode(path))
    return f"$'{''.join(plain)}'"
