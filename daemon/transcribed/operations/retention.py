"""Which rows the ledger may forget: of jobs that ended long ago, and whose files cannot be noticed again.

A file that still lies in its inbox must be remembered for as long as it does, or it would be transcribed once more.
What an inbox that is away says proves nothing, and one that is not mounted looks empty: so it counts only where a file
has settled in it in this run, and it is still the same folder.  A share mounted deeper inside an inbox is not
told from a folder of it.

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
from transcribed.ingest.scanner import Root, root_of
from transcribed.state.queries import read_only

SLICE = 200  # rows: at most some 60 ms of the loop's time, of half a million
PAUSE_SECONDS = 0.2  # between slices, in which the loop does its work


def prune(
    ledger: Path,
    inboxes: Mapping[Path, Root],
    before: float,
    tell: Callable[[Event], None],
    pause: Callable[[float], None],
) -> None:
    """Tell which jobs need not be known any more, some at a time, of those that ended before a moment.

    `inboxes` are those in which files have settled, as they were then.  Raises Unavailable.
    """
    for inbox, root in inboxes.items():
        for job_ids in _outdated(ledger, inbox, root, before):
            tell(RowsOutdated(job_ids, before))
            pause(PAUSE_SECONDS)


def check_integrity(ledger: Path) -> None:
    """Raises Unavailable if the ledger's file is damaged."""
    with contextlib.closing(read_only(ledger)) as reader:
        if faults := reader.integrity_errors():
            raise Unavailable(f"The ledger {ledger} is damaged: {faults[0]}", _BEGIN_ANEW)


_BEGIN_ANEW = (
    "Move it away while the service is stopped: it begins anew, and from the transcripts knows what is done where"
    " `json` is among the formats."
)


def _outdated(path: Path, inbox: Path, root: Root, before: float) -> Iterator[tuple[int, ...]]:
    after_id = 0
    with contextlib.closing(read_only(path)) as reader:
        while jobs := reader.ended(inbox, before, after_id, SLICE):
            after_id = jobs[-1].id
            gone = tuple(job.id for job in jobs if is_gone(job.source))
            if root_of(inbox) != root:  # it went away, perhaps before we looked
                return
            if gone:
                yield gone


def is_gone(source: Source) -> bool:
    """Whether this version is not there any more.  An error proves nothing."""
    try:
        return not source.is_version(os.lstat(source.path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
