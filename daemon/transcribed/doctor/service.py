"""Checks of the installed unit, the daemon's own status, and the alert channels.

Judges what systemd and the daemon report; queries neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from transcribed.config.settings import Settings
from transcribed.doctor.findings import Finding, fault, note, ok, warning
from transcribed.doctor.sandbox_access import restart
from transcribed.doctor.unit_file import UnitFile
from transcribed.state.status_document import StatusDocument

SILENT_SECONDS = 60.0  # a running daemon writes its status every five seconds
_OUTWARD = {"AF_INET", "AF_INET6"}


def of_unit(unit: UnitFile) -> Iterator[Finding]:
    name = unit.name.removesuffix(".service")
    if not unit.live:
        yield note(f"systemd is not running here; {unit.name} was not checked.")
        return
    if not unit.is_installed:
        fix = "See README, Install.  Without systemd, `transcribed run` runs the daemon in the foreground."
        yield warning(f"{unit.name} is not installed.", fix)
        return
    if unit.says("NeedDaemonReload"):
        yield warning(
            f"The files of {unit.name} have changed since systemd read them.", restart(unit.name).capitalize()
        )
    if unit.text("UnitFileState") not in ("enabled", "enabled-runtime", "generated", "alias"):
        yield warning(f"{unit.name} does not start at boot.", f"Run `systemctl enable {name}`.")
    yield from _of_run(unit, name)


def _of_run(unit: UnitFile, name: str) -> Iterator[Finding]:
    state = unit.text("ActiveState")
    if state == "failed":
        yield fault(f"{unit.name} has failed ({unit.text('Result')}).", f"`journalctl -u {name} -n 50` shows why.")
    elif state != "active":
        yield warning(f"{unit.name} is {state}; nothing is transcribed.", f"Run `systemctl start {name}`.")
    else:
        yield ok(f"{unit.name} is running; {_watchdog(unit)}.")
    if unit.text("NRestarts") not in ("", "0"):
        yield note(
            f"systemd has restarted {unit.name} {unit.text('NRestarts')} times.", f"`journalctl -u {name}` shows why."
        )


def _watchdog(unit: UnitFile) -> str:
    every = unit.text("WatchdogUSec")
    if every in ("", "0", "infinity"):
        return "no watchdog restarts it if it hangs (WatchdogSec=)"
    return f"the watchdog restarts it after {every} of silence"


def of_daemon(status: StatusDocument | None, now: float, *, exists: bool = False) -> Iterator[Finding]:
    """Judge `status`, the document last written by the daemon (control_files.py); `exists` if there is one, readable
    or not.
    """
    if status is None and exists:
        sentence = "The daemon's status is damaged, or of another version."
        yield warning(sentence, "Run `systemctl restart transcribed`.")
        return
    if status is None:
        yield note("No daemon has run with this state directory yet.", "Run `systemctl start transcribed`.")
        return
    if not status["alive"]:
        yield note(f"The daemon is not running; its last status, at {status['at']}: {status['summary']}")
        return
    silent = now - datetime.fromisoformat(status["at"]).astimezone(UTC).timestamp()
    if silent > SILENT_SECONDS:
        yield fault(
            f"The daemon is running but has been silent for {silent:.0f} s.", "Run `systemctl restart transcribed`."
        )
        return
    yield ok(f"The daemon reports: {status['summary']}")
    for trouble in status["troubles"]:
        yield warning(trouble, "See `transcribed status` for details.")


def of_alerts(settings: Settings, unit: UnitFile) -> Iterator[Finding]:
    named = bool(settings.alerts.urls or settings.alerts.credentials)
    if not named:
        fix = "Add a channel under [alerts], and try it with `transcribed test-alert`."
        yield note("No alert channel is configured: problems show only in the log and in `transcribed status`.", fix)
        return
    if reason := _kept_in(unit):
        sentence = f"Alerts cannot be sent: {unit.name} has {reason}."
        fix = "Set in a drop-in: PrivateNetwork=no and RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK."
        yield fault(sentence, fix)
        return
    yield ok("Alert channels are configured, and the unit does not block them; `transcribed test-alert` tries them.")


def _kept_in(unit: UnitFile) -> str | None:
    """Return the setting of the unit that blocks the network; None if none does."""
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
