"""Define the ledger's table, open its file (durable, checked, created if missing), and convert its rows.

Knows SQLite; nothing of what is written when.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from transcribed.core.errors import Misconfigured
from transcribed.core.types import Job, Source, State

VERSION = 2
_LATER = "Install that version again, or move the ledger away: it is then rebuilt from the transcripts."
SQLITE = sqlite3.sqlite_version
BUSY_MILLISECONDS = 5000  # that a write waits while another connection holds the file

_SCHEMA = """
create table job (
    id         integer primary key,
    inbox      blob not null,
    path       blob not null,              -- bytes: a name need not be UTF-8
    size       integer not null,
    mtime_ns   integer not null,
    inode      integer not null,
    options    text not null,              -- for older versions: now they come from the inbox, when a job is prepared
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
    made_with  text,                       -- JSON: what its transcript was made with
    suspicion  text,                       -- a sentence, when words may be missing from its transcript
    unique (path, size, mtime_ns, inode)
) strict;
create index job_waiting on job (inbox, starts / 5, not_before, id) where state = 'queued';
create index job_due on job (not_before) where state = 'queued';
create index job_output on job (output_key);
create index job_state on job (state);
create index job_ended on job (ended_at);
create index job_untidied on job (id) where state = 'done' and tidied = 0;
create index job_suspicious on job (id) where suspicion is not null;
"""

_SINCE_VERSION_1 = """
alter table job add column made_with text;
alter table job add column suspicion text;
create index job_suspicious on job (id) where suspicion is not null;
"""


# What no row of ours lacks.  A disk, or another program, may have changed a row without SQLite noticing.
_SOUND = """
typeof(inbox) = 'blob' and typeof(path) = 'blob' and typeof(output) = 'blob' and typeof(output_key) = 'blob'
and cast(inbox || '/' as blob) = substr(path, 1, length(inbox) + 1) and length(path) > length(inbox) + 1
and length(output) > 0 and instr(path, x'00') = 0 and instr(output, x'00') = 0
and typeof(size) = 'integer' and size >= 0 and typeof(mtime_ns) = 'integer' and typeof(inode) = 'integer'
and state in ('queued', 'active', 'done', 'failed')
and typeof(starts) = 'integer' and typeof(failures) = 'integer' and typeof(not_before) = 'real'
and typeof(added_at) = 'real' and added_at between 0 and 1e11
and (ended_at is null or typeof(ended_at) = 'real' and ended_at between 0 and 1e11)
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger, creating or upgrading it if necessary.

    Raises sqlite3.DatabaseError if the file is damaged, OperationalError if it cannot be opened, and Misconfigured if
    a later version of this program made it.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))  # SQLite gives its companions the same mode
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    prepare(db)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = normal")  # intact after a power cut; Ledger.sync() makes the latest writes durable
    if _verdict(db) != "ok":
        db.execute("reindex")  # only what differs from the rows may be wrong
    if (verdict := _verdict(db)) != "ok":
        db.close()
        raise sqlite3.DatabaseError(verdict)
    (version,) = db.execute("pragma user_version").fetchone()
    if version > VERSION:
        db.close()
        raise Misconfigured(f"The ledger {path} was made by a later version of this program.", _LATER)
    if version < VERSION:
        db.executescript(f"begin; {(_SCHEMA, _SINCE_VERSION_1)[version]} pragma user_version = {VERSION}; commit;")
    return db


def _verdict(db: sqlite3.Connection) -> str:
    """Return the first fault in any page or index, or "ok"; 0.6 s for 200,000 rows."""
    (verdict,) = db.execute("pragma integrity_check(1)").fetchone()
    return str(verdict)


def prepare(db: sqlite3.Connection) -> None:
    """Set how rows are read: a text that is not UTF-8 is read all the same."""
    db.row_factory = sqlite3.Row
    db.text_factory = lambda data: data.decode(errors="replace")


def remove_unsound(db: sqlite3.Connection) -> int:
    """Remove the rows that cannot be read, and return how many; their files are noticed again."""
    return db.execute(f"delete from job where ({_SOUND}) is not true").rowcount


def sync(path: Path) -> None:
    """Flush the write-ahead log to disk.  Raises OSError."""
    try:
        log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # nothing was written since it was opened
        return
    try:
        os.fsync(log)
    finally:
        os.close(log)


@contextlib.contextmanager
def impatient(db: sqlite3.Connection) -> Iterator[None]:
    """Fail at once, instead of waiting, while another connection holds the file."""
    db.execute("pragma busy_timeout = 0")
    try:
        yield
    finally:
        db.execute(f"pragma busy_timeout = {BUSY_MILLISECONDS}")


def quarantine(path: Path) -> Path:
    """Rename a damaged file and its companions; return the new name."""
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def source(row: sqlite3.Row) -> Source:
    inbox, path = (Path(os.fsdecode(row[column])) for column in ("inbox", "path"))
    return Source(inbox, path, row["size"], row["mtime_ns"], row["inode"])


def job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        source=source(row),
        output=os.fsdecode(row["output"]),
        added_at=row["added_at"],
        starts=row["starts"],
        failures=row["failures"],
        state=State(row["state"]),
        not_before=row["not_before"],
        error=row["error"],
        suspicion=row["suspicion"],
    )
