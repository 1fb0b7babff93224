"""A disk that remembers what was synced, and can be cut off at any moment.  Knows calls; nothing of who made them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.power_cuts.calls import Call

BLOCK = 4096  # bytes; a longer write may be cut in the middle
# Shares lost of entries and of data: a kill; names without their content, as after a journal's commit; all; some.
WAYS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.3, 0.3))


@dataclass(eq=False, slots=True)
class File:
    """A file: what of it is on disk for certain, and the changes since."""

    data: bytes = b""
    original: Path | None = None  # another name of a file that was there before, and has not been changed
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)  # a write at an offset, or a new size
    size: int = 0
    position: int = 0  # where the next write without an offset goes

    def change(self, what: tuple[int, bytes] | int) -> None:
        self.original = None
        self.pending.append(what)
        self.size = what if isinstance(what, int) else max(self.size, what[0] + len(what[1]))

    def sync(self) -> None:
        self.data, self.pending = self.kept(self.pending), []

    def kept(self, changes: list[tuple[int, bytes] | int]) -> bytes:
        """Return the content if only these of the changes reached the disk."""
        data = bytearray(self.data)
        for change in changes:
            if isinstance(change, int):
                data = data[:change].ljust(change, b"\0")
            else:
                offset, new = change
                data = data.ljust(offset, b"\0")
                data[offset : offset + len(new)] = new
        return bytes(data)


@dataclass(eq=False, slots=True)
class Folder:
    """A folder: its entries as a process sees them, and those that are on disk for certain."""

    seen: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)


Node = File | Folder
Change = list[tuple[Folder, str, Node | None]]  # what one call changes: an entry appears, or is gone


class Disk:
    """A folder as it was when this was made, all of it on disk, and what calls have done to it since."""

    def __init__(self, root: Path, vault: Path) -> None:
        """Remember what is below `root`; its files get second names in the folder `vault`, to be found there later."""
        self.root = root
        self._vault = vault
        self._pending: list[Change] = []
        vault.mkdir()
        self._top = self._scanned(root)

    def _scanned(self, folder: Path) -> Folder:
        node = Folder()
        for path in folder.iterdir():
            if path.is_dir():
                node.seen[path.name] = self._scanned(path)
            else:
                second = self._vault / str(path.stat().st_ino)
                if not second.exists():
                    os.link(path, second)
                content = path.read_bytes()
                node.seen[path.name] = File(content, second, size=len(content))
        node.synced = dict(node.seen)
        return node

    # --- calls -------------------------------------------------------------------------------------------

    def apply(self, call: Call) -> None:
        """Do what a call does."""
        match call.name:
            case "open":
                self._open(call)
            case "write":
                if isinstance(file := self._at(call.path), File):
                    offset = file.position if call.number is None else call.number
                    file.change((offset, call.data))
                    file.position = offset + len(call.data)
            case "truncate":
                if isinstance(file := self._at(call.path), File) and call.number is not None:
                    file.change(call.number)
            case "sync":
                self._sync(self._at(call.path))
            case "mkdir":
                self._change([(*self._place(call.path), Folder())])
            case "unlink":
                self._change([(*self._place(call.path), None)])
            case "link" if call.target:
                self._change([(*self._place(call.target), self._at(call.path))])
            case "rename" if call.target:
                gone, there = self._place(call.path), self._place(call.target)
                self._change([(*gone, None), (*there, self._at(call.path))])
            case _:
                raise NotImplementedError(f"The model knows no {call.name}: {call.path}")

    def _open(self, call: Call) -> None:
        file = self._at(call.path)
        if file is None and "O_CREAT" in call.flags:
            file = File()
            self._change([(*self._place(call.path), file)])
        if isinstance(file, File) and call.flags & {"O_WRONLY", "O_RDWR"}:
            if "O_TRUNC" in call.flags and file.size:
                file.change(0)
            file.position = file.size if "O_APPEND" in call.flags else 0

    def _change(self, change: Change) -> None:
        for folder, name, node in change:
            _set(folder.seen, name, node)
        self._pending.append(change)

    def _sync(self, node: Node | None) -> None:
        """Bring a file's data to disk, or a folder's entries with all that had to be done before."""
        if isinstance(node, File):
            node.sync()
        elif node is not None:
            folders, left = {id(node)}, []
            done: list[Change] = []
            for change in reversed(self._pending):
                touched = {id(folder) for folder, _, _ in change}
                if touched & folders:
                    folders |= touched
                    done.append(change)
                else:
                    left.append(change)
            for folder, name, other in (entry for change in reversed(done) for entry in change):
                _set(folder.synced, name, other)
            self._pending = left[::-1]

    def _place(self, path: Path) -> tuple[Folder, str]:
        folder = self._at(path.parent)
        assert isinstance(folder, Folder), f"{path} is in no folder"
        return folder, path.name

    def _at(self, path: Path) -> Node | None:
        """Return what a path names now; None if nothing, as of a file that is open and has no name any more."""
        node: Node | None = self._top
        for part in path.relative_to(self.root).parts:
            node = node.seen.get(part) if isinstance(node, Folder) else None
        return node

    # --- cuts --------------------------------------------------------------------------------------------

    def cut(self, dice: random.Random, entries: float, data: float) -> dict[str, File | bytes | None]:
        """Return what is there after a power cut that loses these shares of the entries and data that were not synced.

        By path below the root: a file that nobody has changed, the content of another, None for a folder.
        """
        left = {}  # the entries of the folders with changes
        barred: set[int] = set()  # folders of which a change was lost: what came later is lost too
        for change in self._pending:
            touched = {id(folder) for folder, _, _ in change}
            if touched & barred or dice.random() < entries:
                barred |= touched
            else:
                for folder, name, node in change:
                    _set(left.setdefault(id(folder), dict(folder.synced)), name, node)
        return dict(_left("", self._top, left, dice, data))


def _left(
    path: str, folder: Folder, entries: dict[int, dict[str, Node]], dice: random.Random, lost: float
) -> Iterator[tuple[str, File | bytes | None]]:
    for name, node in entries.get(id(folder), folder.synced).items():
        if isinstance(node, Folder):
            yield f"{path}{name}", None
            yield from _left(f"{path}{name}/", node, entries, dice, lost)
        elif node.original:
            yield f"{path}{name}", node
        else:
            yield f"{path}{name}", node.kept([part for one in node.pending for part in _torn(one, dice, lost)])


def _set(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _torn(change: tuple[int, bytes] | int, dice: random.Random, lost: float) -> Iterator[tuple[int, bytes] | int]:
    """Yield the parts of a change that reach the disk: blocks do so one by one, in any order."""
    if isinstance(change, int):
        if dice.random() >= lost:
            yield change
        return
    offset, data = change
    for start in range(0, len(data), BLOCK):
        if dice.random() >= lost:
            yield offset + start, data[start : start + BLOCK]


def build(left: dict[str, File | bytes | None], root: Path) -> None:
    """Make a folder hold what a cut left: the same files where nobody changed them, with their inodes and times."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, content in left.items():
        if content is None:
            (root / name).mkdir()
        elif isinstance(content, File):
            assert content.original
            os.link(content.original, root / name)
        else:
            (root / name).write_bytes(content)
