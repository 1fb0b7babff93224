"""The daemon's unit as systemd applies it.

Where systemd does not run, nothing is known of the unit.  Knows how systemd prints settings; nothing of what they mean
here.  Sources: systemctl(1) `show`, busctl(1) `get-property`.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

NAME = "transcribed.service"
YES, NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
ANSWER_SECONDS = 10.0
_ASKED = (
    *("LoadState", "ActiveState", "UnitFileState", "Result", "NRestarts", "NeedDaemonReload", "WatchdogUSec"),
    *("FragmentPath", "DropInPaths", "User", "Group", "SupplementaryGroups", "DynamicUser"),
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("BindPaths", "StateDirectory", "CacheDirectory", "LogsDirectory", "RuntimeDirectory"),
    *("PrivateDevices", "DevicePolicy", "DeviceAllow", "PrivateNetwork", "RestrictAddressFamilies"),
    *("AmbientCapabilities", "LimitNOFILESoft", "MemoryMax"),
)
_UNREADABLE = "[unprintable]"  # printed by older versions of systemctl instead of a path with a space


@dataclass(frozen=True, slots=True)
class UnitFile:
    name: str = NAME
    live: bool = False  # reported by systemd; otherwise nothing is known of it
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return self.text("LoadState") == "loaded"

    def text(self, key: str) -> str:
        """Return the effective value, "" if none is set."""
        return next(iter(self.values.get(key, ())), "")

    def says(self, key: str) -> bool:
        return self.text(key) in YES

    def words(self, key: str) -> list[str]:
        """Return all words of a list, without quotes."""
        return [word for value in self.values.get(key, ()) for word in shlex.split(value)]


def find(name: str) -> UnitFile:
    """Return the unit as systemd reports it; one that is not `live` if systemd is not running or does not respond."""
    told = _answer(["systemctl", "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", name])
    return UnitFile(name) if told is None else shown(name, told)


def shown(name: str, told: str, list_of: Callable[[str, str], list[str]] | None = None) -> UnitFile:
    """Parse the output of `systemctl show`; `list_of` queries, by unit and key, a list that it could not print."""
    values: dict[str, list[str]] = {}
    for line in told.splitlines():
        key, _, value = line.partition("=")
        values.setdefault(key, []).append(value)
    for key, lines in values.items():
        if any(_UNREADABLE in line for line in lines):
            values[key] = [shlex.join((list_of or _list_of)(name, key))]
    return UnitFile(name, True, values)


def _list_of(name: str, key: str) -> list[str]:
    """Query a list of strings over D-Bus, where no path is unprintable; [] if there is no answer."""
    path = "/org/freedesktop/systemd1/unit/" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", name)
    service, interface = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Service"
    told = _answer(["busctl", "--json=short", "get-property", service, path, interface, key])
    try:
        return [str(word) for word in json.loads(told or "")["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def _answer(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
