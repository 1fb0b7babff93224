"""Open a recording in its inbox: once, for reading only, and never another file than the one that settled.

Knows files and their errors; nothing of media, jobs or the spool.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator

from transcribed.core.errors import Incomplete, Permanent, Unavailable, Withdrawn
from transcribed.core.types import Source
from transcribed.ingest.preparation.decoding.file_view import Seekable
from transcribed.system import safe_open

_HASH_BLOCK = 2**22
_TAKEN_AWAY = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}

Heartbeat = Callable[[], None]


class SourceFile(Seekable):
    """A nameless file object for FFmpeg, which remembers real disk errors.

    FFmpeg's own errors look like the system's (PermissionError for a corrupt header), so only errors recorded here are
    trusted.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._error: OSError | None = None
        self.size = os.fstat(fd).st_size

    def read(self, count: int = -1) -> bytes:
        try:
            data = os.pread(self.fd, count if count >= 0 else self.size, self._at)
        except OSError as error:
            self._error = error
            raise
        self._at += len(data)
        return data

    def head(self) -> bytes:
        self.seek(0)
        return self.read(512)

    def digest(self, heartbeat: Heartbeat) -> str:
        """Return the SHA-256 of the whole file in hexadecimal.  Raises OSError if the disk fails."""
        digest = hashlib.sha256()
        self.seek(0)
        while block := self.read(_HASH_BLOCK):
            digest.update(block)
            heartbeat()
        return digest.hexdigest()

    def raise_own_error(self) -> None:
        if self._error:
            raise unavailable(self._error)

    def check_unchanged(self, source: Source) -> None:
        """Raise Withdrawn if the open file is not the version that settled."""
        if not source.is_version(os.fstat(self.fd)):
            raise Withdrawn("The file has changed since it settled; the new version is a separate job.")


@contextlib.contextmanager
def open_source(source: Source, max_bytes: int, *, hard_links: bool = True) -> Iterator[SourceFile]:
    """Open the source; without `hard_links`, only if it has no other name.

    Raise Withdrawn, Incomplete or Permanent; Unavailable or OSError if the disk is to blame.
    """
    fd = _descriptor(source)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise _of_folder(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Withdrawn("The file was replaced by something that is not a regular file.")
        if status.st_nlink > 1 and not hard_links:  # some clients rename by a link that is soon gone
            raise Incomplete("The file has another name elsewhere, and this inbox takes none such.", "Copy it instead.")
        file = SourceFile(fd)
        file.check_unchanged(source)
        if file.size == 0:
            raise Incomplete("The file is empty.", "Record or copy it again.")
        if file.size > max_bytes:
            raise Permanent(f"The file is larger than {max_bytes / 2**30:g} GiB.", "Raise `max_gib` under [prepare].")
        yield file
    finally:
        os.close(fd)


def _descriptor(source: Source) -> int:
    try:
        return safe_open.open_file(source.inbox, source.name)
    except PermissionError as error:
        raise _not_allowed(is_folder=os.path.isdir(source.path)) from error
    except OSError as error:
        if error.errno in _TAKEN_AWAY and os.path.isdir(source.inbox):
            raise Withdrawn("The file was removed before it was read.") from error
        raise unavailable(error) from error


def _of_folder(fd: int) -> Incomplete | Withdrawn:
    if safe_open.may_enter(fd):
        return Withdrawn("The service may enter the folder now; the recordings in it are transcribed like any others.")
    return _not_allowed(is_folder=True)


def _not_allowed(*, is_folder: bool) -> Incomplete:
    """Return the error for want of rights; a copy may set permissions last, so it is not final at once."""
    if is_folder:
        sentence = "The service is not allowed to enter the folder, so no recording in it is transcribed."
        return Incomplete(sentence, "Give the service's group the rights to read and enter it; it is then tried again.")
    sentence = "The service is not allowed to read the file."
    return Incomplete(sentence, "Give the service's group the right to read it; it is then tried again.")


def unavailable(error: OSError) -> Unavailable:
    """Return the error to raise for one of the operating system, other than FFmpeg's."""
    return Unavailable(
        f"The file cannot be read now: {error.strerror or error}.", "Check the disk or share that holds it."
    )
