"""Run writes to one outbox in several threads, since each waits for its disk.  Knows nothing of what they write."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 8


class StripedExecutor:
    """Thread pool that runs all calls for a file in the same thread, so that its versions stay in order."""

    def __init__(self, name: str, count: int = THREADS) -> None:
        self._threads = [ThreadPoolExecutor(1, f"{name} {n}") for n in range(count)]

    def submit(self, file: Path, act: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._threads[hash(file) % len(self._threads)].submit(act, *args)

    def stop(self) -> None:
        for thread in self._threads:
            thread.shutdown(wait=False, cancel_futures=True)
