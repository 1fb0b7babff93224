"""Checks of the machine: the state directory and its disk, memory, cores, clock, open files, installed versions.

Knows limits and how to read them; nothing of cards, inboxes or systemd beyond the unit's own limits.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import resource
import shutil
import struct
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from transcribed.config.settings import Settings
from transcribed.core.quantities import size
from transcribed.core.types import SAMPLE_RATE
from transcribed.doctor.findings import SLOW, Finding, fault, note, ok, warning
from transcribed.doctor.folder_trial import FolderReport, inspect
from transcribed.doctor.service_user import ServiceUser
from transcribed.doctor.unit_file import UnitFile
from transcribed.state.schema import SQLITE
from transcribed.system import filesystems, landlock
from transcribed.system.isolated_call import CallCrashed, CallTimeout, isolated_call

LOOK_SECONDS = 15.0
FULL_BYTES = 2**26  # the ledger's ballast, its WAL and some batches
PREPARING_BYTES = 2**29  # of one preparing process; see `processes` in the settings
DAEMON_BYTES = 2**27
LEAST_FILES = 1024  # pipes, watches, logs, a ledger; and a file for each outbox
UNSURE_USEC = 16_000_000  # of error; from here on, systemd-timedated calls a clock unsynchronized
_SHOWN = {"torch": "PyTorch", "funasr": "FunASR", "av": "PyAV", "watchdog": "watchdog"}


def of_state(settings: Settings, unit: UnitFile, user: ServiceUser) -> Iterator[Finding]:
    folder = settings.state_dir
    try:
        question = functools.partial(inspect, folder, mode=0o600)
        report = isolated_call(question, seconds=LOOK_SECONDS, identity=user.identity, what=str(folder))
    except (CallTimeout, CallCrashed) as error:
        yield fault(str(error), "The ledger needs a local disk; set `state_dir` to a folder on one.")
        return
    yield from judge_state(settings, report, user.name, folder in made_by(unit))


def of_decoders(settings: Settings, user: ServiceUser) -> Iterator[Finding]:
    """Look for the program of each [[decoder]], as the service's user would."""
    for program in dict.fromkeys(decoder.command[0] for decoder in settings.decoder):
        found = isolated_call(shutil.which, program, seconds=LOOK_SECONDS, identity=user.identity, what=program)
        if found is None:
            yield fault(
                f"The external decoder {program} is no program that {user.name} may run.",
                "Install it, or correct `command` under [[decoder]]; the files that it matches fail.",
            )
        else:
            yield ok(f"The external decoder {program} is there: {found}.")


def of_kernel() -> Iterator[Finding]:
    """Say how far the processes that decode strangers' files are confined."""
    offered = landlock.version()
    if offered:
        yield ok(f"Decoding processes read recordings and write the spool, no more (Landlock {offered}, seccomp).")
    else:
        sentence = "The kernel has no Landlock: a decoding process may read and write all that the service may."
        yield note(sentence, "Use Linux 5.13 or newer, with Landlock among the security modules it starts with.")


def made_by(unit: UnitFile) -> list[Path]:
    """Return the state directories that systemd creates before it starts the service."""
    return [Path("/var/lib", name) for name in unit.words("StateDirectory")]


def judge_state(settings: Settings, report: FolderReport, user: str, is_made: bool) -> Iterator[Finding]:
    folder, kind = settings.state_dir, report.kind
    if kind not in filesystems.LOCAL:
        yield fault(f"The state directory {folder} is on {kind}; the ledger needs a local disk.", "Change `state_dir`.")
    if report.missing and is_made:
        yield note(f"{folder} does not exist yet; systemd creates it when the service starts.")
    elif report.missing or report.trial is None or report.trial.refused:
        reason = report.missing or (report.trial and report.trial.refused)
        yield fault(f"{user} cannot use the state directory {folder}: {reason}.", f"Run `chown -R {user} {folder}`.")
    else:
        yield from _of_room(settings, report)


def _of_room(settings: Settings, report: FolderReport) -> Iterator[Finding]:
    """Compare free space with the largest spool: audio in progress takes 16 kHz at two bytes per sample."""
    wanted = settings.prepare
    needed = wanted.processes * wanted.max_hours * 3600 * SAMPLE_RATE * 2
    free = f"{settings.state_dir} is on a local disk ({report.kind}) with {size(report.free_bytes)} free"
    if report.free_bytes < FULL_BYTES:
        yield fault(f"{free}: too little for the ledger.", "Free some space; new files wait until then.")
    elif report.free_bytes < needed:
        longest = (
            f"{wanted.processes} recordings of {wanted.max_hours:g} hours"
            if wanted.processes > 1
            else (f"a recording of {wanted.max_hours:g} hours")
        )
        yield warning(f"{free}; {longest} would take {size(needed)}.", "Free some space, or lower `max_hours`.")
    else:
        yield ok(f"{free}.")


