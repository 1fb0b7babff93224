"""Define what the loop needs to know about the inboxes.  The daemon's package implements it from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from transcribed.core.types import Source


class Inboxes(Protocol):
    @property
    def priorities(self) -> Mapping[Path, int]:
        """Priority by inbox, for every inbox."""
        ...

    def output_name(self, source: Source) -> str:
        """Return the name of the file's transcripts in the outbox, without the suffix of a format."""
        ...

    def grace_seconds(self, source: Source) -> float:
        """Return for how many seconds after it was noticed an unreadable file may still be growing."""
        ...

    def note_failure(self, source: Source, at: float) -> None:
        """Ask for a retry once the rights of a file change, or it is replaced; it failed `at`, a Unix time."""
        ...

    def forget(self, source: Source) -> None:
        """Notice a withdrawn version again if it comes back."""
        ...
