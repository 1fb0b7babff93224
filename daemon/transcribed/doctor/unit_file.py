"""The unit under which the daemon runs, as systemd applies it: asked of systemd, or read from its files.

Knows how systemd spells things; nothing of what they mean to us.  Sources: systemctl(1) `show`, systemd.unit(5) on
where files lie and how drop-ins go over each other, systemd.syntax(7) on lines and quotes.
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
)  # the first that has a file wins
ANSWER_SECONDS = 10.0
_ASKED = (
    *("LoadState", "ActiveState", "UnitFileState", "Result", "NRestarts", "NeedDaemonReload", "WatchdogUSec"),
    *("FragmentPath", "DropInPaths", "User", "Group", "SupplementaryGroups", "DynamicUser"),
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("BindPaths", "StateDirectory", "CacheDirectory", "LogsDirectory", "RuntimeDirectory"),
    *("PrivateDevices", "DevicePolicy", "DeviceAllow", "PrivateNetwork", "RestrictAddressFamilies"),
    *("LimitNOFILESoft", "MemoryMax"),
)
_BLANK = " \t\r\n"  # to systemd; Unicode knows more
_UNREADABLE = "[unprintable]"  # what older versions of systemctl show instead of a path with a space


@dataclass(frozen=True, slots=True)
class UnitFile:
    name: str = NAME
    live: bool = False  # told by systemd; else read from files, and nothing is known of how it runs
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return self.text("LoadState") == "loaded"

    def text(self, key: str) -> str:
        """The value that holds, "" where none is set."""
        return [*self.values.get(key, ()), ""][0] if self.live else ["", *self.values.get(key, ())][-1]

    def says(self, key: str) -> bool:
        return self.text(key) in YES

    def words(self, key: str) -> list[str]:
        """All words of a list, quotes taken off."""
        split = shlex.split if self.live else _words
        return [word for value in self.values.get(key, ()) for word in split(value)]


def find(name: str, searched: Sequence[Path] = SEARCHED) -> UnitFile:
    """The unit as systemd knows it; where systemd does not run or answer, as its files say."""
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
    """What `systemctl show` printed.  Lists that it could not print are read from the files that it names."""
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
    """The unit as its files say, drop-ins included."""
    fragments = [folder / file for file in dict.fromkeys((name, _template(name))) for folder in searched]
    fragment = next((path for path in fragments if path.is_file()), None)
    if fragment is None:
        return UnitFile(name, values={"LoadState": ["not-found"]})
    drop_ins = _drop_ins(name, searched)
    known = {"LoadState": ["loaded"], "FragmentPath": [str(fragment)], "DropInPaths": [shlex.join(map(str, drop_ins))]}
    return UnitFile(name, values=known | _service(name, [fragment, *drop_ins]))


def _drop_ins(name: str, searched: Sequence[Path]) -> list[Path]:
    """In the order in which they apply: by file name, wherever they lie."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys((f"{name}.d", f"{_template(name)}.d", "service.d")):
        for path in (path for place in searched for path in sorted((place / folder).glob("*.conf"))):
            found.setdefault(path.name, path)
    return [found[file] for file in sorted(found)]


def _template(name: str) -> str:
    """`transcribed@phones.service` is made from `transcribed@.service`."""
    head, at, tail = name.partition("@")
    return f"{head}@.{tail.rpartition('.')[2]}" if at else name


def _service(name: str, files: Iterable[Path]) -> dict[str, list[str]]:
    """What stands under [Service]; an empty value empties what was there before."""
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
    """Logical lines: comments dropped, those that end in a backslash joined with the next."""
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
    """The specifiers that our units use: the instance, and a percent sign."""
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
    """Split as systemd splits lists of paths: quotes group, a backslash is only a backslash."""
    lexer = shlex.shlex(value, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    return list(lexer)
