"""Confine a preparing process: it reads the inboxes and the program, writes the spool, and reaches nothing else.

Knows which folders preparation needs; nothing of what happens in them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import SandboxOutdated
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.system import landlock, sandbox
from transcribed.system.landlock import READ, RUN, WRITE

FolderId = tuple[int, int]  # device and inode

log = logging.getLogger("transcribed.sandbox")  # in a child: its records go to the daemon's log

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/proc", "/sys", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_ANYWHERE = Path("/")


def confine(
    spool: Path, vad_model: Path, inboxes: Mapping[Path, InboxDefaults], decoders: Collection[ExternalDecoder]
) -> dict[Path, FolderId | None] | None:
    """Confine this process; return the inboxes as they are now, None if the kernel has no Landlock.

    Programs of the operator may read and run whatever this user may: nobody knows what they need.
    """
    now = {inbox: _identity(inbox) for inbox in inboxes}
    allowed = [*_allowed(spool, vad_model, inboxes)]
    if decoders:
        allowed.append((_ANYWHERE, RUN))
    offered = landlock.confine(allowed)
    if not offered:
        log.warning("Without Landlock in the kernel, a preparing process may read and write all that the service may.")
    sandbox.restrict_calls(keep_signals=bool(decoders) or offered >= landlock.SIGNALS_SINCE)
    return now if offered else None


def require_current(inbox: Path, confined: Mapping[Path, FolderId | None]) -> None:
    """Raise SandboxOutdated if the inbox is not the folder to which this process is confined: a share was mounted."""
    if inbox in confined and confined[inbox] != _identity(inbox):
        raise SandboxOutdated(f"{inbox} has been replaced or mounted since.", "It is tried again at once.")


def _allowed(spool: Path, vad_model: Path, inboxes: Mapping[Path, InboxDefaults]) -> Iterator[tuple[Path, int]]:
    yield spool, WRITE
    for device in _DEVICES:
        yield Path(device), WRITE
    package = Path(__file__).parents[3]
    hotwords = (Path(os.path.realpath(one.hotwords_file)) for one in inboxes.values() if one.hotwords_file)
    program = map(Path, (sys.prefix, sys.base_prefix, *_SYSTEM))
    for path in (*program, package, vad_model, *inboxes, *hotwords):
        yield path, READ


def _identity(folder: Path) -> FolderId | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
