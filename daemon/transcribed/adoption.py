"""A ledger that was lost is made anew from the transcripts, each of which says what it was made from.

So nothing is transcribed twice.  Only where `json` is among the formats.  Knows outboxes and what is in them; the
ledger takes what is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from transcribed import outbox, systemd
from transcribed.core import Source
from transcribed.formats.json import read_source

AT_ONCE = 1000
EXTENSION_USEC = 120_000_000


def transcribed(boxes: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Source, str]]:
    """Sources and the names of their transcripts, of inboxes with their outboxes; may take minutes."""
    for count, found in enumerate(_found(boxes)):
        if count % AT_ONCE == 0:
            systemd.notify(EXTEND_TIMEOUT_USEC=EXTENSION_USEC, STATUS=f"{count} transcripts read for a new ledger")
        yield found


def _found(boxes: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Source, str]]:
    for inbox, box in boxes:
        for output, text in outbox.transcripts(box) if os.path.isdir(box) else ():
            source = read_source(text)
            if source and source.inbox == inbox:
                yield source, output
