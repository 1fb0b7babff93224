"""Select the ledger rows that may be pruned: old finished jobs whose files are no longer in the inbox.

A file that is still in its inbox must stay in the ledger, or it would be transcribed again.  An unreachable inbox
proves nothing, and an unmounted one looks empty: so an inbox counts only if a file has settled in it in this run and it
is still the same folder.  A share mounted deeper inside an inbox is not distinguished from an ordinary folder.

Reads the ledger through a connection of its own, in any thread; deletes nothing itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from transcribed.core.errors import Unavailable
from transcribed.core.events import Event, RowsOutdated
from transcribed.core.types import Source
from transcribed.state.queries import read_only
from transcribed.system.filesystems import FileId, identity_of

SLICE = 200  # rows: at most some 60 ms of the loop's time in a ledger of half a million
PAUSE_SECONDS = 0.2  # between slices, so that the loop can do its work


def prune(
    ledger: Path,
    inboxes: Mapping[Path, FileId],
    before: float,
    tell: Callable[[Event], None],
    pause: Callable[[float], None],
) -> None:
    """Report the jobs that ended earlier than `before` and may be forgotten, a slice at a time.

    `inboxes` are those in which files have settled, with their roots at that time.  Raises Unavailable.
    """
    for inbox, root in inboxes.items():
        for job_ids in _outdated(ledger, inbox, root, before):
            tell(RowsOutdated(job_ids, before))
            pause(PAUSE_SECONDS)


def check_integrity(ledger: Path) -> None:
    """Raise Unavailable if the ledger's file is damaged."""
    with contextlib.closing(read_only(ledger)) as reader:
        if faults := reader.integrity_errors():
            raise Unavailable(f"The ledger {ledger} is damaged: {faults[0]}", _BEGIN_ANEW)


_BEGIN_ANEW = (
    "Stop the service, move the file away and start again.  A new ledger is rebuilt from the transcripts where `json`"
    " is among the formats."
)


def _outdated(path: Path, inbox: Path, root: FileId, before: float) -> Iterator[tuple[int, ...]]:
    after_id = 0
    with contextlib.closing(read_only(path)) as reader:
        while jobs := reader.ended(inbox, before, after_id, SLICE):
            after_id = jobs[-1].id
            gone = tuple(job.id for job in jobs if is_gone(job.source))
            if identity_of(inbox) != root:  # the inbox went away, perhaps before we looked
                return
            if gone:
                yield gone


def is_gone(source: Source) -> bool:
    """Return True if this version is no longer there.  An error proves nothing: False."""
    try:
        return not source.is_version(os.lstat(source.path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
