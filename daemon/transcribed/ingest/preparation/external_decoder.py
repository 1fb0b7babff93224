"""Decode an untrusted file to WAV with a program of the operator's, for formats that FFmpeg lacks: DS2, SILK.

The program is run by a subreaper (subreaper.py), as a child of the preparing process, and so within its limits: no
network; bounded memory, CPU time and files (sandbox.py).  It gets the open file, an empty working folder of its own,
and almost no environment; it must write WAV to its standard output.  It runs as the service's user, with all of that
user's rights.  So name programs that can be trusted with untrusted files, as FFmpeg can.

Knows processes and the first bytes of a WAV; nothing of jobs.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from transcribed.core.errors import Incomplete, Permanent, Unavailable
from transcribed.core.text import printable
from transcribed.ingest.preparation import subreaper
from transcribed.state.spool import SCRATCH
from transcribed.system import sandbox

FILE = "{file}"
"""Placeholder in a command for a path that opens the recording; without it, the recording is the standard input."""

PATH = "/usr/local/bin:/usr/bin:/bin"
MAX_BYTES_PER_SECOND = 48_000 * 2 * 2  # of decoded audio: 48 kHz stereo s16le
MAX_ERROR_BYTES = 250  # with what is said before it within a sentence (core/text.py)
LEAST_FREE_BYTES = 2**20
_TICK_SECONDS = 0.1
_LEAVE_SECONDS = subreaper.DIE_SECONDS + 1.0

_CONVERT = "Convert the file to WAV, FLAC or MP3."
_CUT = "Split the recording, or raise `max_hours` under [prepare]."
_MAKE_ROOM = "Free space on the disk of the state directory."

Heartbeat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    max_seconds: float  # of audio
    wall_seconds: float

    @classmethod
    def of(cls, max_seconds: float) -> DecoderLimits:
        """Allow twice as much wall time as CPU time."""
        return cls(max_seconds, 2 * (sandbox.CPU_SECONDS + sandbox.CPU_SHARE * max_seconds))


@dataclass(frozen=True, slots=True)
class ExternalDecoder:
    """A command for files whose name matches `match`, ignoring case, and that begin with `starts_with`, if given."""

    match: str  # a glob for the file name without folders
    command: tuple[str, ...]
    starts_with: bytes | None = None

    @property
    def name(self) -> str:
        return PurePath(self.command[0]).name

    def takes(self, name: str, head: bytes) -> bool:
        fits = fnmatchcase(PurePath(name).name.casefold(), self.match.casefold())
        return fits and head.startswith(self.starts_with or b"")


def choose(decoders: Iterable[ExternalDecoder], name: str, head: bytes) -> ExternalDecoder | None:
    """Return the first decoder that takes a file with this name and these first bytes, or None."""
    return next((decoder for decoder in decoders if decoder.takes(name, head)), None)


@contextlib.contextmanager
def decoded(
    decoder: ExternalDecoder, fd: int, name: str, scratch: Path, limits: DecoderLimits, heartbeat: Heartbeat
) -> Iterator[int]:
    """Yield a descriptor of the WAV that the decoder makes of the file open as `fd`; a nameless file, gone once closed.

    `name` provides the suffix by which some decoders recognize formats; `scratch` is a folder on a local disk.
    `heartbeat` is called while the output grows, so that the supervisor can kill a decoder that hangs.  Raise
    Unavailable if the command or the scratch folder cannot be used, Incomplete if the result is no WAV, Permanent if
    decoding takes too long or the result is too large.
    """
    with _nameless(scratch) as out:
        said = _run(decoder, _Input(fd, name), scratch, _Output(out, limits, heartbeat))
        _check(decoder, os.pread(out, 12, 0), said)
        yield out


@dataclass(frozen=True, slots=True)
class _Input:
    fd: int
    name: str

    @property
    def suffix(self) -> str:
        suffix = PurePath(self.name).suffix
        return suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""


class _Output:
    """The growing output file, checked against its limits."""

    def __init__(self, fd: int, limits: DecoderLimits, heartbeat: Heartbeat) -> None:
        self.fd = fd
        self._limits = limits
        self._beat = heartbeat
        self._bytes = 0
        self._until = time.monotonic() + limits.wall_seconds

    def look(self) -> None:
        """Send a heartbeat if the file has grown.  Raise Permanent if it is too large, or decoding takes too long."""
        grown, self._bytes = os.fstat(self.fd).st_size > self._bytes, os.fstat(self.fd).st_size
        if grown:
            self._beat()
        if self._bytes > self._limits.max_seconds * MAX_BYTES_PER_SECOND:
            raise Permanent(f"The recording is longer than {self._limits.max_seconds / 3600:g} hours.", _CUT)
        if time.monotonic() > self._until:
            raise Permanent("Decoding the file took too long.", _CONVERT)


class StderrTail:
    """Keeps the end of a process's error output."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._told = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, seconds: float) -> None:
        """Read what there is, waiting at most `seconds` for it."""
        if self._poll.poll(1000 * seconds):
            heard = os.read(self._fd, 2**16)  # as much as a pipe holds
            self._told = (self._told + heard)[-MAX_ERROR_BYTES:]
            if not heard:
                self._poll.unregister(self._fd)

    @property
    def words(self) -> str:
        return printable(" ".join(self._told.decode(errors="replace").split()))


