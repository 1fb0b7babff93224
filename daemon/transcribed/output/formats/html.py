"""Render one page to read, search and listen; it opens from the share in any browser, without a network.

The page contains the text as it is read, so it works without scripts, too; the script gets only numbers.  Everything
that comes from a recording is text to the page, never markup, and its policy lets it load only media from its own
location.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path, PurePath
from string import Template

from transcribed import __version__
from transcribed.core.types import NO_SPEECH, Source, Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.annotated_text import AnnotatedParagraph, Line, Piece, paragraphs
from transcribed.output.layout.paragraphs import began, remarks, title
from transcribed.output.layout.timeline import UNITS, Lane, lanes, ticks
from transcribed.output.layout.timestamps import brief
from transcribed.output.layout.translations import Labels, Names, labels, names, tag
from transcribed.output.transcript import language_of

UNSURE = 0.5  # a word of less confidence is marked
COLOURS = 8  # of speakers, in page.css
_VIDEO = {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogv"}
_FILES = Path(__file__).with_name("page")
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Characters not allowed in HTML (html.spec.whatwg.org, 13.2.3.5), and undecodable bytes of names."""


def render(transcript: Transcript, style: Style) -> str:
    language = language_of(transcript)
    says, called, colours = labels(language), names(language), _colours(transcript)
    read, heard = paragraphs(transcript), lanes(transcript)
    parts = {key: escape(text) for key, text in says.items()} | _fixed(says)
    parts |= _head(transcript, says, called) | _player(transcript, style.recording, says)
    parts |= _timeline(heard, transcript.preparation.audio.seconds, colours, says, called)
    parts |= {"text": _text(read, colours, called, language), "data": _numbers(read), "unsure": _unsure(read, says)}
    return _NO_TEXT.sub("\ufffd", _template().substitute(parts))


# --- parts common to all pages -----------------------------------------------------------------------


@functools.cache
def _file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


@functools.cache
def _template() -> Template:
    return Template(_file("page.html"))


def _fixed(says: Labels) -> dict[str, str]:
    css, first, page = (_file(name) for name in ("page.css", "first.js", "page.js"))
    rules = ("default-src 'none'", f"script-src {_hash(first)} {_hash(page)}", f"style-src {_hash(css)}")
    return {
        "css": css,
        "first": first,
        "page": page,
        "policy": "; ".join([*rules, "media-src 'self' file:", "base-uri 'none'", "form-action 'none'"]),
        "made": escape(says["made"].format(f"transcribed {__version__}")),
    }


def _hash(content: str) -> str:
    """Return the source expression that admits one inline element (Content Security Policy Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


# --- the head ----------------------------------------------------------------------------------------


def _head(transcript: Transcript, says: Labels, called: Names) -> dict[str, str]:
    preparation, source = transcript.preparation, transcript.job.source
    heading = title(transcript)
    heard = dict.fromkeys(u.hypothesis.language for u in transcript.utterances if u.hypothesis.text)
    languages = ", ".join(called(language) for language in heard if language and language != NO_SPEECH)
    facts = {"date": _moment(began(transcript) or _written(source)), "duration": brief(preparation.audio.seconds)}
    facts |= {"languages": escape(languages), "model": escape(transcript.preparation.requested.options.model)}
    details = [(says["file"], source.name), (says["media"], preparation.media)]
    details += [(says["credit"], preparation.requested.model.credit)] if preparation.requested.model.credit else []
    return {
        "title": escape(says["title"].format(heading)),
        "heading": escape(heading),
        "spoken": tag(language_of(transcript)),
        "duration": facts["duration"],
        "seconds": _plain(preparation.audio.seconds),
        "facts": "".join(
            f'<dt>{escape(says[key])}</dt><dd dir="auto">{value}</dd>' for key, value in facts.items() if value
        ),
        "details": "".join(
            f'<dt dir="auto">{escape(key)}</dt><dd dir="auto">{escape(value)}</dd>'
            for key, value in (*details, *preparation.name_fields, *preparation.tags)
        ),
        "remarks": "".join(f"<p>{escape(remark)}</p>" for remark in remarks(transcript, says["nothing"])),
    }


def _written(source: Source) -> datetime:
    """Return the file's modification time; the epoch if that is out of range."""
    try:
        return datetime.fromtimestamp(source.mtime_ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _moment(moment: datetime) -> str:
    """Format a moment; if it has a time zone, readers see it in their own."""
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M}{zone}</time>'


