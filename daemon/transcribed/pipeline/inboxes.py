"""Say what the loop must know of the inboxes.  It knows no configuration: the daemon's package answers it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from transcribed.core.types import Source


class Inboxes(Protocol):
    @property
    def priorities(self) -> Mapping[Path, int]:
        """Every inbox with its priority."""
        ...

    def output_name(self, source: Source) -> str:
        """Return what its transcripts are called in the outbox, without the suffix of a format."""
        ...

    def grace_seconds(self, source: Source) -> float:
        """Return how long after it was noticed an unreadable file may still be growing."""
        ...

    def forget(self, source: Source) -> None:
        """Have a withdrawn version noticed again, should it come back."""
        ...
