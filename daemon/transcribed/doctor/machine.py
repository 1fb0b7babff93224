"""What the machine gives: the state directory and its disk, memory, cores, clock, open files; and which versions run.

Knows limits and how to ask for them; nothing of cards, inboxes or systemd beyond the unit's own limits.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import resource
import struct
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from transcribed.config.settings import Settings
from transcribed.core.quantities import size
from transcribed.core.types import SAMPLE_RATE
from transcribed.doctor.findings import Finding, fault, note, ok, warning
from transcribed.doctor.folder_trial import FolderReport, inspect
from transcribed.doctor.service_user import ServiceUser
from transcribed.doctor.unit_file import UnitFile
from transcribed.state.schema import SQLITE
from transcribed.system import filesystems
from transcribed.system.isolated_call import CallTimeout, isolated_call

LOOK_SECONDS = 15.0
FULL_BYTES = 2**26  # the ledger's ballast, its log and some batches
PREPARING_BYTES = 2**29  # of one preparing process; see `processes` in the settings
DAEMON_BYTES = 2**27
LEAST_FILES = 1024  # pipes, watches, logs, a ledger; and a file for each outbox
UNSURE_USEC = 16_000_000  # of error; from there on systemd-timedated calls a clock unsynchronized
_SHOWN = {"torch": "PyTorch", "funasr": "FunASR", "av": "PyAV", "watchdog": "watchdog"}


def of_state(settings: Settings, unit: UnitFile, user: ServiceUser) -> Iterator[Finding]:
    folder = settings.state_dir
    try:
        question = functools.partial(inspect, folder, mode=0o600)
        report = isolated_call(question, seconds=LOOK_SECONDS, identity=user.identity, what=str(folder))
    except CallTimeout as error:
        yield fault(str(error), "The ledger needs a local disk; name one with `state_dir`.")
        return
    yield from judge_state(settings, report, user.name, folder in made_by(unit))


def made_by(unit: UnitFile) -> list[Path]:
    """The state directories that systemd makes before it starts the service."""
    return [Path("/var/lib", name) for name in unit.words("StateDirectory")]


def judge_state(settings: Settings, report: FolderReport, user: str, is_made: bool) -> Iterator[Finding]:
    folder, kind = settings.state_dir, report.kind
    if kind not in filesystems.LOCAL:
        yield fault(f"The state directory {folder} is on {kind}; the ledger needs a local disk.", "Name another.")
    if report.missing and is_made:
        yield note(f"{folder} is not there yet; systemd makes it when the service starts.")
    elif report.missing or report.trial is None or report.trial.refused:
        reason = report.missing or (report.trial and report.trial.refused)
        yield fault(f"{user} cannot work in the state directory {folder}: {reason}.", f"`chown -R {user} {folder}`.")
    else:
        yield from _of_room(settings, report)


def _of_room(settings: Settings, report: FolderReport) -> Iterator[Finding]:
    """Audio is spooled while it is worked on: 16 kHz, two bytes a sample."""
    wanted = settings.prepare
    needed = wanted.processes * wanted.max_hours * 3600 * SAMPLE_RATE * 2
    free = f"{settings.state_dir} is on a local disk ({report.kind}) with {size(report.free_bytes)} free"
    if report.free_bytes < FULL_BYTES:
        yield fault(f"{free}: too little for the ledger.", "Free space; nothing is taken in until then.")
    elif report.free_bytes < needed:
        longest = (
            f"{wanted.processes} recordings of {wanted.max_hours:g} hours"
            if wanted.processes > 1
            else (f"a recording of {wanted.max_hours:g} hours")
        )
        yield warning(f"{free}; {longest} would take {size(needed)}.", "Free space, or lower `max_hours`.")
    else:
        yield ok(f"{free}.")


def of_memory(settings: Settings, worker_bytes: int, slots: int, unit: UnitFile) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    limit = unit.text("MemoryMax")
    total = min(memory.total, int(limit)) if limit.isdigit() else memory.total
    yield judge_memory(needed_bytes(settings, worker_bytes, slots), total, memory.available)


def needed_bytes(settings: Settings, worker_bytes: int, slots: int) -> int:
    """What all our processes may take of the host's memory; a worker takes most while it comes up."""
    return DAEMON_BYTES + settings.prepare.processes * PREPARING_BYTES + slots * worker_bytes


