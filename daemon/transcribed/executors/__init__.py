"""Where work runs.  An executor owns slots; a slot does one thing at a time.

Jobs are prepared by one executor, batches recognized by another; the pipeline pulls both downhill in the same way:
ask which slots are idle, give each something to do.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

Request = TypeVar("Request", contravariant=True)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Slot:
    id: str


class Executor(Protocol[Request, Answer]):
    def start(self) -> None: ...

    def idle(self) -> list[Slot]:
        """The slots that could take something now."""
        ...

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        """Do it.  Fails with WorkerLost, OutOfMemory, or whatever the work itself raised."""
        ...

    def stop(self, grace: float) -> None:
        """End every process, at the latest after `grace` seconds."""
        ...
