"""Find recordings whose result would differ now: those made with another model, language, hotwords or channels.

Reads the ledger and each recording's current options; changes nothing.
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
    there: bool  # whether the recording is still in its inbox, unchanged


def changed(
    ledger: LedgerQueries, inboxes: Mapping[Path, Inbox], defaults: Mapping[Path, InboxDefaults]
) -> Iterator[Changed]:
    """Yield finished recordings that would differ; skip those whose options cannot be read now: they would fail."""
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
    """Return whether this very version of the file is still in its inbox."""
    try:
        return job.source.is_version(job.source.path.lstat())
    except OSError:
        return False
