"""Hold one runtime per inbox - its settings, its watcher, its outbox - and look up what the loop needs from them.

Built by factories.py from the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from transcribed.config.inbox import Inbox, WatchPlan
from transcribed.core.types import Source
from transcribed.ingest.watcher import InboxWatcher
from transcribed.output.outbox import Outbox

GRACE_WINDOWS = 10  # an unreadable file may still be growing for so many quiet windows


@dataclass(frozen=True, slots=True)
class InboxRuntime:
    settings: Inbox
    plan: WatchPlan
    watcher: InboxWatcher
    outbox: Outbox


class ConfiguredInboxes:
    """Implements `pipeline.inboxes.Inboxes`."""

    def __init__(self, runtimes: Mapping[Path, InboxRuntime]) -> None:
        self._runtimes = runtimes
        self.priorities = {path: runtime.settings.rank for path, runtime in runtimes.items()}

    def output_name(self, source: Source) -> str:
        return self._runtimes[source.inbox].settings.output_name(source)

    def grace_seconds(self, source: Source) -> float:
        return GRACE_WINDOWS * self._runtimes[source.inbox].plan.quiet_seconds

    def note_failure(self, source: Source, at: float) -> None:
        self._runtimes[source.inbox].watcher.note_failure(source.path, at)

    def forget(self, source: Source) -> None:
        self._runtimes[source.inbox].watcher.forget(source.path)
