"""Record the calls by which a process tree changes a folder, in their order.  Knows strace; nothing of disks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TRACED = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,rename,renameat,renameat2,"
    "link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,sendfile,copy_file_range"
)
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_DONE = re.compile(r"(\w+)\((.*)\) += \d+(?:<([^>]*)>)?", re.DOTALL)
_FD = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")
_UNFINISHED = " <unfinished ...>"
_NEVER = {"symlink", "symlinkat", "sendfile", "copy_file_range", "truncate"}  # the model has none of them


@dataclass(frozen=True, slots=True)
class Call:
    """A call that succeeded: `open`, `write`, `truncate`, `rename`, `link`, `unlink`, `mkdir` or `sync`."""

    name: str
    path: Path
    target: Path | None = None  # of a rename or a link
    flags: frozenset[str] = frozenset()  # of an open
    data: bytes = b""
    number: int | None = None  # the offset of a write, None: where the last one ended; the size of a truncate


def traced(record: Path) -> list[str]:
    """Return the words to put before a command, so that its calls are recorded."""
    assert shutil.which("strace"), "these tests need strace: apt-get install strace"
    options = ("-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", str(2**24), "-e", f"trace={_TRACED}")
    return ["strace", *options, "-o", str(record)]


def read(record: Path, root: Path) -> list[Call]:
    """Return the calls of a record that changed or synced something below `root`."""
    return [call for text in _finished(record) for call in _parsed(text) if call.path.is_relative_to(root)]


def _finished(record: Path) -> Iterator[str]:
    """Yield each call in one piece, where it ended: others may have come between its beginning and its end."""
    begun: dict[str, str] = {}
    with record.open(encoding="ascii") as lines:
        for line in lines:
            if not (match := _LINE.fullmatch(line.rstrip("\n"))):
                continue
            process, resumed, text = match.groups()
            if text.endswith(_UNFINISHED):
                begun[process] = text.removesuffix(_UNFINISHED)
            else:
                yield begun.pop(process) + text if resumed else text


def _parsed(text: str) -> Iterator[Call]:
    if not (match := _DONE.fullmatch(text)):
        return  # it failed, or is a signal
    name, arguments, opened = match.groups()
    words = arguments.split(", ")
    if name in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
        assert '"...' not in arguments, "strace has cut what was written"
        data = b"".join(map(_bytes, re.findall(r'"([^"]*)"', arguments)))
        yield Call("write", _path(words[0]), data=data, number=int(words[-1]) if name == "pwrite64" else None)
    elif name in ("open", "openat", "creat"):
        assert opened is not None
        flags = frozenset(re.findall(r"O_\w+", arguments)) | ({"O_CREAT", "O_TRUNC"} if name == "creat" else set())
        yield Call("open", Path(os.fsdecode(_bytes(opened))), flags=flags)
    elif name == "ftruncate":
        yield Call("truncate", _path(words[0]), number=int(words[1]))
    elif name in ("fsync", "fdatasync"):
        yield Call("sync", _path(words[0]))
    elif name in _NEVER:
        yield from (Call(name, path) for path in (*map(_path, words), *_paths(words)))
    else:
        first, *others = _paths(words)
        kind = "unlink" if name == "rmdir" else re.sub(r"(at|at2)$", "", name)
        yield Call(kind, first, target=others[0] if others else None)


def _paths(words: list[str]) -> Iterator[Path]:
    """Yield the paths among the arguments of a call, each made absolute by the folder that stands before it."""
    folder = Path()
    for word in words:
        if _FD.fullmatch(word):
            folder = _path(word)
        elif word.startswith('"'):
            path = folder / os.fsdecode(_bytes(word.strip('"')))
            assert path.is_absolute(), f"relative to which folder? {word}"
            yield path


def _path(word: str) -> Path:
    match = _FD.fullmatch(word)
    return Path(os.fsdecode(_bytes(match[1]))) if match else Path()


def _bytes(escaped: str) -> bytes:
    """Decode what strace writes with -xx; of a pipe or a socket it writes a name as it is."""
    return bytes.fromhex(escaped.replace("\\x", "")) if escaped.startswith("\\x") else os.fsencode(escaped)