@contextlib.contextmanager
def _nameless(scratch: Path) -> Iterator[int]:
    try:
        file = tempfile.TemporaryFile(dir=scratch, buffering=0)  # noqa: SIM115  it is closed below
    except OSError as error:
        raise _no_scratch(error) from error
    with file:
        yield file.fileno()


def _run(decoder: ExternalDecoder, recording: _Input, scratch: Path, output: _Output) -> str:
    """Run the decoder; return the end of its error output."""
    program = _program(decoder)
    try:
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch, ignore_cleanup_errors=True) as folder:
            code, said = _supervised(_started(program, decoder.command[1:], recording, folder, output.fd), output)
        full = shutil.disk_usage(scratch).free < LEAST_FREE_BYTES
    except OSError as error:
        raise _no_scratch(error) from error
    if full:
        raise Unavailable("The disk of the spool is full.", _MAKE_ROOM)
    if code:
        raise _gave_up(decoder, code, said)
    return said


def _program(decoder: ExternalDecoder) -> str:
    if program := shutil.which(decoder.command[0], path=PATH):
        return program
    raise _not_run(decoder, f"{decoder.command[0]} does not exist or is not executable.")


def _started(
    program: str, arguments: Sequence[str], recording: _Input, folder: str, out: int
) -> subprocess.Popen[bytes]:
    link = os.path.join(folder, f"recording{recording.suffix}")
    os.symlink(f"/proc/self/fd/{recording.fd}", link)
    os.lseek(recording.fd, 0, os.SEEK_SET)
    named = any(FILE in argument for argument in arguments)
    return subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", subreaper.__file__, str(os.getpid()), folder, program),
            *(argument.replace(FILE, link) for argument in arguments),
        ],
        stdin=subprocess.DEVNULL if named else recording.fd,
        stdout=out,
        stderr=subprocess.PIPE,
        pass_fds=(recording.fd,) if named else (),
        cwd=folder,
        env={"PATH": PATH, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder},
        start_new_session=True,
    )


def _supervised(process: subprocess.Popen[bytes], output: _Output) -> tuple[int, str]:
    """Wait for the process; return its exit code and the end of its error output.

    The process and everything that it started is gone then, even if this raises.
    """
    assert process.stderr is not None
    ear = StderrTail(process.stderr.fileno())
    try:
        while (code := process.poll()) is None:
            ear.read(_TICK_SECONDS)
            output.look()
        ear.read(0)
        output.look()
        return code if code >= 0 else 128 - code, ear.words
    finally:
        _end(process)
        process.stderr.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel kills its child


def _check(decoder: ExternalDecoder, head: bytes, said: str) -> None:
    if not head:
        raise Incomplete(f"The decoder {decoder.name} produced no output for this file.", _told(said))
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        raise Incomplete(
            f"The decoder {decoder.name} produced output that is not WAV.",
            "Change its command in the configuration so that it writes WAV to its standard output.",
        )


def _gave_up(decoder: ExternalDecoder, code: int, said: str) -> Permanent | Unavailable:
    if code in (subreaper.NOT_RUN, 127):  # 127: a shell's code for a command it did not find
        return _not_run(decoder, said)
    if code == 128 + signal.SIGXFSZ:
        return Permanent("The decoded recording is larger than allowed.", _CUT)
    if code == 128 + signal.SIGXCPU:
        return Permanent("Decoding the file took too long.", _CONVERT)
    how = f"exit code {code}" if code <= 128 else f"signal {code - 128}"
    return Incomplete(f"The decoder {decoder.name} failed ({how}).", _told(said))


def _not_run(decoder: ExternalDecoder, why: str) -> Unavailable:
    return Unavailable(f"The decoder {decoder.name} cannot run on this machine.", f"Install it: {why}")


def _told(said: str) -> str:
    return f"Its error output: {said}" if said else "It printed no error; run it by hand."


def _no_scratch(error: OSError) -> Unavailable:
    return Unavailable(f"The spool cannot be used for decoding: {error.strerror}.", _MAKE_ROOM)
