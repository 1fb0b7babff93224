"""Recognize names that are never recordings: half-written or hidden files, and leftovers of file-sharing software.

Knows names only; never looks at a file.  Sources of the patterns: rsync(1), Syncthing lib/fs/tempname.go, rclone
fs/operations, WinSCP, lftp, Pure-FTPd, ProFTPD HiddenStores, browsers, Synology, QNAP, Samba, NFS, Windows, macOS.
`*.sync-conflict-*` is a whole file and is not ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

from transcribed.core.types import HOTWORDS, SIDECAR

# What programs append to the name of a file for as long as they are writing it, or have not given it up: aria2, lftp,
# axel, WinSCP, rsync, rclone, Firefox, Chromium, Safari, uTorrent.
IN_PROGRESS = (
    ".aria2",
    ".lftp-pget-status",
    ".st",
    ".filepart",
    ".partial",
    ".part",
    ".crdownload",
    ".download",
    ".!ut",
)

HIDDEN = ".*"
NAMES = (
    HIDDEN,
    "~syncthing~*",
    "~$*",
    "*~",
    *(f"*{suffix}" for suffix in IN_PROGRESS),
    # alone until they are whole: qBittorrent, Resilio Sync, BitComet, Opera, Free Download Manager, yt-dlp
    *("*.!qb", "*.!sync", "*.bc!", "*.opdownload", "*.fdmdownload", "*.ytdl", "*.part-frag*"),
    "*.aria2__temp",  # the control file itself, while it is saved: a kill leaves it behind
    "*.tmp",
    "*.temp",
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
    "_unpack_*",  # of SABnzbd, as long as it unpacks, and if that fails
    "_failed_*",
)


def is_ignored(name: str, extra: Sequence[str] = ()) -> str | None:
    """Return why a path below an inbox is ignored, or None if it is wanted.

    `extra` are the user's own patterns; they and ours are matched against every part of the path, ignoring case.
    """
    for part in PurePath(name).parts:
        folded = part.casefold()
        for pattern in (*NAMES, *FOLDERS, *extra):
            if fnmatchcase(folded, pattern.casefold()):
                return f"{part!a} matches {pattern!r}, a pattern of names that are never recordings"
    return None
