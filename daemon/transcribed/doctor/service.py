"""How the unit is installed and runs, what the daemon says of itself, and whether somebody would be told of trouble.

Judges what systemd and the daemon say; asks neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from transcribed.config.settings import Settings
from transcribed.doctor.findings import Finding, fault, note, ok, warning
from transcribed.doctor.sandbox_access import restart
from transcribed.doctor.unit_file import UnitFile
from transcribed.state.control_files import STATUS_VERSION

SILENT_SECONDS = 60.0  # a daemon that runs says something every five
_OUTWARD = {"AF_INET", "AF_INET6"}


def of_unit(unit: UnitFile) -> Iterator[Finding]:
    name = unit.name.removesuffix(".service")
    if not unit.is_installed:
        fix = "See README, Install; without systemd, `transcribed run` does the same in the foreground."
        yield warning(f"{unit.name} is not installed.", fix)
        return
    if not unit.live:
        yield note(f"{unit.name} is installed ({unit.text('FragmentPath')}); systemd does not run here.")
        return
    if unit.says("NeedDaemonReload"):
        yield warning(
            f"The files of {unit.name} have changed since systemd read them.", restart(unit.name).capitalize()
        )
    if unit.text("UnitFileState") not in ("enabled", "enabled-runtime", "generated", "alias"):
        yield warning(f"{unit.name} does not start when the machine does.", f"`systemctl enable {name}`")
    yield from _of_run(unit, name)


def _of_run(unit: UnitFile, name: str) -> Iterator[Finding]:
    state = unit.text("ActiveState")
    if state == "failed":
        yield fault(f"{unit.name} has failed ({unit.text('Result')}).", f"`journalctl -u {name} -n 50` says why.")
    elif state != "active":
        yield warning(f"{unit.name} is {state}; nothing is transcribed.", f"`systemctl start {name}`")
    else:
        yield ok(f"{unit.name} runs; {_watchdog(unit)}.")
    if unit.text("NRestarts") not in ("", "0"):
        yield note(f"systemd has restarted it {unit.text('NRestarts')} times.", f"`journalctl -u {name}` says why.")


def _watchdog(unit: UnitFile) -> str:
    every = unit.text("WatchdogUSec")
    if every in ("", "0", "infinity"):
        return "no watchdog restarts it should it hang (WatchdogSec=)"
    return f"it is restarted if it says nothing for {every}"


def of_daemon(status: dict[str, Any] | None, now: float) -> Iterator[Finding]:
    """`status` as the daemon last wrote it (control_files.py)."""
    if status is None:
        yield note("No daemon has run with this state directory yet.", "`systemctl start transcribed`")
        return
    if status.get("schema_version") != STATUS_VERSION:
        yield warning("The daemon that ran last was of another version.", "`systemctl restart transcribed`")
        return
    if not status["alive"]:
        yield note(f"The daemon does not run; it last said at {status['at']}: {status['summary']}")
        return
    silent = now - datetime.fromisoformat(status["at"]).astimezone(UTC).timestamp()
    if silent > SILENT_SECONDS:
        yield fault(f"The daemon runs, and has said nothing for {silent:.0f} s.", "`systemctl restart transcribed`")
        return
    yield ok(f"The daemon says: {status['summary']}")
    for trouble in status["troubles"]:
        yield warning(trouble, "`transcribed status` tells more.")


def of_alerts(settings: Settings, unit: UnitFile) -> Iterator[Finding]:
    named = bool(settings.alerts.urls or settings.alerts.credentials)
    if not named:
        fix = "Name somebody to tell under [alerts], and try it with `transcribed test-alert`."
        yield note("Nobody is told of trouble: it is only in the log and in `transcribed status`.", fix)
        return
    if reason := _kept_in(unit):
        sentence = f"Alerts cannot leave: {unit.name} has {reason}."
        fix = "In a drop-in: PrivateNetwork=no and RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK."
        yield fault(sentence, fix)
        return
    yield ok(
        "There are channels for alerts, and nothing in the unit keeps them in; `transcribed test-alert` tries them."
    )


def _kept_in(unit: UnitFile) -> str | None:
    """What in the unit keeps the daemon from the network."""
    if not unit.is_installed:
        return None
    if unit.says("PrivateNetwork"):
        return "PrivateNetwork=yes"
    families = unit.words("RestrictAddressFamilies")
    if not families:
        return None
    denied = families[0].startswith("~")
    listed = _OUTWARD & {family.lstrip("~") for family in families}
    open_ = _OUTWARD - listed if denied else listed
    return None if open_ else f"RestrictAddressFamilies={' '.join(families)}"
