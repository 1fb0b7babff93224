"""The drop-in that opens the unit's sandbox for the configured folders.  Knows systemd's spelling and one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from transcribed.core.errors import Misconfigured, Unavailable
from transcribed.system.atomic_write import replace_text

FILE = "50-paths.conf"
PLACE = Path("/etc/systemd/system")


def text(folders: Iterable[Path], config: Path, homes: Sequence[Path] = ()) -> str:
    """Return the drop-in; `homes` is what ProtectHome= hides.  Raise Misconfigured for a path no unit file can name."""
    return "\n".join([*_lines(sorted(set(folders)), config, homes), ""])


def _lines(folders: Sequence[Path], config: Path, homes: Sequence[Path]) -> Iterator[str]:
    yield f"# Written by `transcribed doctor --write-drop-in` from {str(config)!a}; rerun it when folders change."
    yield "[Service]"
    if any(home == folder or home in folder.parents for folder in folders for home in homes):
        yield "# Some folders are in home directories: homes become visible; only the folders below are writable."
        yield "ProtectHome=read-only"
    # The minus lets the service start while a share is away.
    yield from (f"ReadWritePaths={quoted(f'-{folder}')}" for folder in folders)


def quoted(word: str) -> str:
    """Quote one word of a list of paths as in systemd.syntax(7), where a backslash is literal.

    A percent sign begins a specifier unless doubled (systemd.unit(5)).
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
    return "'\"'".join(f'"{part}"' if part else "" for part in doubled.split('"'))  # each " goes into single quotes


def _unspeakable(word: str) -> Misconfigured:
    return Misconfigured(
        f"No unit file can name {word.removeprefix('-')!a}: the name is not UTF-8, or contains control characters.",
        "Rename the folder.",
    )


def write(text: str, unit: str, place: Path = PLACE) -> Path:
    """Write the drop-in of a unit atomically and return its path.  Raise Unavailable."""
    target = place / f"{unit}.d" / FILE
    try:
        target.parent.mkdir(exist_ok=True)
        replace_text(target, text, mode=0o644, sync=True)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}.", "Run the command as root.") from error
    return target
