"""Deliver outcomes to the outbox of their inbox, and clean up sources, in threads that may block on its disk.

Knows outboxes by inbox; nothing of ledgers or of the reason for an outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from transcribed.core.types import Job, Outcome
from transcribed.output import outbox, source_actions
from transcribed.output.outbox import Outbox
from transcribed.system.striped_executor import StripedExecutor


class Delivery:
    def __init__(self, outboxes: Mapping[Path, Outbox]) -> None:
        """`outboxes` by inbox."""
        self._outboxes = outboxes
        self._writers = {inbox: StripedExecutor(f"outbox {box.folder}") for inbox, box in outboxes.items()}

    def deliver(self, outcome: Outcome) -> Future[None]:
        """Write every file of an outcome durably; `outbox.deliver` lists the errors."""
        source = outcome.job.source
        return self._writers[source.inbox].submit(source.path, outbox.deliver, outcome, self._outboxes[source.inbox])

    def remove_note(self, job: Job) -> Future[None]:
        """Remove the note on an earlier failure of a file, if there is one; `outbox.remove_note` lists the errors."""
        source = job.source
        return self._writers[source.inbox].submit(source.path, outbox.remove_note, job, self._outboxes[source.inbox])

    def clean_up(self, job: Job) -> Future[bool]:
        """Keep, move or delete the source of a finished job; keep it if its inbox is no longer configured.

        False if it must be called again later; see `source_actions.apply_action`.
        """
        source, box = job.source, self._outboxes.get(job.source.inbox)
        if box is None or box.source_action.after == "keep":
            return _nothing_to_do()
        return self._writers[source.inbox].submit(source.path, source_actions.apply_action, source, box.source_action)

    def writers(self) -> dict[Path, StripedExecutor]:
        """Return the writing threads by outbox folder, so that other work on a folder can take turns with them."""
        return {self._outboxes[inbox].folder: writer for inbox, writer in self._writers.items()}

    def stop(self) -> None:
        """Drop work that has not started.  Do not wait, because a share may hang."""
        for writer in self._writers.values():
            writer.stop()


def _nothing_to_do() -> Future[bool]:
    future: Future[bool] = Future()
    future.set_result(True)
    return future
