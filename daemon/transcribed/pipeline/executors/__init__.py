"""Where work runs.  An executor owns slots; a slot does one thing at a time, in order.

Jobs are prepared by one executor, batches recognized by another, cards measured by a third; the pipeline pulls all of
them downhill in the same way: ask which slots are idle, give each something to do.
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
    warm: bool = True  # a worker is up; without one, the first request brings it up
    load: int = 0  # requests in hand


class Executor(Protocol[Request, Answer]):
    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def is_alive(self) -> bool:
        """Whether it attends to its slots still."""
        ...

    def idle(self) -> list[Slot]:
        """The slots that could take something now."""
        ...

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        """Do it.  Fails with Unavailable where it was not begun, WorkerLost, or whatever the work itself raised."""
        ...

    def processes(self) -> list[int]:
        """The ids of the processes that sit in slots now."""
        ...

    def stop(self, grace: float) -> None:
        """End every process, at the latest after `grace` seconds."""
        ...