def _player(transcript: Transcript, recording: str | None, says: Labels) -> dict[str, str]:
    if recording is None:
        return {"state": "", "media_element": f"<p>{escape(says['gone'])}</p>", "mute": ""}
    href = escape(recording if recording.startswith(("./", "../")) else f"./{recording}")  # so that it has no scheme
    suffix = PurePath(transcript.job.source.path.name).suffix
    mute = escape(says["mute"].format(suffix[1:] or transcript.preparation.media))
    kind = "video" if suffix.lower() in _VIDEO else "audio"
    return {
        "state": "heard",
        "media_element": f'<{kind} id="media" src="{href}" preload="metadata" controls></{kind}>',
        "mute": f'<p id="mute" hidden>{mute} <a href="{href}">{escape(says["open"])}</a></p>',
    }


# --- the timeline ------------------------------------------------------------------------------------


def _colours(transcript: Transcript) -> dict[str | None, str]:
    speakers = (*transcript.preparation.speakers, *(u.speaker for u in transcript.utterances if u.speaker is not None))
    return {speaker: f"s{n % COLOURS}" for n, speaker in enumerate(dict.fromkeys(speakers))}


def _timeline(
    found: Sequence[Lane], seconds: float, colours: Mapping[str | None, str], says: Labels, called: Names
) -> dict[str, str]:
    kinds = [colours.get(lane.name, "s0") if lane.kind == "speech" else lane.kind for lane in found]
    shown = [_lane(lane, kind, _name(lane, says, called)) for lane, kind in zip(found, kinds, strict=True)]
    speech = [_path(lane, kind) for lane, kind in zip(found, kinds, strict=True) if lane.kind == "speech"]
    return {"lanes": "\n".join(shown), "coverage": "".join(speech), "ticks": _ticks(seconds) if found else ""}


def _name(lane: Lane, says: Labels, called: Names) -> str:
    if lane.name is None:
        return says["speech"]
    return lane.name if lane.kind == "speech" else called(lane.name)


def _lane(lane: Lane, kind: str, name: str) -> str:
    label = f'<div class="label {kind}"><bdi>{escape(name)}</bdi> <small>{brief(lane.seconds)}</small></div>'
    return f'{label}<svg class="lane" viewBox="0 0 {UNITS} 10" preserveAspectRatio="none">{_path(lane, kind)}</svg>'


def _path(lane: Lane, kind: str) -> str:
    return f'<path class="{kind}" d="{"".join(f"M{start} 5h{length}" for start, length in lane.stretches)}"/>'


def _ticks(seconds: float) -> str:
    return "".join(f'<text x="{100 * at / (seconds or 1):.2f}%">{brief(at)}</text>' for at in ticks(seconds))


# --- the text ----------------------------------------------------------------------------------------


def _unsure(found: Sequence[AnnotatedParagraph], says: Labels) -> str:
    count = sum(piece.confidence < UNSURE for part in found for line in part.lines for piece in line.pieces)
    box = f'<label id="unsure"><input type="checkbox" checked> {escape(says["unsure"].format(count))}</label>'
    return box if count else ""


def _text(
    found: Sequence[AnnotatedParagraph], colours: Mapping[str | None, str], called: Names, language: str | None
) -> str:
    """Return a section per paragraph; all but its first child is text of the recording."""
    taken: set[str] = set()
    sections = []
    for paragraph in found:
        at = _plain(paragraph.start)
        anchor = "" if at in taken else f' id="t={at}"'  # two speakers may begin at once
        taken.add(at)
        who = f"<b><bdi>{escape(paragraph.speaker or '')}</bdi></b>" if paragraph.takes_turn else ""
        lines = "".join(_line(line, called, language) for line in paragraph.lines)
        head = f'<header><a href="#t={at}">{brief(paragraph.start)}</a>{who}</header>'
        colour = f' class="{colours[paragraph.speaker]}"' if paragraph.speaker is not None else ""
        sections.append(f'<section{colour}{anchor}>{head}<p dir="auto">{lines}</p></section>')
    return "\n".join(sections)


def _line(line: Line, called: Names, language: str | None) -> str:
    marks = [("emotion", line.emotion)] if line.emotion else []
    marks += [("event", event) for event in line.events]
    shown = "".join(f'<small class="{kind}">[{escape(called(name))}]</small> ' for kind, name in marks)
    words = "".join(map(_word, line.pieces))
    other = tag(line.language) if line.language != language else ""
    return line.space + shown + (f'<span lang="{other}">{words}</span>' if other else words)


def _word(piece: Piece) -> str:
    mark = " class=l" if piece.confidence < UNSURE else ""
    return f"<a{mark}>{escape(piece.text)}</a>{escape(piece.after)}"


def _numbers(found: Sequence[AnnotatedParagraph]) -> str:
    """Return the script's data: the number of words per paragraph, and steps between word starts in 1/100 s."""
    words = [[piece for line in paragraph.lines for piece in line.pieces] for paragraph in found]
    starts = [0, *(round(100 * piece.start) for part in words for piece in part)]
    numbers = {"counts": [len(part) for part in words], "steps": [b - a for a, b in pairwise(starts)]}
    return json.dumps(numbers, separators=(",", ":"))


def _plain(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")
