"""Registry of current troubles, by name: written from any thread; read by status and alerts.

Imports nothing of ours.
"""

from __future__ import annotations

import threading

# What a name begins with, the worst first.
CONFIGURATION, TASKS, OUTBOX, TASK = KINDS = ("configuration", "tasks", "outbox", "task")


class Troubles:
    def __init__(self) -> None:
        self._sentences: dict[str, str] = {}
        self._lock = threading.Lock()

    def set(self, name: str, sentence: str | None) -> None:
        """Set the trouble of `name`, a kind and perhaps its subject; None clears it."""
        with self._lock:
            if sentence is None:
                self._sentences.pop(name, None)
            else:
                self._sentences[name] = sentence

    def get(self, name: str) -> str | None:
        return self._sentences.get(name)

    def sentences(self) -> tuple[str, ...]:
        """Return the current troubles, the worst kind first, and of a kind the oldest."""
        with self._lock:
            return tuple(self._sentences[name] for name in sorted(self._sentences, key=_rank))


def _rank(name: str) -> int:
    return KINDS.index(name.split()[0])
