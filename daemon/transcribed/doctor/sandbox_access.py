"""Check which configured folders the unit's sandbox lets the service see and write.

The most common cause of "permission denied": `ProtectSystem=strict` makes everything read-only that is not listed.
Knows the unit's settings and paths; reads no disk.  Source: systemd.exec(5), "Sandboxing".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from transcribed.config.settings import Settings
from transcribed.core.errors import Misconfigured
from transcribed.doctor.findings import Finding, fault, ok, warning
from transcribed.doctor.unit_file import NO, YES, UnitFile

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_OF_SYSTEM = tuple(map(Path, ("/usr", "/boot", "/efi")))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  compared, never written
_MADE = {"State": "/var/lib", "Cache": "/var/cache", "Logs": "/var/log", "Runtime": "/run"}


class SandboxView(Enum):
    """The service's view of a path."""

    WRITABLE = "it may be written"
    READ_ONLY = "it is read-only"
    HIDDEN = "it is hidden"
    PRIVATE = "it is a private copy, not the folder that others see"


@dataclass(frozen=True, slots=True)
class ConfiguredPath:
    path: Path
    written: bool


def places(settings: Settings, log_folder: Path | None = None) -> list[ConfiguredPath]:
    """Return every configured folder, and whether the daemon writes there."""
    found: dict[Path, bool] = {settings.state_dir: True, settings.models_dir: False}
    if log_folder:
        found[log_folder] = True
    for inbox in settings.inbox:
        found[inbox.path] = found.get(inbox.path, False) or inbox.after_success != "keep"
        found[inbox.outbox] = True
        if inbox.move_to:
            found[inbox.move_to] = True
    return [ConfiguredPath(path, written) for path, written in found.items()]


def to_open(settings: Settings, log_folder: Path | None = None) -> list[Path]:
    """Return the folders for ReadWritePaths=, the outermost ones only.

    Each entry becomes a mount of its own, and files cannot be renamed across mounts: an inbox and its `move_to` folder
    are therefore opened by a common parent.  Raise Misconfigured if that parent would be /.
    """
    named = {place.path for place in places(settings, log_folder)} - {settings.models_dir}
    named |= {_around(inbox, move_to) for inbox, move_to in moves(settings)}
    return sorted(path for path in named if not named & {*path.parents})


def moves(settings: Settings) -> list[tuple[Path, Path]]:
    """Return the pairs (inbox, target) between which recordings are moved."""
    return [(i.path, i.move_to) for i in settings.inbox if i.move_to and i.after_success == "move"]


def _around(inbox: Path, move_to: Path) -> Path:
    common = Path(os.path.commonpath((inbox, move_to)))
    if common == Path("/"):
        raise Misconfigured(
            f"systemd's sandbox prevents moving recordings from {inbox} to {move_to}: only / holds both.",
            "Set move_to to a folder beside the inbox.",
        )
    return common


def findings(
    wanted: Iterable[ConfiguredPath], unit: UnitFile, moved: Iterable[tuple[Path, Path]] = ()
) -> Iterator[Finding]:
    """Yield blocked and divided folders; `wanted` and `moved` have links resolved.  Yield nothing without a unit."""
    if not unit.is_installed:
        return
    blocked: dict[SandboxView, list[Path]] = {}
    for place in wanted:
        seen = view(place.path, unit)
        if seen is not SandboxView.WRITABLE and (place.written or seen is not SandboxView.READ_ONLY):
            blocked.setdefault(seen, []).append(place.path)
    yield from (_blocked(paths, seen, unit) for seen, paths in blocked.items())
    divided = [pair for pair in moved if _is_divided(*pair, unit)]
    yield from (_divided(one, other, unit) for one, other in divided)
    if not blocked and not divided:
        yield ok(f"The sandbox of {unit.name} lets the service write to all configured folders.")


def of_writers(settings: Settings, unit: UnitFile) -> Iterator[Finding]:
    """Check that the service is told who still writes a recording that it is to move or delete."""
    touched = [str(inbox.path) for inbox in settings.inbox if inbox.after_success != "keep"]
    if not touched or not unit.is_installed:
        return
    if "cap_lease" in unit.text("AmbientCapabilities").lower().split():
        yield ok("Recordings on local disks are not moved or deleted while anybody on this machine writes them.")
        return
    sentence = f"{unit.name} lacks CAP_LEASE: recordings in {', '.join(touched)} may be moved or deleted while written."
    yield warning(sentence, "Set AmbientCapabilities= and CapabilityBoundingSet= to CAP_LEASE in the unit.")


