"""Create and lock the state directory: on a local disk, ours alone, its spool empty.  Knows nothing of its content."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcribed.core.errors import Misconfigured, TranscribedError, Unavailable, is_lasting
from transcribed.state import mounts
from transcribed.state.control_files import ALERTS, REQUESTS, REQUESTS_MODE, STATUS, TEST_RESULT
from transcribed.state.spool import sweep
from transcribed.system import atomic_write, filesystems

_LEDGER = "ledger.db"
_SHARED = (_LEDGER, f"{_LEDGER}-wal", f"{_LEDGER}-shm", STATUS, ALERTS, TEST_RESULT)
_PRIVATE = ("lock", "owner", "ballast", mounts.FILE, "devices.json")
_MODES = dict.fromkeys(_SHARED, 0o640) | dict.fromkeys(_PRIVATE, 0o600) | {REQUESTS: REQUESTS_MODE}


class AlreadyRunning(TranscribedError):
    """Another daemon uses this state directory."""


@contextmanager
def locked(folder: Path, spool: Path) -> Iterator[None]:
    """Hold the state directory for this process.  Raises Misconfigured, Unavailable and AlreadyRunning."""
    lock = _open_lock(folder, spool)
    try:
        if not filesystems.is_local(folder):
            kind = filesystems.kind_of(folder)
            raise Misconfigured(
                f"state_dir {folder} is on {kind}; the ledger needs a local disk.", "Use another folder."
            )
        _lock(lock, folder)
        _protect(folder, spool)
        sweep(spool)
        yield
    finally:
        os.close(lock)


def instance_id(folder: Path) -> str:
    """Return eight hexadecimal digits that identify this directory among others on a share; created once."""
    path = folder / "owner"
    with contextlib.suppress(OSError):
        if re.fullmatch("[0-9a-f]{8}", text := path.read_text(errors="replace")):
            return text
    made = secrets.token_hex(4)
    with contextlib.suppress(OSError):  # a full disk: the next run takes this run's files for somebody else's
        atomic_write.replace_text(path, made, mode=0o600)
    return made


def _open_lock(folder: Path, spool: Path) -> int:
    try:
        spool.mkdir(parents=True, exist_ok=True)
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        sentence = f"state_dir {folder} cannot be used: {error.strerror}."
        if is_lasting(error):
            raise Misconfigured(sentence, "Give the service's user write permission there.") from error
        raise Unavailable(sentence, "Free space on its disk, or repair the disk.") from error


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
        raise AlreadyRunning(
            f"Process {owner} is already using {folder}.", "Stop that process, or set another state_dir."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _protect(folder: Path, spool: Path) -> None:
    """Give what lies here already, perhaps since an earlier version, the rights that it is made with now.

    The group may read what is shared, and leave requests; the spool, and what the daemon remembers, is its own.
    """
    ours = {folder / name: mode for name, mode in _MODES.items()} | dict.fromkeys(folder.glob(f"{_LEDGER}.*"), 0o600)
    for path, mode in (ours | {spool: 0o700}).items():
        if not path.is_symlink():
            with contextlib.suppress(OSError):  # not there, or somebody else's, as root left it
                path.chmod(mode)


def ledger_path(folder: Path) -> Path:
    return folder / _LEDGER
