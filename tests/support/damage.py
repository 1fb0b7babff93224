"""Damage stored files as a disk, another program or a stranger would: bits, cuts, other types, other values, bombs."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from pathlib import Path

BOMBS = (
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"",
    b"\xff\xfe",
    b"null",
    b"\x00" * 100,
    b"9" * 5000,
    b'"\\ud800"',
    b"[]" * 9,
)
JUNK = ("'failad'", "x'80ff'", "''", "-1", "9e99", "'../../etc/passwd'", "x'2f00'", "'[[[['", "null", "'\ud7ff'")
HOSTILE = (
    None, True, False, -1, 0, 1, 2**63, 2**70, -(2**70), 10**400, 1e308, -1e308, float("nan"), float("inf"), 0.5,
    "", "x", "\ud800", "\x00", "\x1b[31m", "2026-13-45T99:00:00+00:00", "2026-11-20T16:25:00", "../../etc", "/",
    "a" * 9999,
    [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, [1, 2, 3],
)  # fmt: skip


def damaged(text: bytes, dice: random.Random) -> bytes:
    """Return a JSON text changed in one of many ways, most of which leave it JSON."""
    kind = dice.choice(("node", "node", "node", "node", "bits", "cut", "bomb", "deep"))
    if kind == "bomb":
        return dice.choice(BOMBS)
    if kind == "cut":
        return text[: dice.randrange(len(text))]
    if kind == "bits":
        data = bytearray(text)
        for _ in range(dice.choice((1, 1, 3))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        return bytes(data)
    document = json.loads(text)
    places = [*_places(document)]
    holder, key = dice.choice(places) if places else ([document], 0)
    if kind == "deep":
        holder[key] = "DEEP"
        return json.dumps(document).encode().replace(b'"DEEP"', b"[" * 3000 + b"]" * 3000)
    if dice.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = dice.choice(HOSTILE)
    return json.dumps(document).encode()


def _places(node):
    """Yield every place in a document where a value stands, as its container and key."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        yield node, key
        yield from _places(value)


def damage_ledger(path: Path, dice: random.Random, rows: int) -> None:
    """Change a ledger in one of the ways in which a file or a row changes."""
    kind = dice.choice(("bits", "row", "row", "row", "page", "cut"))
    if kind == "row":
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.Error):
            column = dice.choice([name for (name,) in db.execute("select name from pragma_table_info('job')")])
            db.execute(f"update job set {column} = {dice.choice(JUNK)} where id = {dice.randint(1, rows)}")
            db.commit()
        return
    data = bytearray(path.read_bytes())
    if kind == "bits":
        for _ in range(dice.choice((1, 3, 30))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == "page":
        at = dice.randrange(len(data) // 4096) * 4096
        data[at : at + 4096] = dice.choice((bytes(4096), dice.randbytes(4096), bytes(data[:4096])))
    else:
        del data[dice.randrange(len(data)) :]
    path.write_bytes(data)
