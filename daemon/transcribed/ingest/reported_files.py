"""Remember which files of an inbox were reported, and recognize those that deserve to be reported once more.

Pure: knows versions, and what walks found; never looks at a disk, and knows nothing of ledgers.

A file that comes back unchanged was dropped in again.  Files also seem to come back when a share is mounted again: the
folder that holds them is another one then, so a file counts as returned only if its folder was there without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from transcribed.core.types import Source

FolderId = tuple[int, int]  # device, and inode where it means anything


class ReportedFiles:
    """The reported versions of an inbox's files, the folders of the last walk, and when files failed."""

    def __init__(self, known: Iterable[Source] = (), failed_at: Mapping[Path, float] | None = None) -> None:
        """`known` need no report; `failed_at` are those of them that failed, in seconds since the epoch."""
        self._known = {str(source.path): _fingerprint(source) for source in known}
        self._failed_at = {str(path): at for path, at in (failed_at or {}).items()}
        self._folders: Mapping[str, FolderId] = {}

    def __contains__(self, source: Source) -> bool:
        return self._known.get(str(source.path)) == _fingerprint(source)

    def add(self, source: Source) -> None:
        self._known[str(source.path)] = _fingerprint(source)

    def forget(self, path: Path) -> None:
        self._known.pop(str(path), None)

    def fail(self, path: Path, at: float) -> None:
        """Note that a reported file failed.  A change of its status that was acted on before is not news again."""
        self._failed_at[str(path)] = max(at, self._failed_at.get(str(path), at))

    def has_changed_since_failure(self, path: Path, status: os.stat_result) -> bool:
        """Return True, once, if a failed file's owner, mode or access list changed since, or it was replaced.

        That is what its time of status change tells, the only one that nobody can set.  A share's clock may be ahead
        of ours: then the file is reported once too often.
        """
        changed_at = status.st_ctime_ns / 1e9
        if changed_at <= self._failed_at.get(str(path), changed_at):
            return False
        self._failed_at[str(path)] = changed_at
        return True

    def was_listed(self, folder: str, identity: FolderId | None) -> bool:
        """Return True if the last walk saw this very folder."""
        return identity is not None and self._folders.get(folder) == identity

    def end_walk(self, seen: Set[str], folders: Mapping[str, FolderId]) -> list[Path]:
        """Forget the files that a completed walk has not seen, and remember its folders.

        Return those of the folders that had failed: now they could be read.
        """
        opened = [Path(path) for path in self._failed_at if path in folders]
        self._known = {path: version for path, version in self._known.items() if path in seen}
        self._failed_at = {path: at for path, at in self._failed_at.items() if path in seen}
        self._folders = folders
        return opened


def _fingerprint(source: Source) -> int:
    return hash((source.size, source.mtime_ns, source.inode))
