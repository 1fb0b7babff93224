"""Save the recognized segments of a long recording in the spool, so that an interruption costs no hours of work.

A line per segment is appended as its result arrives, and read when the same content is prepared again with the same
options.  Lines that are damaged, cut short or of other segments are skipped: those segments are recognized again.  Not
synced: a power cut may lose some lines.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from transcribed.core.provenance import key
from transcribed.core.types import Hypothesis, Preparation, Segment
from transcribed.system import documents

LONG_SECONDS = 600.0  # of audio; shorter recordings are recognized again sooner than tracked
KEPT_SECONDS = 7 * 86_400.0
_SUFFIX = ".heard"


class _Line(NamedTuple):
    channel: int
    start: int  # sample
    stop: int  # sample, exclusive
    answer: Hypothesis


def append(folder: Path, preparation: Preparation, answers: Iterable[tuple[Segment, Hypothesis]]) -> None:
    """Save some results if the recording is long.  On a full disk they are lost, which costs only time."""
    if preparation.audio.seconds < LONG_SECONDS:
        return
    lines = "".join(f"{json.dumps([*_place(segment), asdict(answer)])}\n" for segment, answer in answers)
    with contextlib.suppress(OSError), _path(folder, preparation).open("a") as file:
        file.write(lines)


def known(folder: Path, preparation: Preparation) -> dict[int, Hypothesis]:
    """Return the saved results, by the index of their segment in this preparation."""
    try:
        text = _path(folder, preparation).read_text(errors="replace")
    except OSError:
        return {}
    kept = dict(_answers(text))
    found = ((segment, kept.get(_place(segment))) for segment in preparation.segments)
    return {segment.index: answer for segment, answer in found if answer and _fits(answer, segment)}


def drop(folder: Path, preparation: Preparation) -> None:
    with contextlib.suppress(OSError):
        _path(folder, preparation).unlink()


def sweep(folder: Path) -> None:
    """Remove checkpoints that have not changed for KEPT_SECONDS."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"*{_SUFFIX}"):
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                path.unlink()


def _path(folder: Path, preparation: Preparation) -> Path:
    return folder / f"{preparation.sha256[:32]}-{key(preparation.requested)}{_SUFFIX}"


def _place(segment: Segment) -> tuple[int, int, int]:
    return segment.channel, segment.start, segment.stop


def _answers(text: str) -> Iterator[tuple[tuple[int, int, int], Hypothesis]]:
    for line in text.splitlines():
        if found := documents.parse(line, _Line):
            yield (found.channel, found.start, found.stop), found.answer


def _fits(answer: Hypothesis, segment: Segment) -> bool:
    """Return True if every word lies within the segment, give or take a second."""
    return all(0 <= word.start <= word.stop <= segment.seconds + 1 for word in answer.words)