def judge_memory(needed: int, total: int, available: int) -> Finding:
    sentence = f"As configured, up to {size(needed)} of memory are needed; the service may have {size(total)}"
    if needed > total:
        return warning(f"{sentence}.", "Fewer `processes` under [prepare], a smaller model, or more memory.")
    if needed > available:
        return note(f"{sentence}, of which {size(available)} are free now.")
    return ok(f"{sentence}, and {size(available)} are free.")


def of_cores(settings: Settings, on_cpu: bool) -> Iterator[Finding]:
    yield judge_cores(settings, on_cpu, len(os.sched_getaffinity(0)))


def judge_cores(settings: Settings, on_cpu: bool, cores: int) -> Finding:
    preparing, threads = settings.prepare.processes, settings.recognize.threads if on_cpu else 0
    if preparing > cores or threads > cores:
        what = f"{preparing} preparing processes" if preparing > cores else f"{threads} threads of a recognizer"
        return warning(
            f"{what} are configured, and there are {cores} cores.", "Configure no more than there are cores."
        )
    return ok(f"{cores} cores, for {preparing} preparing {'process' if preparing == 1 else 'processes'}.")


def of_clock() -> Iterator[Finding]:
    yield judge_clock(_clock_error_usec())


def judge_clock(error_usec: int | None) -> Finding:
    if error_usec is None:
        return note("Whether the clock is synchronized cannot be told here.")
    if error_usec >= UNSURE_USEC:
        sentence = "The clock is not synchronized; times in transcripts, logs and policies may be wrong."
        return warning(sentence, "`timedatectl set-ntp true`, or another NTP client; in a container, on its host.")
    return ok(f"The clock is synchronized, to {max(1, error_usec // 1000)} ms or better.")


def _clock_error_usec() -> int | None:
    """`maxerror` of adjtimex(2), which systemd-timedated judges by; None where the kernel does not tell."""
    timex = ctypes.create_string_buffer(512)  # modes = 0: only asked; the struct has 208 bytes on 64-bit Linux
    if struct.calcsize("l") != 8 or ctypes.CDLL(None).adjtimex(timex) < 0:
        return None
    _modes, _offset, _frequency, error = struct.unpack_from("@Illl", timex)
    return int(error)


def of_open_files(unit: UnitFile) -> Iterator[Finding]:
    told = unit.text("LimitNOFILESoft") or unit.text("LimitNOFILE").partition(":")[0]
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield judge_open_files(int(told) if told.isdigit() else own, unit.name if told.isdigit() else "This session")


def judge_open_files(limit: int, whose: str) -> Finding:
    if 0 <= limit < LEAST_FILES:
        return warning(f"{whose} may have only {limit} files open.", "LimitNOFILE=65536 in a drop-in.")
    return ok(f"{whose} may have {'any number of' if limit < 0 else limit} files open.")


def of_versions() -> Iterator[Finding]:
    """A wheel that is missing shows here; whether it works, the checks that use it tell."""
    found = {name: _version(distribution) for distribution, name in _SHOWN.items()}
    missing = [name for name, told in found.items() if told is None]
    yield ok(", ".join([f"Python {platform.python_version()}", *(f"{n} {v}" for n, v in found.items() if v)]) + ".")
    yield from _of_ffmpeg()
    yield ok(f"SQLite {SQLITE}: one connection writes the ledger, as is safe with every version.")
    if missing:
        yield fault(f"Not installed: {', '.join(missing)}.", "`pip install -c constraints.txt .` anew.")


def _of_ffmpeg() -> Iterator[Finding]:
    try:
        yield ok(f"FFmpeg: {isolated_call(_libraries, seconds=LOOK_SECONDS, what='FFmpeg')}.")
    except (CallTimeout, ImportError) as error:
        yield fault(f"FFmpeg cannot be loaded: {error}", "`pip install -c constraints.txt .` anew.")


def _libraries() -> str:
    from transcribed.ingest.preparation.decoder import libraries  # loads FFmpeg, which is a stranger's code as well

    return libraries()


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
