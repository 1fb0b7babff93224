"""Render Markdown for note-taking programs (Obsidian, Logseq): YAML front matter about the recording, then paragraphs.

No speech and no name is interpreted as structure, neither by CommonMark nor by GitHub's and Obsidian's extensions.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import PurePath

import yaml

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.paragraphs import Paragraph, began, paragraphs, remarks, speakers, title
from transcribed.output.layout.text_metrics import one_line
from transcribed.output.layout.timestamps import clock
from transcribed.output.transcript import language_of

_STRUCTURE = re.compile(r"[\\`*_{}\[\]#|~$=^]|(?<=%)%|(?<=:):|(?<=:)/(?=/)|(?<=\bwww)\.|^[-+:]", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"^(\d+)([.)])")


def render(transcript: Transcript, style: Style) -> str:
    front = yaml.safe_dump(_front(transcript), allow_unicode=True, sort_keys=False, width=10_000)
    blocks = [f"> {_plain(remark)}" for remark in remarks(transcript)]
    blocks += [_block(paragraph, style) for paragraph in paragraphs(transcript)]
    return "\n\n".join([f"---\n{front}---", *blocks]) + "\n"


def _front(transcript: Transcript) -> dict[str, str | bool | list[str]]:
    """Return the front matter as strings and lists of strings; readers recognize dates and lengths by their form."""
    preparation = transcript.preparation
    moment = began(transcript)
    front = {
        "title": title(transcript),
        "date": moment.isoformat(timespec="seconds") if moment else None,
        "duration": clock(preparation.audio.seconds),
        "language": language_of(transcript),
        "speakers": speakers(transcript),
        "source": one_line(transcript.job.source.name),
        "model": one_line(PurePath(transcript.preparation.requested.options.model).name),
        "model_credit": one_line(preparation.requested.model.credit),
        "partial": preparation.damage is not None,
        "remarks": remarks(transcript),
    }
    return {key: value for key, value in front.items() if value}


def _block(paragraph: Paragraph, style: Style) -> str:
    time = f"[{clock(paragraph.start)}] " if style.time_marks else ""
    name = f"**{_plain(paragraph.speaker + ':')}** " if paragraph.speaker else ""
    return f"{time}{name}{_plain(paragraph.text)}"


def _plain(text: str) -> str:
    """Escape text for any place in a paragraph; `<` and `&` as HTML entities, which every dialect supports."""
    text = escape(_STRUCTURE.sub(r"\\\g<0>", text), quote=False)
    return _LIST_NUMBER.sub(r"\1\\\2", text)
