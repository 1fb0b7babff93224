"""Make a job's file ready for recognition: decode it to 16 kHz mono in the spool, then find its speech.

Runs in a process of its own, one file at a time, under limits (sandbox.py).  Knows jobs, the spool and limits;
nothing of ledgers, recognizers or outboxes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribed import beneath, sandbox
from transcribed.core import Audio, Job, Preparation, Segment, Source, Wishes
from transcribed.errors import Incomplete, Permanent, Unavailable, Withdrawn

if TYPE_CHECKING:
    from transcribed.vad import Vad

MIN_SECONDS = 0.1
EXTRA_BYTES = 2**30  # of address space, over what the process holds before its first file
_HASH_BLOCK = 2**22
_TAKEN_AWAY = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}

Beat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Limits:
    max_seconds: float = 12 * 3600.0
    max_bytes: int = 64 * 2**30


class Preparer:
    """Called with a job, answers with its Preparation.  Raises what pipeline.py judges: Permanent, Withdrawn,
    Unavailable.
    """

    def __init__(self, spool: Path, vad: Vad, limits: Limits) -> None:
        self._spool = spool
        self._vad = vad
        self._limits = limits

    def __call__(self, job: Job, beat: Beat) -> Preparation:
        sandbox.limit_cpu(self._limits.max_seconds)
        path = self._spool / f"{job.id}.pcm"
        with _opened(job.source, self._limits.max_bytes) as file:
            media, damage = self._decode(file, path, beat)
            sha256 = file.digest(beat)
            file.check_unchanged(job.source)
        audio = Audio(path, path.stat().st_size // 2)
        if audio.seconds < MIN_SECONDS:
            raise _nothing_in(audio)
        return Preparation(audio, self._segments(job, audio, beat), sha256, media, Wishes(job.options), damage)

    def _decode(self, file: File, path: Path, beat: Beat) -> tuple[str, str | None]:
        """Write the spool file.  Returns what the media was, and a sentence if only part of it could be decoded."""
        from transcribed.decode import DecodeError, Decoder, unreadable

        seconds = 0.0
        try:
            with Decoder(file) as decoder, _spooled(path) as write:
                media = decoder.media
                for block in decoder.blocks():
                    write(block)
                    seconds = decoder.seconds
                    self._check_length(seconds)
                    beat()
                return media, decoder.damage()
        except (*DecodeError, OSError) as error:
            file.raise_own_error()
            if seconds < MIN_SECONDS:
                raise unreadable(file.head(), error) from error
            return media, f"Only the first {seconds:.1f} s could be decoded; after that the file is damaged."

    def _check_length(self, seconds: float) -> None:
        if seconds > self._limits.max_seconds:
            hours = self._limits.max_seconds / 3600
            raise Permanent(f"It is longer than {hours:g} hours.", "Cut it, or raise `max_hours` under [prepare].")

    def _segments(self, job: Job, audio: Audio, beat: Beat) -> tuple[Segment, ...]:
        import numpy as np

        pcm: Any = np.memmap(audio.path, dtype="<i2", mode="r")
        stretches = self._vad.stretches(pcm, beat)
        return tuple(Segment(job.id, i, audio, s.start, s.stop, s.speech_samples) for i, s in enumerate(stretches))


class File:
    """What FFmpeg reads from: no name, no other file; and it remembers what really went wrong with the disk.

    FFmpeg's own errors look like the system's (PermissionError for a corrupt header), so only errors kept here are
    trusted.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0
        self._error: OSError | None = None
        self.size = os.fstat(fd).st_size

    def read(self, count: int = -1) -> bytes:
        try:
            data = os.pread(self._fd, count if count >= 0 else self.size, self._at)
        except OSError as error:
            self._error = error
            raise
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def head(self) -> bytes:
        self.seek(0)
        return self.read(512)

    def digest(self, beat: Beat) -> str:
        """SHA-256 of the whole file, in hexadecimal."""
        digest = hashlib.sha256()
        self.seek(0)
        while block := self.read(_HASH_BLOCK):
            digest.update(block)
            beat()
        return digest.hexdigest()

    def raise_own_error(self) -> None:
        if self._error:
            raise _unavailable(self._error)

    def check_unchanged(self, source: Source) -> None:
        """Raise Withdrawn if the file is not the version that settled, whatever its name holds now."""
        if not source.is_version(os.fstat(self._fd)):
            raise Withdrawn("The file has changed since it settled; its new version is a job of its own.")


@contextlib.contextmanager
def _opened(source: Source, max_bytes: int) -> Iterator[File]:
    fd = _descriptor(source)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Withdrawn("What has this name now is not a regular file.")
        file = File(fd)
        file.check_unchanged(source)
        if file.size == 0:
            raise Incomplete("The file is empty.", "Record or copy it again.")
        if file.size > max_bytes:
            raise Permanent(f"It is larger than {max_bytes / 2**30:g} GiB.", "Raise `max_gib` under [prepare].")
        yield file
    finally:
        os.close(fd)


def _descriptor(source: Source) -> int:
    try:
        return beneath.open_file(source.inbox, source.name)
    except PermissionError as error:
        raise Incomplete(  # rights may come last
            "The service may not read it.", "Give the group of the service the right to read it, and drop it in again."
        ) from error
    except OSError as error:
        if error.errno in _TAKEN_AWAY and os.path.isdir(source.inbox):
            raise Withdrawn("The file was taken away before it was read.") from error
        raise _unavailable(error) from error


@contextlib.contextmanager
def _spooled(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to the spool; what goes wrong with the spool is not the file's fault."""

    def write(block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[spool.write(left) :]  # a disk that is nearly full takes a part
        except OSError as error:
            raise _no_room(error) from error

    try:
        spool = path.open("wb", buffering=0)
    except OSError as error:
        raise _no_room(error) from error
    with spool:
        yield write


def _no_room(error: OSError) -> Unavailable:
    return Unavailable(
        f"The spool cannot be written: {error.strerror}.", "Free space on the disk of the state directory."
    )


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(
        f"The file cannot be read now: {error.strerror or error}.", "Check the disk or share it lies on."
    )


def _nothing_in(audio: Audio) -> Incomplete:
    if audio.samples == 0:
        return Incomplete("It holds no sound at all.", "The recorder may have been stopped at once; record it again.")
    return Incomplete(f"It is only {audio.seconds:.2f} s long.", "At least 0.1 s is needed.")


def preparer(spool: Path, vad_model: Path, limits: Limits, slot: str) -> Preparer:
    """Built in the child: what it imports, the daemon does not."""
    sandbox.refuse_network()  # first: it holds for threads that start later, and torch starts some
    import transcribed.decode  # noqa: F401  loads FFmpeg before the limits count
    from transcribed.vad import Vad

    vad = Vad(vad_model)
    sandbox.limit_process(limits.max_seconds, EXTRA_BYTES)
    return Preparer(spool, vad, limits)
