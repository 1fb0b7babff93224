"""`transcribed doctor`: run all checks concurrently, each with its own deadline, and yield the findings in order.

Knows the checks and what each needs; judges nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transcribed import __version__
from transcribed.config.settings import Settings, log_folder
from transcribed.core.telemetry import Reading
from transcribed.daemon import factories
from transcribed.doctor import (
    drop_in,
    folders,
    gpu,
    inotify_limits,
    machine,
    recognition,
    sandbox_access,
    service,
    service_user,
    unit_file,
)
from transcribed.doctor.findings import SLOW, Finding, Level, fault, warning
from transcribed.doctor.service_user import ServiceUser
from transcribed.doctor.unit_file import UnitFile
from transcribed.pipeline.scheduling.slots import Slots, choose_slots, read
from transcribed.state import control_files
from transcribed.system.isolated_call import MachineBusy

SCHEMA_VERSION = 1  # of the JSON
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Check:
    title: str
    findings: Callable[[], Iterable[Finding]]
    alone: bool = False  # measures times, so nothing may run beside it


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    findings: tuple[Finding, ...]
    seconds: float


def examine(checks: Iterable[Check]) -> Iterator[Section]:
    """Yield each section once it and all before it are done; checks that run alone come last."""
    checks = list(checks)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [pool.submit(_run, check) for check in checks if not check.alone]
        yield from (future.result() for future in begun)
    yield from (_run(check) for check in checks if check.alone)


def _run(check: Check) -> Section:
    """Run a check; turn an unexpected error into a finding, so that the other checks go on."""
    started = time.monotonic()
    found: list[Finding] = []
    try:
        found.extend(check.findings())
    except MachineBusy as error:
        found.append(warning(str(error), SLOW))
    except Exception as error:
        sentence = f"This check failed: {type(error).__name__}: {error}"
        found.append(fault(sentence, "Please report this error; the other checks are not affected."))
    return Section(check.title, tuple(found), time.monotonic() - started)


def checks(settings: Settings, its_unit: UnitFile, *, quick: bool = False) -> list[Check]:
    """Return the checks that this configuration needs; `quick` leaves out those that load PyTorch or a model."""
    user = service_user.of(its_unit)
    reading = _reading(settings)
    slots = choose_slots(settings.recognize.device, reading, read(settings.state_dir).cards)
    policy, boot_bytes = settings.gpu.schedule.at(time.time()), recognition.boot_bytes(settings, slots.on_cpu)
    ready = gpu.ready(slots, reading, policy, boot_bytes)
    return [
        Check(
            "Devices",
            lambda: [
                *gpu.of_reading(reading, slots, settings.recognize.device, policy, boot_bytes),
                *gpu.of_devices(its_unit, slots),
                *([] if quick else gpu.of_torch(ready)),
            ],
        ),
        Check("Models", lambda: [*recognition.of_files(settings, user), *recognition.of_cautions(settings)]),
        Check("Service", lambda: _of_service(settings, its_unit)),
        Check("Folders", lambda: [user.finding, *folders.of_all(settings, its_unit, log_folder(settings))]),
        *(
            Check(f"Inbox {inbox.path}", lambda inbox=inbox: folders.of_inbox(inbox, user))  # type: ignore[misc]
            for inbox in settings.inbox
        ),
        Check("Events", lambda: inotify_limits.findings(settings, user)),
        Check("Machine", lambda: _of_machine(settings, its_unit, user, slots, boot_bytes)),
        *([] if quick else [Check("Words", lambda: recognition.of_words(settings, ready), alone=True)]),
    ]


def _reading(settings: Settings) -> Reading:
    """Read the cards, if any may be used, within a deadline."""
    if settings.recognize.device == "cpu":
        return Reading()
    monitor = factories.make_monitor_pool()
    monitor.start()
    try:
        return factories.first_reading(monitor)
    finally:
        monitor.stop(grace=0)


def _of_service(settings: Settings, its_unit: UnitFile) -> Iterator[Finding]:
    yield from service.of_unit(its_unit)
    status, exists = control_files.read_status(settings.state_dir), (settings.state_dir / control_files.STATUS).exists()
    yield from service.of_daemon(status, time.time(), exists=exists)
    yield from service.of_alerts(settings, its_unit)


def _of_machine(
    settings: Settings, its_unit: UnitFile, user: ServiceUser, slots: Slots, boot_bytes: int
) -> Iterator[Finding]:
    yield from machine.of_state(settings, its_unit, user)
    yield from machine.of_memory(settings, boot_bytes, len(slots.names), its_unit)
    yield from machine.of_cores(settings, slots.on_cpu)
    yield from machine.of_open_files(its_unit)
    yield from machine.of_decoders(settings, user)
    yield from machine.of_kernel()
    yield from machine.of_clock()
    yield from machine.of_versions()


# --- results -------------------------------------------------------------------------------------------


def faults(sections: Iterable[Section]) -> int:
    return sum(finding.level is Level.FAULT for section in sections for finding in section.findings)


def document(sections: Iterable[Section]) -> dict[str, Any]:
    """Return the findings as a JSON document."""
    sections = list(sections)
    return {
        "schema_version": SCHEMA_VERSION,
        "software": f"transcribed {__version__}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "faults": faults(sections),
        "sections": [asdict(section) for section in sections],
    }


def write_drop_in(settings: Settings, config: Path, its_unit: UnitFile, place: Path = drop_in.PLACE) -> Path:
    """Open the unit's sandbox for every configured folder.  Raise Misconfigured or Unavailable."""
    named = sandbox_access.to_open(settings, log_folder(settings))
    open_already = its_unit.is_installed and its_unit.text("ProtectHome") in ("", *unit_file.NO)
    text = drop_in.text(named, config, () if open_already else sandbox_access.HOMES)
    return drop_in.write(text, its_unit.name, place)
