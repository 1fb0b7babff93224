"""Find and remove abandoned temporary files, recognized by their owner and by how long they have not changed.

The owner is in the name.  The time is measured on our own monotonic clock, between two looks: a share's clock may be
hours off, and the system's may jump.  Knows names and folders; nothing of the content.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

TEMPORARY = ".transcribed-"  # hidden, and distinct from other programs' hidden files
UNCHANGED_SECONDS = 3600.0
LOOKED_AT = 1000  # entries of a folder per slice

FileState = tuple[int, int]  # size, and time of change in nanoseconds


@dataclass(frozen=True, slots=True)
class TempFileOwner:
    """Owner of a temporary file: its state directory, which only one process uses at a time, and that process."""

    owner: str = "00000000"
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def name(self) -> str:
        """Return a new name for a temporary file."""
        return f"{TEMPORARY}{self.owner}-{self.run}-{secrets.token_hex(6)}"


UNOWNED = TempFileOwner()


class StaleTempFiles:
    """Selection of the removable temporary files of one folder.  Remembers what it saw; the clock is passed in.

    Our own temporary files stay, those of our predecessor go at once, and those of others - another daemon may write
    to the same share - once they have not changed for an hour.
    """

    def __init__(self, owner: TempFileOwner | None = None, prefix: str = TEMPORARY) -> None:
        """Watch for a prefix; without an owner, every file with it belongs to somebody else."""
        self.prefix = prefix
        self._live = f"{TEMPORARY}{owner.owner}-{owner.run}-" if owner else None
        self._dead = f"{TEMPORARY}{owner.owner}-" if owner else None
        self._seen: dict[str, tuple[FileState, float]] = {}  # by path, as of the last look: its state, and since when

    def select(self, found: Mapping[str, FileState], now: float) -> list[str]:
        """Return the paths of the abandoned files among those found; `now` is monotonic."""
        left = []
        seen: dict[str, tuple[FileState, float]] = {}
        for path, look in found.items():
            name = PurePath(path).name
            if self._live and name.startswith(self._live):
                continue
            before = self._seen.get(path)
            seen[path] = before if before and before[0] == look else (look, now)
            if (self._dead and name.startswith(self._dead)) or now - seen[path][1] >= UNCHANGED_SECONDS:
                left.append(path)
        self._seen = seen
        return left


def sweep_in_slices(folder: Path, leftovers: StaleTempFiles, now: float) -> Iterator[int]:
    """Remove the abandoned files below a folder; yield 0 after each slice, so that others get their turn, and at the
    end the number removed.

    Raises OSError if the folder cannot be read; what cannot be read or removed below it is left for the next time.
    """
    found: dict[str, FileState] = {}
    for number, entry in enumerate(files_below(folder), 1):
        if entry.name.startswith(leftovers.prefix):
            with contextlib.suppress(OSError):
                found[entry.path] = _file_state(entry.stat(follow_symlinks=False))
        if number % LOOKED_AT == 0:
            yield 0
    removed = 0
    for path in leftovers.select(found, now):
        with contextlib.suppress(OSError):
            if _file_state(os.lstat(path)) == found[path]:
                os.unlink(path)
                removed += 1
    yield removed


def sweep(folder: Path, leftovers: StaleTempFiles, now: float) -> int:
    """Do the same in one go; return how many files were removed.  Raises OSError as `sweep_in_slices` does."""
    return sum(sweep_in_slices(folder, leftovers, now))


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every entry below a folder, however deep, that is not a folder itself; no link is followed.

    Raises OSError if the folder itself cannot be read; those below it that cannot are skipped.
    """
    places = [os.fspath(folder)]
    while places:
        place = places.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        places.append(entry.path)
                    else:
                        yield entry
        except OSError:
            if place == os.fspath(folder):
                raise


def _file_state(status: os.stat_result) -> FileState:
    return status.st_size, status.st_mtime_ns
