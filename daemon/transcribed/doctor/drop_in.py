"""The drop-in that opens the unit's sandbox for the configured folders.  Knows systemd's spelling and one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from transcribed.core.errors import Misconfigured, Unavailable
from transcribed.system.files import replace_text

FILE = "50-paths.conf"
PLACE = Path("/etc/systemd/system")


def text(folders: Iterable[Path], config: Path, homes: Sequence[Path] = ()) -> str:
    """`homes`: what ProtectHome= hides.  Raises Misconfigured for a path that no unit file can name."""
    return "\n".join([*_lines(sorted(set(folders)), config, homes), ""])


def _lines(folders: Sequence[Path], config: Path, homes: Sequence[Path]) -> Iterator[str]:
    yield f"# Written by `transcribed doctor --write-drop-in` from {str(config)!a}; run it again when folders change."
    yield "[Service]"
    if any(home == folder or home in folder.parents for folder in folders for home in homes):
        yield "# Some folders lie in homes: these become visible, but for what is named here not writable."
        yield "ProtectHome=read-only"
    # With the minus, a share that is away keeps nobody from starting.
    yield from (f"ReadWritePaths={quoted(f'-{folder}')}" for folder in folders)


def quoted(word: str) -> str:
    """One word as systemd.syntax(7) wants it where paths are listed: a backslash is only a backslash there.

    A percent sign begins a specifier unless it is doubled (systemd.unit(5)).
    """
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise _unspeakable(word) from error
    if any(ord(character) < 32 for character in word):
        raise _unspeakable(word)
    doubled = word.replace("%", "%%")
    if not any(character in doubled for character in " '\"\\;#"):
        return doubled
    return "'\"'".join(f'"{part}"' if part else "" for part in doubled.split('"'))  # a " stands in single quotes


def _unspeakable(word: str) -> Misconfigured:
    return Misconfigured(
        f"No unit file can name {word.removeprefix('-')!a}: it is not UTF-8, or holds control characters.",
        "Rename the folder.",
    )


def write(text: str, unit: str, place: Path = PLACE) -> Path:
    """Put the drop-in of a unit in its place, whole or not at all; returns where.  Raises Unavailable."""
    target = place / f"{unit}.d" / FILE
    try:
        target.parent.mkdir(exist_ok=True)
        replace_text(target, text, mode=0o644, sync=True)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}.", "Run it as root.") from error
    return target
