"""Define the interface of an executor: the owner of slots in which work runs, one request at a time, in order.

One executor prepares jobs, another recognizes batches, a third measures cards.  The pipeline drives all of them in the
same way: list the idle slots, submit a request to each.
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
    warm: bool = True  # a worker is running; if not, the first request starts one
    load: int = 0  # requests in progress


class Executor(Protocol[Request, Answer]):
    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def is_alive(self) -> bool:
        """Return whether the executor still supervises its slots."""
        ...

    def idle(self) -> list[Slot]:
        """Return the slots that can accept a request now."""
        ...

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        """Run a request in a slot.

        The future fails with Unavailable if the request was not started, with WorkerLost if its worker died or hung,
        or with the error that the work itself raised.
        """
        ...

    def processes(self) -> list[int]:
        """Return the ids of the processes that occupy slots now."""
        ...

    def stop(self, grace: float) -> None:
        """Stop every process, by force after `grace` seconds."""
        ...
