"""Confine a preparing process: it reads the inboxes and the program, writes the spool, and reaches nothing else.

Knows which folders preparation needs; nothing of what happens in them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import SandboxOutdated
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.system import landlock, sandbox
from transcribed.system.filesystems import FileId, identity_of
from transcribed.system.landlock import READ, RUN, WRITE
from transcribed.system.timeout import call_with_timeout

log = logging.getLogger("transcribed.sandbox")  # in a child: its records go to the daemon's log

ANSWER_SECONDS = 2.0  # a share that hangs is left to a later process: it must hold up no other inbox
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/proc", "/sys", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_ANYWHERE = Path("/")


def confine(
    spool: Path, vad_model: Path, inboxes: Mapping[Path, InboxDefaults], decoders: Collection[ExternalDecoder]
) -> dict[Path, FileId | None] | None:
    """Confine this process; return what it may read of strangers, as it is now, None if the kernel has no Landlock.

    Programs of the operator may read and run whatever this user may: nobody knows what they need.
    """
    strangers = {path: _identity_in_time(path) for defaults in inboxes.items() for path in _read_for(*defaults)}
    allowed = [(spool, WRITE), *((Path(device), WRITE) for device in _DEVICES)]
    readable = (path for path, identity in strangers.items() if identity)
    allowed += [(path, READ) for path in (*_program(), vad_model, *readable)]
    if decoders:
        allowed.append((_ANYWHERE, RUN))
    offered = landlock.confine(allowed)
    if not offered:
        log.warning("Without Landlock in the kernel, a preparing process may read and write all that the service may.")
    sandbox.restrict_calls(keep_signals=bool(decoders) or offered >= landlock.SIGNALS_SINCE)
    return strangers if offered else None


def require_current(inbox: Path, defaults: InboxDefaults, confined: Mapping[Path, FileId | None]) -> None:
    """Raise SandboxOutdated if what is read for this inbox is not what this process is confined to.

    A share was mounted, or an editor has replaced the hotword file.
    """
    for path in _read_for(inbox, defaults):
        if path in confined and confined[path] != identity_of(path):
            raise SandboxOutdated(f"{path} has been replaced or mounted since.", "The next process reads it.")


def _program() -> Iterator[Path]:
    """Yield the folders of Python, of this package and of those that it imports, wherever they are installed."""
    here = os.getcwd()  # perhaps an inbox, or worse
    yield Path(__file__).parents[3]
    yield from map(Path, (sys.prefix, sys.base_prefix, *_SYSTEM))
    yield from (Path(path) for path in sys.path if path and os.path.realpath(path) != here)


def _read_for(inbox: Path, defaults: InboxDefaults) -> Iterator[Path]:
    yield inbox
    if defaults.hotwords_file:
        yield defaults.hotwords_file


def _identity_in_time(path: Path) -> FileId | None:
    with contextlib.suppress(TimeoutError):
        return call_with_timeout(ANSWER_SECONDS, lambda: identity_of(path))
    return None
