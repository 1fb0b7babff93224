"""A slot of this host, and what is known of the process that sits in it.  Knows processes; nothing of what they do."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")

START_SECONDS = 300.0
NEVER = float("inf")


@dataclass(slots=True)
class WorkerSlot(Generic[Request, Answer]):
    """Without a process it is cold; with one but no pipe, the process is leaving."""

    name: str
    process: SpawnProcess | None = None
    pipe: Connection[Any, Any] | None = None
    ready: bool = False
    pending: deque[tuple[Future[Answer], Request]] = field(default_factory=deque)  # the first is being done
    heartbeat_timeout: float = START_SECONDS  # without a sign of life
    deadline: float = NEVER  # for the next one
    idle_since: float = NEVER
    kill_at: float = NEVER  # when a process that is leaving is killed
    killed: bool = False
    lost: bool = False  # it was up, and did not leave by itself
    failed_starts: int = 0
    restart_at: float = 0.0
