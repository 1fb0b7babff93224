"""Which of the configured places the unit's sandbox lets the service write to, and see at all.

The commonest "permission denied" of all: `ProtectSystem=strict` makes everything read-only that is not named.  Knows
the unit's settings and paths; looks at no disk.  Source: systemd.exec(5), "Sandboxing".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from transcribed.checks import Finding, fault, ok
from transcribed.settings import Settings
from transcribed.unit import NO, YES, Unit

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_OF_SYSTEM = tuple(map(Path, ("/usr", "/boot", "/efi")))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  named, not used
_MADE = {"State": "/var/lib", "Cache": "/var/cache", "Logs": "/var/log", "Runtime": "/run"}


class View(Enum):
    """What the service sees of a path."""

    WRITABLE = "it may be written"
    READ_ONLY = "it is read-only"
    HIDDEN = "it is not to be seen"
    PRIVATE = "it is not the folder that others see"


@dataclass(frozen=True, slots=True)
class Place:
    path: Path
    written: bool


def places(settings: Settings, log_folder: Path | None = None) -> list[Place]:
    """Every folder that the configuration names, and whether the daemon writes there."""
    found: dict[Path, bool] = {settings.state_dir: True, settings.models_dir: False}
    if log_folder:
        found[log_folder] = True
    for inbox in settings.inbox:
        found[inbox.path] = found.get(inbox.path, False) or inbox.after_success != "keep"
        found[inbox.outbox] = True
        if inbox.move_to:
            found[inbox.move_to] = True
    return [Place(path, written) for path, written in found.items()]


def findings(wanted: Iterable[Place], unit: Unit) -> Iterator[Finding]:
    """`wanted` with links resolved.  Nothing, where there is no unit."""
    if not unit.is_installed:
        return
    blocked: dict[View, list[Path]] = {}
    for place in wanted:
        seen = view(place.path, unit)
        if seen is not View.WRITABLE and (place.written or seen is not View.READ_ONLY):
            blocked.setdefault(seen, []).append(place.path)
    yield from (_blocked(paths, seen, unit) for seen, paths in blocked.items())
    if not blocked:
        yield ok(f"The sandbox of {unit.name} lets the service write wherever the configuration says.")


def _blocked(paths: Sequence[Path], seen: View, unit: Unit) -> Finding:
    sentence = f"The sandbox of {unit.name} blocks {', '.join(map(str, paths))}: to the service, {seen.value}."
    if seen is View.PRIVATE:
        return fault(sentence, "Name a folder outside /tmp; PrivateTmp=yes gives the service a /tmp of its own.")
    return fault(sentence, f"Run `transcribed doctor --write-drop-in`, then {restart(unit.name)}.")


def restart(unit: str) -> str:
    return f"`systemctl daemon-reload && systemctl restart {unit.removesuffix('.service')}`"


def view(path: Path, unit: Unit) -> View:
    """What the longest rule says that a path lies under; what is hidden hides all below."""
    rules = [rule for rule in _rules(unit) if rule[0] == path or rule[0] in path.parents]
    if any(seen is View.HIDDEN for _, seen in rules):
        return View.HIDDEN
    return max(rules, key=lambda rule: len(rule[0].parts), default=(path, View.WRITABLE))[1]


def _rules(unit: Unit) -> Iterator[tuple[Path, View]]:
    yield from ((path, View.WRITABLE) for path in _made(unit))
    yield from ((path, View.WRITABLE) for path in _paths(unit, "ReadWritePaths"))
    yield from ((path, View.READ_ONLY) for path in _paths(unit, "ReadOnlyPaths"))
    yield from ((path, View.HIDDEN) for path in _paths(unit, "InaccessiblePaths"))
    if unit.says("PrivateTmp"):
        yield from ((path, View.PRIVATE) for path in _TEMPORARY)
    yield from ((path, View.READ_ONLY) for path in _protected(unit.text("ProtectSystem")))
    if home := _homes_are(unit.text("ProtectHome")):
        yield from ((path, home) for path in HOMES)


def _protected(system: str) -> tuple[Path, ...]:
    if system == "strict":
        return (Path("/"),)
    if system == "full":
        return (*_OF_SYSTEM, Path("/etc"))
    return _OF_SYSTEM if system in YES else ()


def _homes_are(protected: str) -> View | None:
    if protected == "read-only":
        return View.READ_ONLY
    return None if protected in ("", *NO) else View.HIDDEN


def _made(unit: Unit) -> Iterator[Path]:
    """What systemd makes for the service, and lets it write."""
    for kind, root in _MADE.items():
        yield from (Path(root, name) for name in unit.words(f"{kind}Directory"))


def _paths(unit: Unit, key: str) -> Iterator[Path]:
    return (Path(word.lstrip("-+")) for word in unit.words(key))
