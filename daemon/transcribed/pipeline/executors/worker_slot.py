"""Hold the state of a slot on this host and of the process in it.  Knows processes; nothing of their work."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from transcribed.core.errors import SlowStart, WorkerLost

Request = TypeVar("Request")
Answer = TypeVar("Answer")

START_SECONDS = 300.0  # for each step of a start: seven minutes in all have been observed, from a cold disk
NEVER = float("inf")


@dataclass(slots=True)
class WorkerSlot(Generic[Request, Answer]):
    """A slot and its process.  Without a process it is cold; with a process but no pipe, the process is exiting."""

    name: str
    process: SpawnProcess | None = None
    pipe: Connection[Any, Any] | None = None
    ready: bool = False
    pending: deque[tuple[Future[Answer], Request]] = field(default_factory=deque)  # the first is running
    heartbeat_timeout: float = START_SECONDS  # seconds without a heartbeat
    deadline: float = NEVER  # for the next heartbeat
    idle_since: float = NEVER
    kill_at: float = NEVER  # when a process that is exiting is killed
    killed: bool = False
    lost: bool = False  # the worker was running, and did not exit by itself
    failed_starts: int = 0
    restart_at: float = 0.0

    def overdue(self) -> WorkerLost | SlowStart:
        """Return the error of a process whose deadline has passed."""
        seconds = f"{self.heartbeat_timeout:.0f} s"
        if self.ready:
            return WorkerLost(f"{self.name} sent no heartbeat for {seconds}.")
        return SlowStart(f"{self.name} made no progress for {seconds} while it started: this machine is very busy.")
