"""The ledger's table, and how its file is opened: durable, checked, and made where it is not there.

Knows SQLite; nothing of what is written when.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 1
SQLITE = sqlite3.sqlite_version

_SCHEMA = """
create table job (
    id         integer primary key,
    inbox      blob not null,
    path       blob not null,              -- bytes: a name need not be UTF-8
    size       integer not null,
    mtime_ns   integer not null,
    inode      integer not null,
    options    text not null,
    output     blob not null,              -- name in the outbox, without suffix
    output_key blob not null,              -- folded, so that A.WAV and a.wav do not meet on a share that ignores case
    state      text not null default 'queued',
    starts     integer not null default 0,
    failures   integer not null default 0,
    failed_at  real not null default 0,
    not_before real not null default 0,
    added_at   real not null,
    ended_at   real,
    tidied     integer not null default 0, -- what was to become of the source has happened
    error      text,
    unique (path, size, mtime_ns, inode)
) strict;
create index job_waiting on job (inbox, starts / 5, not_before, id) where state = 'queued';
create index job_due on job (not_before) where state = 'queued';
create index job_output on job (output_key);
create index job_state on job (state);
create index job_ended on job (ended_at);
create index job_untidied on job (id) where state = 'done' and tidied = 0;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError where the file is damaged, and OperationalError where it cannot be opened."""
    db = sqlite3.connect(path, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("pragma journal_mode = wal")
    db.execute(
        "pragma synchronous = normal"
    )  # whole after a power cut; what must be there, Ledger.sync() makes sure of
    (verdict,) = db.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        db.close()
        raise sqlite3.DatabaseError(verdict)
    (version,) = db.execute("pragma user_version").fetchone()
    if version == 0:
        db.executescript(f"begin; {_SCHEMA} pragma user_version = {VERSION}; commit;")
    return db
