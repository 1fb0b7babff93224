"""Judge the health of machine, disks and work: conditions for rules.py.

Reads the daemon's status document, the status of its folders, and memory; does not decide when to alert.
Sentences name folders and counts, never recordings: they leave the machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from transcribed.core.quantities import gib, of_total
from transcribed.operations.alerts.folder_probe import FolderStatus
from transcribed.operations.alerts.rules import AlertRule, Condition

if TYPE_CHECKING:
    from transcribed.config.operations import AlertSettings
    from transcribed.config.settings import Settings
    from transcribed.core.telemetry import Card
    from transcribed.operations.status import DaemonStatus

SILENT_SECONDS = 900.0  # an inbox without a completed scan for so long is not being read
CPU = "cpu:"


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Memory of the machine, in bytes."""

    total: int
    available: int
    ours: int  # resident, of all our processes; shared pages count once for each


def host_memory() -> HostMemory:
    machine, us, ours = psutil.virtual_memory(), psutil.Process(), 0
    for process in (us, *us.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has exited meanwhile
            ours += process.memory_info().rss
    return HostMemory(machine.total, machine.available, ours)


def rules(settings: AlertSettings) -> dict[str, AlertRule]:
    """Return the alert rule of each condition measured here.  Any other condition alerts at once."""
    repeat = settings.repeat_hours * 3600
    vram_seconds = settings.vram_every_minutes * 60
    error, warning = AlertRule("error", repeat_seconds=repeat), AlertRule("warning", repeat_seconds=repeat)
    usual = dict.fromkeys(("disk", "inbox", "outbox", "ledger", "gpu", "bench", "channel", "configuration"), error)
    usual |= dict.fromkeys(("ram", "waiting", "restarts", "failed-files"), warning)
    vram = AlertRule(
        "warning",
        settings.vram_readings,
        vram_seconds,
        recovery_readings=2,
        repeat_seconds=repeat,
        silence_seconds=2 * vram_seconds,
    )
    return {**usual, "vram": vram}


def folders(settings: Settings) -> list[Path]:
    """Return the folders to probe; a disk is named after the first of its folders."""
    boxes = [folder for inbox in settings.inbox for folder in (inbox.outbox, inbox.path)]
    return [settings.state_dir, settings.spool_dir, *boxes]


def conditions(
    settings: Settings,
    status: DaemonStatus | None,
    seen: Mapping[Path, FolderStatus | str],
    memory: HostMemory,
    lost_workers: int,
    now: float,
) -> tuple[Iterator[Condition], ...]:
    """Return the conditions by kind, so that a kind that cannot be judged holds back no other.

    Without a status, only memory, disks and outboxes are judged.  `lost_workers` in the last hour; `now` in seconds
    since the epoch.
    """
    measured = _memory(memory, settings.alerts), _disks(settings, seen), _outboxes(settings, seen)
    if status is None:
        return measured
    return (
        *measured,
        _cards(status, settings.alerts),
        _inboxes(settings, status, seen),
        _slots(settings, status, lost_workers),
        _files(status, settings.alerts, now),
        _ledger(status),
        _configuration(status),
    )


# --- the machine -------------------------------------------------------------------------------------


def _cards(status: DaemonStatus, limits: AlertSettings) -> Iterator[Condition]:
    for slot in status.slots:
        name, card = slot.slot, slot.card
        if name.startswith(CPU):
            continue
        trouble = card.trouble if card else status.cards or "NVML does not list the card."
        yield Condition(
            "gpu",
            name,
            bool(trouble),
            f"{name} cannot be used: {trouble}" if trouble else f"{name} is available again.",
            "Work waits for the card.  See `nvidia-smi`, and `dmesg` for driver messages." if trouble else "",
        )
        if card and not trouble:
            yield _vram(name, card, limits)


def _vram(name: str, card: Card, limits: AlertSettings) -> Condition:
    used, total, others = card.used_bytes, card.total_bytes, card.others_bytes
    whose = "" if others is None else f"  Other programs hold {gib(others)} of it."
    bad = used > limits.vram_limit * total
    sentence = f"{name} has {used / total:.0%} of its memory in use ({gib(used)} of {gib(total)}).{whose}"
    return Condition("vram", name, bad, sentence, "`nvidia-smi` shows which processes hold it." if bad else "")


def _memory(memory: HostMemory, limits: AlertSettings) -> Iterator[Condition]:
    least, most = (of_total(limit, memory.total) for limit in (limits.ram_available, limits.ram_ours))
    available = f"The machine has {gib(memory.available)} of its {gib(memory.total)} of memory available."
    bad = memory.available < least
    yield Condition(
        "ram", "machine", bad, available, "Find out which process holds it, before the kernel kills one." if bad else ""
    )
    ours = f"The processes of transcribed use {gib(memory.ours)} of memory in total."
    bad = memory.ours > most
    hint = "Lower `prepare.processes` to save memory.  Restart the service, and report a bug if its use grows again."
    yield Condition("ram", "transcribed", bad, ours, hint if bad else "")


def _disks(settings: Settings, seen: Mapping[Path, FolderStatus | str]) -> Iterator[Condition]:
    """Yield one condition per disk, however many of our folders are on it."""
    inboxes = {inbox.path for inbox in settings.inbox}
    disks: dict[int, tuple[Path, FolderStatus]] = {}
    for folder, there in seen.items():
        if isinstance(there, FolderStatus) and folder not in inboxes:
            disks.setdefault(there.device, (folder, there))
    for folder, disk in disks.values():
        short = disk.free_bytes < of_total(settings.alerts.disk_free, disk.total_bytes)
        few = disk.free_inodes < settings.alerts.inodes_free * disk.total_inodes
        sentence = f"The disk of {folder} has {gib(disk.free_bytes)} of {gib(disk.total_bytes)} free"
        sentence += f" and {disk.free_inodes} of {disk.total_inodes} inodes." if few else "."
        hint = (
            "Delete or move some files: many small ones use up inodes."
            if few
            else "Free some space; work waits until then."
        )
        yield Condition("disk", str(folder), short or few, sentence, hint if short or few else "")


# --- folders -----------------------------------------------------------------------------------------


def _inboxes(settings: Settings, status: DaemonStatus, seen: Mapping[Path, FolderStatus | str]) -> Iterator[Condition]:
    watched = {inbox.path: inbox for inbox in status.inboxes}
    for inbox in settings.inbox:
        there, found = seen.get(inbox.path), watched.get(str(inbox.path))
        trouble = (found.trouble if found else None) or (
            f"{inbox.path} cannot be reached: {there}" if isinstance(there, str) else None
        )
        silent_seconds = (found.scanned_seconds_ago if found else None) or 0
        if not trouble and silent_seconds > SILENT_SECONDS:
            trouble = f"{inbox.path} has not been scanned for {silent_seconds / 60:.0f} minutes."
        yield _reached("inbox", inbox.path, trouble, "New recordings there go unnoticed.")


def _outboxes(settings: Settings, seen: Mapping[Path, FolderStatus | str]) -> Iterator[Condition]:
    for inbox in settings.inbox:
        there = seen.get(inbox.outbox)
        trouble = f"{inbox.outbox} cannot be reached: {there}" if isinstance(there, str) else None
        if isinstance(there, FolderStatus) and not there.writable:
            trouble = f"{inbox.outbox} cannot be written."
        yield _reached("outbox", inbox.outbox, trouble, "Transcripts wait until they can be written there.")


def _reached(rule: str, folder: Path, trouble: str | None, effect: str) -> Condition:
    hint = f"{effect}  Check the share, its mount, and the permissions of the service's user." if trouble else ""
    return Condition(rule, str(folder), bool(trouble), trouble or f"{folder} is available again.", hint)


# --- work --------------------------------------------------------------------------------------------


def _slots(settings: Settings, status: DaemonStatus, lost_workers: int) -> Iterator[Condition]:
    preparing = (f"prepare:{n}" for n in range(settings.prepare.processes))
    for name in dict.fromkeys([*(slot.slot for slot in status.slots), *preparing, *status.benched]):
        reason = status.benched.get(name)
        sentence = f"No worker can start in {name}: {reason}" if reason else f"Workers can start in {name} again."
        yield Condition("bench", name, bool(reason), sentence, "The daemon retries automatically." if reason else "")
    bad = lost_workers > settings.alerts.restarts
    sentence = f"{lost_workers} workers died or hung within the last hour."
    hint = "The log names them and their work.  `dmesg` shows whether the kernel killed them because memory ran out."
    yield Condition("restarts", "workers", bad, sentence, hint if bad else "")


def _files(status: DaemonStatus, limits: AlertSettings, now: float) -> Iterator[Condition]:
    for path, failed in status.lately.failed.items():
        bad = failed > limits.failed_files
        sentence = f"{failed or 'No'} file{'s' * (failed != 1)} failed in {path} in the last 4 hours."
        hint = "`transcribed status` lists them; notes in the outbox say why.  `transcribed retry` queues them again."
        yield Condition("failed-files", path, bad, sentence, hint if bad else "")
    sentence, bad = "No file has waited too long.", False
    if oldest := status.lately.oldest:
        hours = (now - datetime.fromisoformat(oldest.since).timestamp()) / 3600
        if bad := hours > limits.waiting_hours:
            sentence = f"A file in {oldest.inbox} has waited for {hours:.0f} hours."
    yield Condition("waiting", "queue", bad, sentence, "`transcribed status` shows the reason." if bad else "")


def _ledger(status: DaemonStatus) -> Iterator[Condition]:
    trouble = status.ledger
    hint = "No job starts until the ledger can be written.  Free space on its disk." if trouble else ""
    yield Condition("ledger", "ledger", bool(trouble), trouble or "The ledger can be written.", hint)


def _configuration(status: DaemonStatus) -> Iterator[Condition]:
    rejected = status.rejected
    hint = "Correct the file, check it with `transcribed check-config`, and reload again." if rejected else ""
    yield Condition("configuration", "configuration", bool(rejected), rejected or "The configuration is in use.", hint)