def of_memory(settings: Settings, worker_bytes: int, slots: int, unit: UnitFile) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    limit = unit.text("MemoryMax")
    total = min(memory.total, int(limit)) if limit.isdigit() else memory.total
    yield judge_memory(needed_bytes(settings, worker_bytes, slots), total, memory.available)


def needed_bytes(settings: Settings, worker_bytes: int, slots: int) -> int:
    """Return the most host memory that all processes may need; a worker needs most while it starts."""
    return DAEMON_BYTES + settings.prepare.processes * PREPARING_BYTES + slots * worker_bytes


def judge_memory(needed: int, total: int, available: int) -> Finding:
    sentence = f"This configuration needs up to {size(needed)} of memory; the service may use {size(total)}"
    if needed > total:
        return warning(f"{sentence}.", "Set fewer `processes` in [prepare], use a smaller model, or add memory.")
    if needed > available:
        return note(f"{sentence}, of which {size(available)} are free now.")
    return ok(f"{sentence}, and {size(available)} are free.")


def of_cores(settings: Settings, on_cpu: bool) -> Iterator[Finding]:
    yield judge_cores(settings, on_cpu, len(os.sched_getaffinity(0)))


def judge_cores(settings: Settings, on_cpu: bool, cores: int) -> Finding:
    preparing, threads = settings.prepare.processes, settings.recognize.threads if on_cpu else 0
    if preparing > cores or threads > cores:
        what = f"{preparing} preparing processes" if preparing > cores else f"{threads} recognizer threads"
        return warning(
            f"{what} are configured, but the machine has {cores} cores.", "Configure no more than there are cores."
        )
    return ok(f"{cores} cores, for {preparing} preparing {'process' if preparing == 1 else 'processes'}.")


def of_clock() -> Iterator[Finding]:
    yield judge_clock(_clock_error_usec())


def judge_clock(error_usec: int | None) -> Finding:
    if error_usec is None:
        return note("The kernel does not report whether the clock is synchronized.")
    if error_usec >= UNSURE_USEC:
        sentence = "The clock is not synchronized; times in transcripts, logs and policies may be wrong."
        return warning(sentence, "Run `timedatectl set-ntp true`, or another NTP client; in a container, on its host.")
    return ok(f"The clock is synchronized to {max(1, error_usec // 1000)} ms or better.")


def _clock_error_usec() -> int | None:
    """Return `maxerror` of adjtimex(2), as used by systemd-timedated; None if the kernel does not report it."""
    timex = ctypes.create_string_buffer(512)  # modes = 0: read only; the struct has 208 bytes on 64-bit Linux
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
        return warning(f"{whose} may open only {limit} files.", "Set LimitNOFILE=65536 in a drop-in.")
    return ok(f"{whose} may open {'any number of' if limit < 0 else limit} files.")


def of_versions() -> Iterator[Finding]:
    """List versions and report missing packages; whether they work shows in the checks that use them."""
    found = {name: _version(distribution) for distribution, name in _SHOWN.items()}
    missing = [name for name, told in found.items() if told is None]
    yield ok(", ".join([f"Python {platform.python_version()}", *(f"{n} {v}" for n, v in found.items() if v)]) + ".")
    yield from _of_ffmpeg()
    yield ok(f"SQLite {SQLITE}: one connection writes the ledger, which is safe with every version.")
    if missing:
        yield fault(f"Not installed: {', '.join(missing)}.", "Run `pip install -c constraints.txt .` again.")


def _of_ffmpeg() -> Iterator[Finding]:
    try:
        yield ok(f"FFmpeg: {isolated_call(_libraries, seconds=LOOK_SECONDS, what='FFmpeg')}.")
    except CallTimeout as error:
        yield warning(f"FFmpeg could not be tried: {error}", SLOW)
    except (CallCrashed, ImportError) as error:
        yield fault(f"FFmpeg cannot be loaded: {error}", "Run `pip install -c constraints.txt .` again.")


def _libraries() -> str:
    from transcribed.ingest.preparation.decoding.decoder import libraries  # loads FFmpeg, which may crash or hang

    return libraries()


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
