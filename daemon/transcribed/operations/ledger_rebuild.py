"""Rebuild a lost ledger from the transcripts, each of which names its source.

So nothing is transcribed twice.  Works only where `json` is among the formats.  Knows outboxes and their transcripts;
the ledger imports the result.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from transcribed.core.types import Source
from transcribed.output import outbox
from transcribed.output.formats.json import read_source
from transcribed.system import sd_notify
from transcribed.system.timeout import call_with_timeout

NOTIFY_SECONDS = 5.0
EXTENSION_USEC = 120_000_000
ANSWER_SECONDS = 5.0

log = structlog.get_logger("transcribed")


def find_transcribed(boxes: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Source, str]]:
    """Yield the sources that have transcripts, with the transcripts' names; may take minutes.

    `boxes` are pairs of inbox and outbox.
    """
    notified_at = -math.inf
    for count, (source, output) in enumerate(_read(boxes)):
        if time.monotonic() - notified_at >= NOTIFY_SECONDS:  # however many of them are not ours
            notified_at = time.monotonic()
            sd_notify.notify(EXTEND_TIMEOUT_USEC=EXTENSION_USEC, STATUS=f"rebuilding the ledger: {count} files read")
        if source:
            yield source, output


def _read(boxes: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Source | None, str]]:
    for inbox, box in boxes:
        for output, data in outbox.transcripts(box) if _is_there(box) else ():
            source = read_source(data)
            yield (source if source and source.inbox == inbox else None), output


def _is_there(box: Path) -> bool:
    """Return True if the outbox answers.  The transcripts of one that hangs are made again: better than to wait for
    ever.
    """
    try:
        return call_with_timeout(ANSWER_SECONDS, lambda: os.path.isdir(box))
    except TimeoutError:
        log.warning("outbox does not answer; its transcripts are not read", outbox=str(box))
        return False