def _blocked(paths: Sequence[Path], seen: SandboxView, unit: UnitFile) -> Finding:
    sentence = f"The sandbox of {unit.name} blocks {', '.join(map(str, paths))}: to the service, {seen.value}."
    if seen is SandboxView.PRIVATE:
        return fault(sentence, "Use a folder outside /tmp; PrivateTmp=yes gives the service its own /tmp.")
    return fault(sentence, _opening(unit))


def _is_divided(inbox: Path, move_to: Path, unit: UnitFile) -> bool:
    both_writable = {view(inbox, unit), view(move_to, unit)} == {SandboxView.WRITABLE}
    return both_writable and mount(inbox, unit) != mount(move_to, unit)


def _divided(inbox: Path, move_to: Path, unit: UnitFile) -> Finding:
    sentence = f"The sandbox of {unit.name} puts {inbox} and {move_to} on two mounts: no recording can be moved."
    return fault(sentence, _opening(unit))


def _opening(unit: UnitFile) -> str:
    return f"Run `transcribed doctor --write-drop-in`, then {restart(unit.name)}."


def restart(unit: str) -> str:
    return f"`systemctl daemon-reload && systemctl restart {unit.removesuffix('.service')}`"


def view(path: Path, unit: UnitFile) -> SandboxView:
    """Return the view of a path: the longest matching rule decides, but a hidden folder hides everything below."""
    rules = [rule for rule in _rules(unit) if rule[0] == path or rule[0] in path.parents]
    if any(seen is SandboxView.HIDDEN for _, seen in rules):
        return SandboxView.HIDDEN
    return max(rules, key=lambda rule: len(rule[0].parts), default=(path, SandboxView.WRITABLE))[1]


def mount(path: Path, unit: UnitFile) -> Path:
    """Return the mount point of a path in the service's namespace; systemd adds none inside one of the same kind."""
    around = [rule for rule in _rules(unit) if rule[0] == path or rule[0] in path.parents]
    begins, current = Path("/"), SandboxView.WRITABLE
    for folder, seen in sorted(around, key=lambda rule: len(rule[0].parts)):
        if seen is not current:
            begins, current = folder, seen
    return begins


def _rules(unit: UnitFile) -> Iterator[tuple[Path, SandboxView]]:
    yield from ((path, SandboxView.WRITABLE) for path in _made(unit))
    yield from ((path, SandboxView.WRITABLE) for path in _paths(unit, "ReadWritePaths"))
    yield from ((path, SandboxView.READ_ONLY) for path in _paths(unit, "ReadOnlyPaths"))
    yield from ((path, SandboxView.HIDDEN) for path in _paths(unit, "InaccessiblePaths"))
    if unit.says("PrivateTmp"):
        yield from ((path, SandboxView.PRIVATE) for path in _TEMPORARY)
    yield from ((path, SandboxView.READ_ONLY) for path in _protected(unit.text("ProtectSystem")))
    if home := _homes_are(unit.text("ProtectHome")):
        yield from ((path, home) for path in HOMES)


def _protected(system: str) -> tuple[Path, ...]:
    if system == "strict":
        return (Path("/"),)
    if system == "full":
        return (*_OF_SYSTEM, Path("/etc"))
    return _OF_SYSTEM if system in YES else ()


def _homes_are(protected: str) -> SandboxView | None:
    if protected == "read-only":
        return SandboxView.READ_ONLY
    return None if protected in ("", *NO) else SandboxView.HIDDEN


def _made(unit: UnitFile) -> Iterator[Path]:
    """Yield the directories that systemd creates for the service, writable."""
    for kind, root in _MADE.items():
        yield from (Path(root, name) for name in unit.words(f"{kind}Directory"))


def _paths(unit: UnitFile, key: str) -> Iterator[Path]:
    return (Path(word.lstrip("-+")) for word in unit.words(key))
