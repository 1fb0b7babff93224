"""The daemon's unit as systemd applies it: queried from systemd, or read from its files.

Knows systemd's syntax; nothing of what the settings mean here.  Sources: systemctl(1) `show`, systemd.unit(5) on the
locations of files and the precedence of drop-ins, systemd.syntax(7) on lines and quotes.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NAME = "transcribed.service"
YES, NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
SEARCHED = tuple(
    Path(folder, "systemd/system") for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)  # the first folder with the file wins
ANSWER_SECONDS = 10.0
_ASKED = (
    *("LoadState", "ActiveState", "UnitFileState", "Result", "NRestarts", "NeedDaemonReload", "WatchdogUSec"),
    *("FragmentPath", "DropInPaths", "User", "Group", "SupplementaryGroups", "DynamicUser"),
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("BindPaths", "StateDirectory", "CacheDirectory", "LogsDirectory", "RuntimeDirectory"),
    *("PrivateDevices", "DevicePolicy", "DeviceAllow", "PrivateNetwork", "RestrictAddressFamilies"),
    *("LimitNOFILESoft", "MemoryMax"),
)
_BLANK = " \t\r\n"  # systemd's white space; Unicode's has more
_UNREADABLE = "[unprintable]"  # printed by older versions of systemctl instead of a path with a space


@dataclass(frozen=True, slots=True)
class UnitFile:
    name: str = NAME
    live: bool = False  # reported by systemd; otherwise read from files, with nothing known of how it runs
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return self.text("LoadState") == "loaded"

    def text(self, key: str) -> str:
        """Return the effective value, "" if none is set."""
        return [*self.values.get(key, ()), ""][0] if self.live else ["", *self.values.get(key, ())][-1]

    def says(self, key: str) -> bool:
        return self.text(key) in YES

    def words(self, key: str) -> list[str]:
        """Return all words of a list, without quotes."""
        split = shlex.split if self.live else _words
        return [word for value in self.values.get(key, ()) for word in split(value)]


def find(name: str, searched: Sequence[Path] = SEARCHED) -> UnitFile:
    """Return the unit as systemd reports it, or from its files if systemd is not running or does not respond."""
    told = _ask(name)
    return read(name, searched) if told is None else shown(name, told)


def _ask(name: str) -> str | None:
    command = ["systemctl", "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def shown(name: str, told: str) -> UnitFile:
    """Parse the output of `systemctl show`.  Lists that it could not print are read from the files that it names."""
    values: dict[str, list[str]] = {}
    for line in told.splitlines():
        key, _, value = line.partition("=")
        values.setdefault(key, []).append(value)
    unit = UnitFile(name, True, values)
    for key in [key for key, lines in values.items() if any(_UNREADABLE in line for line in lines)]:
        files = [Path(unit.text("FragmentPath")), *map(Path, unit.words("DropInPaths"))]
        values[key] = [shlex.join(_words(" ".join(_service(name, files).get(key, ()))))]
    return unit


def read(name: str, searched: Sequence[Path] = SEARCHED) -> UnitFile:
    """Read the unit from its files, drop-ins included."""
    fragments = [folder / file for file in dict.fromkeys((name, _template(name))) for folder in searched]
    fragment = next((path for path in fragments if path.is_file()), None)
    if fragment is None:
        return UnitFile(name, values={"LoadState": ["not-found"]})
    drop_ins = _drop_ins(name, searched)
    known = {"LoadState": ["loaded"], "FragmentPath": [str(fragment)], "DropInPaths": [shlex.join(map(str, drop_ins))]}
    return UnitFile(name, values=known | _service(name, [fragment, *drop_ins]))


def _drop_ins(name: str, searched: Sequence[Path]) -> list[Path]:
    """Return the drop-ins in the order in which they apply: by file name, in whichever folder."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys((f"{name}.d", f"{_template(name)}.d", "service.d")):
        for path in (path for place in searched for path in sorted((place / folder).glob("*.conf"))):
            found.setdefault(path.name, path)
    return [found[file] for file in sorted(found)]


def _template(name: str) -> str:
    """Return the template of an instance: `transcribed@.service` for `transcribed@phones.service`."""
    head, at, tail = name.partition("@")
    return f"{head}@.{tail.rpartition('.')[2]}" if at else name


def _service(name: str, files: Iterable[Path]) -> dict[str, list[str]]:
    """Return the settings under [Service]; an empty value clears the earlier ones."""
    values: dict[str, list[str]] = {}
    for section, key, value in (line for file in files for line in _assignments(file)):
        if section == "Service":
            values[key] = [*values.get(key, ()), _specified(value, name)] if value else []
    return values


def _assignments(file: Path) -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in _lines(file):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            key, _, value = line.partition("=")
            yield section, key.strip(_BLANK), value.strip(_BLANK)


def _lines(file: Path) -> Iterator[str]:
    """Yield logical lines: without comments, and joined with the next line after a trailing backslash."""
    begun = ""
    for line in (line.strip(_BLANK) for line in file.read_text(errors="replace").split("\n")):
        if line.startswith(("#", ";")):
            continue
        begun += line
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        yield begun
        begun = ""
    yield begun


def _specified(value: str, name: str) -> str:
    """Expand the specifiers that the shipped units use: the instance, and a percent sign."""
    instance = name.partition("@")[2].rpartition(".")[0]
    known = {"%": "%", "i": instance, "I": instance}
    head, *rest = value.split("%")
    text, parts = head, iter(rest)
    for part in parts:
        if part == "":  # two percent signs
            text += "%" + next(parts, "")
        else:
            text += known.get(part[0], "%" + part[0]) + part[1:]
    return text


def _words(value: str) -> list[str]:
    """Split as systemd splits lists of paths: quotes group, and a backslash is literal."""
    lexer = shlex.shlex(value, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    return list(lexer)
