"""Registry of current troubles, by name: written from any thread; read by status and alerts.

Imports nothing of ours.
"""

from __future__ import annotations

import threading

CONFIGURATION = "configuration"  # a new configuration was rejected


class Troubles:
    def __init__(self) -> None:
        self._sentences: dict[str, str] = {}
        self._lock = threading.Lock()

    def set(self, name: str, sentence: str | None) -> None:
        """Set the trouble of `name`; None clears it."""
        with self._lock:
            if sentence is None:
                self._sentences.pop(name, None)
            else:
                self._sentences[name] = sentence

    def get(self, name: str) -> str | None:
        return self._sentences.get(name)

    def sentences(self) -> tuple[str, ...]:
        """Return the current troubles, the oldest first."""
        with self._lock:
            return tuple(self._sentences.values())
