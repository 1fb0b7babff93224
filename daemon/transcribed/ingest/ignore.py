"""Names that are never recordings: half-written, hidden, or litter of the software that shares folders.

Knows names only; never looks at a file.  Sources of the patterns: rsync(1), Syncthing lib/fs/tempname.go, rclone
fs/operations, WinSCP, lftp, Pure-FTPd, ProFTPD HiddenStores, browsers, Synology, QNAP, Samba, NFS, Windows, macOS.
`*.sync-conflict-*` is a whole file and is not ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

from transcribed.core.types import HOTWORDS, SIDECAR

HIDDEN = ".*"
NAMES = (
    HIDDEN,
    "~syncthing~*",
    "~$*",
    "*~",
    "*.partial",
    "*.filepart",
    "*.part",
    "*.crdownload",
    "*.download",
    "*.tmp",
    "*.temp",
    "*.aria2",
    "*.lftp-pget-status",
    "*.!ut",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "*:zone.identifier",
    f"*{SIDECAR}",
    HOTWORDS,
    "*.lnk",
)
FOLDERS = (
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recycle",
    "@recently-snapshot",
    "@__thumb",
    "lost+found",
    "__macosx",
    "system volume information",
    "$recycle.bin",
    "recycler",
)


def is_ignored(name: str, extra: Sequence[str] = ()) -> str | None:
    """Why a path below an inbox is passed over, or None when it is wanted.

    `extra` are the user's own patterns; they and ours are matched against every part, whatever its case.
    """
    for part in PurePath(name).parts:
        folded = part.casefold()
        for pattern in (*NAMES, *FOLDERS, *extra):
            if fnmatchcase(folded, pattern.casefold()):
                return f"{part!a} matches {pattern!r}, a name that is never taken for a recording"
    return None
