"""The spool: decoded audio on a local disk, one headerless 16 kHz mono s16le file per channel, named after its job.

It is scratch space: emptied at the start, and a job's files go when the job leaves memory.  Knows files and their
names; nothing of media, jobs or readers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from transcribed.core.errors import Unavailable
from transcribed.core.types import Audio, Hypothesis, Preparation, Segment
from transcribed.state import checkpoint
from transcribed.system import filesystems

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.int16]  # (channels, samples)

SCRATCH = "external-"  # prefix of the folders in which external decoders work
_NAME = re.compile(r"(\d+)(-\d+)?\.pcm")  # the first channel is `7.pcm`, the next `7-1.pcm`


class Spool:
    """The loop's access to the spool: check its free space, and discard what is no longer needed."""

    def __init__(self, folder: Path, min_free: float) -> None:
        """Use a folder; `min_free` is the space to leave free on its disk: bytes, or below 1 a share."""
        self._folder = folder
        self._min_free = min_free

    def space_shortage(self) -> str | None:
        """Return a sentence while the disk is too full to decode another file."""
        return filesystems.lack_of_space(self._folder, self._min_free)

    def discard(self, job_id: int) -> None:
        discard(self._folder, job_id)

    def keep_answers(self, preparation: Preparation, answers: Sequence[tuple[Segment, Hypothesis]]) -> None:
        """Save the segments recognized so far of a long recording, in case of an interruption."""
        checkpoint.append(self._folder, preparation, answers)

    def drop_answers(self, preparation: Preparation) -> None:
        checkpoint.drop(self._folder, preparation)


def path_of(folder: Path, job_id: int, channel: int = 0) -> Path:
    return folder / (f"{job_id}-{channel}.pcm" if channel else f"{job_id}.pcm")


def jobs(folder: Path) -> frozenset[int]:
    """Return the ids of the jobs with audio in the spool.  Raises OSError."""
    return frozenset(int(match[1]) for match in _found(folder))


def discard(folder: Path, job_id: int) -> None:
    """Remove a job's audio.  On a disk that has become read-only it stays, and is swept later."""
    with contextlib.suppress(OSError):
        for match in _found(folder):
            if int(match[1]) == job_id:
                with contextlib.suppress(OSError):
                    (folder / match[0]).unlink()


def sweep(folder: Path) -> None:
    """Empty the spool, with the folders that killed external decoders left behind.  Raises OSError."""
    for match in _found(folder):
        (folder / match[0]).unlink()
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def _found(folder: Path) -> Iterator[re.Match[str]]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    return (match for name in names if (match := _NAME.fullmatch(name)))


CHECKED_BYTES = 2**26  # written between two looks at the free space


class Writer:
    """Writer of one job's channels, a block at a time.  Errors of the spool are not the file's fault: Unavailable."""

    def __init__(self, folder: Path, job_id: int, min_free: float = 0.0) -> None:
        """Open the first channel's file.  Raises Unavailable if the disk refuses it, as `write` does.

        So does `write` when the disk has less free space than `min_free`: bytes, or below 1 a share.
        """
        self._folder, self._job_id, self._min_free = folder, job_id, min_free
        self._unchecked_bytes = 0
        self._files = [self._opened(0)]
        self._samples = [0]
        self._alike = True  # as long as every channel equals the first

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def write(self, rows: Rows, first: int = 0) -> None:
        """Write a block, int16 (channels, samples), to the channels from `first` on; each may have its own length."""
        while len(self._files) < first + len(rows):
            self._files.append(self._opened(len(self._files)))
            self._samples.append(0)
        self._alike = self._alike and first == 0 and all((row == rows[0]).all() for row in rows[1:])
        for channel, row in enumerate(rows, first):
            self._samples[channel] += len(row)
            self._put(self._files[channel], row.tobytes())
            self._unchecked_bytes += 2 * len(row)
        if self._unchecked_bytes >= CHECKED_BYTES:
            self._unchecked_bytes = 0
            if lack := filesystems.lack_of_space(self._folder, self._min_free):
                raise Unavailable(lack, "Free space on the disk of the state directory, or lower `min_free`.")

    def audios(self) -> tuple[Audio, ...]:
        """Return the audio by channel, all as long as the longest; only the first if all channels are identical."""
        if self._alike:
            for channel in range(1, len(self._files)):
                path_of(self._folder, self._job_id, channel).unlink()
        kept = self._files[:1] if self._alike else self._files
        longest = max(self._samples)
        for file in kept:
            file.truncate(2 * longest)  # with silence
        return tuple(Audio(path_of(self._folder, self._job_id, n), longest) for n in range(len(kept)))

    def _opened(self, channel: int) -> BinaryIO:
        try:
            return path_of(self._folder, self._job_id, channel).open("wb", buffering=0)
        except OSError as error:
            raise _no_room(error) from error

    @staticmethod
    def _put(file: BinaryIO, block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[file.write(left) :]  # a nearly full disk accepts only a part
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError) -> Unavailable:
    return Unavailable(
        f"The spool cannot be written: {error.strerror}.", "Free space on the disk of the state directory."
    )
