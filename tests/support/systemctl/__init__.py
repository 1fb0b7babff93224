"""What `systemctl show` printed of the shipped unit, on a Debian 12 (systemd 252) booted by systemd-nspawn.

`shipped`: installed as it is; `active`: with a drop-in by `transcribed doctor --write-drop-in`, running; `failed`: its
process ends at once; `absent`: not installed.  ExecStart was another in those that were started.
"""

from pathlib import Path

from transcribed.doctor.unit_file import NAME, UnitFile
from transcribed.doctor.unit_file import shown as parsed


def printed(case: str) -> str:
    return Path(__file__).with_name(f"{case}.txt").read_text()


def unit(case: str, **changed: str) -> UnitFile:
    """As printed, with some properties replaced."""
    lines = [line for line in printed(case).splitlines() if line.partition("=")[0] not in changed]
    return parsed(NAME, "\n".join([*lines, *(f"{key}={value}" for key, value in changed.items())]))
