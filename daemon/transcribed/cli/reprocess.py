"""Which recordings would be transcribed otherwise now: with another model, language, hotwords or channels than then.

Reads the ledger, and what is asked for each recording now; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import TranscribedError
from transcribed.core.provenance import differences, made_with
from transcribed.core.types import Job
from transcribed.ingest.preparation import overrides
from transcribed.state.queries import LedgerQueries


@dataclass(frozen=True, slots=True)
class Changed:
    path: Path
    differences: tuple[str, ...]  # as people call them: "hotwords", "model files"
    there: bool  # whether the recording still lies in its inbox, as it was


def changed(
    ledger: LedgerQueries, inboxes: Mapping[Path, Inbox], defaults: Mapping[Path, InboxDefaults]
) -> Iterator[Changed]:
    """Of all that are done; those whose wishes cannot be read now are passed over: they would fail."""
    for job, then in ledger.with_provenance():
        inbox = inboxes.get(job.source.inbox)
        if inbox is None:
            continue
        try:
            now = made_with(overrides.resolve_options(job.source, defaults[inbox.path]))
        except TranscribedError:
            continue
        if found := differences(then, now):
            yield Changed(job.source.path, tuple(found), is_there(job))


def is_there(job: Job) -> bool:
    """Whether the very version of the file lies in its inbox."""
    try:
        return job.source.is_version(job.source.path.lstat())
    except OSError:
        return False
