"""Write the ledger, which must survive a crash: one row per version of a source file.  queries.py reads it.

A write survives any crash of ours once it returns, and a power cut after the next `sync`.  One connection, one thread,
one process writes (SQLite before 3.51.3 can corrupt a WAL that two connections checkpoint); others may open it
read-only.  Knows no inbox, no outbox.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from transcribed.core.errors import Unavailable
from transcribed.core.types import Job, Source, State
from transcribed.state import schema
from transcribed.state.queries import WAITING_FOR_INBOX, LedgerQueries

BALLAST_BYTES = 16 * 2**20
_NOTE = b".error"
_FREE_SPACE = "Free space on its disk."
LONGEST_DEFERRAL = 86_400.0  # seconds; no job is deferred longer on purpose

log = structlog.get_logger("transcribed.ledger")

NO_OPTIONS = '{"model": ""}'  # for older versions, which read the column

# A withdrawn job is done and has a reason.  Its file may come back unchanged: a share was away, a folder was moved out
# and in.  So may any other, when somebody drops it in again.  The row then gets a new id: the newest version of a file
# is the one with the highest id.
_RETURNS = """
on conflict (path, size, mtime_ns, inode) do update set id = (select max(id) + 1 from job), state = excluded.state,
    tidied = excluded.tidied, added_at = excluded.added_at, starts = 0, failures = 0, not_before = 0, error = null,
    ended_at = null, made_with = null, suspicion = null
    where job.state = 'done' and job.error is not null or ? and job.state in ('done', 'failed')
"""


class Ledger(LedgerQueries):
    """The writable ledger.  Every method raises Unavailable if the disk refuses a write; nothing has changed then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: str | None = None  # why it accepts no writes now
        self._ballast = path.with_name("ballast")
        super().__init__(_opened(path))

    # --- the life of a job ---------------------------------------------------------------------

    def add(self, source: Source, output: str, now: float, *, returned: bool = False) -> bool:
        """Add a settled file once; return False if this version of it is already known.

        A file that `returned` after it had been gone is queued again, unless it is still in progress.
        """
        return self._insert(source, output, now, State.QUEUED, returned)

    def import_done(self, made: Iterable[tuple[Source, str]], now: float) -> int:
        """Add files whose transcripts are in the outbox, all or none, to rebuild a lost ledger; return how many."""
        self._execute("begin")
        try:
            adopted = sum(self._insert(source, output, now, State.DONE) for source, output in made)
            self._execute("commit")
        except BaseException:
            self._db.rollback()
            raise
        return adopted

    def activate(self, inbox: Path, now: float, forget_seconds: float) -> Job | None:
        """Activate the next due job of an inbox, and count its start: `sync` before the file is touched.

        Failures older than `forget_seconds` no longer count.  A job deferred by more than LONGEST_DEFERRAL was
        deferred by a wrong clock, and is due.
        """
        row = self._write(
            "update job set state = 'active', starts = starts + 1, failures = iif(failed_at < ?, 0, failures)"
            " where id = (select id from job where state = 'queued' and inbox = ?"
            f" and (not_before <= ? or not_before between ? and {WAITING_FOR_INBOX} - 1)"
            " order by starts / 5, not_before, id limit 1) returning *",
            now - forget_seconds, os.fsencode(inbox), now, now + LONGEST_DEFERRAL,
        )  # fmt: skip
        return schema.job(row) if row else None

    def done(
        self, job_id: int, now: float, made_with: Mapping[str, Any], suspicion: str | None = None, *, keep: bool = False
    ) -> None:
        """Mark a job done: its transcript is on disk.  `made_with` shows later whether its result would differ.

        With `keep` its source stays where it is, whatever its inbox says.
        """
        self._write(
            "update job set state = 'done', tidied = ?, error = null, ended_at = ?, made_with = ?, suspicion = ?"
            " where id = ?",
            keep, now, json.dumps(made_with), suspicion, job_id,
        )  # fmt: skip

    def withdraw(self, job_id: int, now: float, reason: str) -> None:
        """End a job without a transcript: its file was removed or replaced."""
        self._write(
            "update job set state = 'done', tidied = 1, error = ?, ended_at = ? where id = ?", reason, now, job_id
        )

    def fail(self, job_id: int, now: float, error: str) -> None:
        self._write("update job set state = 'failed', error = ?, ended_at = ? where id = ?", error, now, job_id)

    def defer(self, job_id: int, until: float, error: str) -> None:
        """Queue a job again for later, without counting a failure."""
        self._write(
            "update job set state = 'queued', starts = 0, not_before = ?, error = ? where id = ?", until, error, job_id
        )

    def record_failure(self, job_id: int, now: float, until: float, error: str) -> None:
        """Queue a job again for later, and count a failure."""
        self._write(
            "update job set state = 'queued', starts = 0, failures = failures + 1, failed_at = ?, not_before = ?,"
            " error = ? where id = ?",
            now, until, error, job_id,
        )  # fmt: skip

    def cleaned_up(self, job_id: int) -> None:
        self._write("update job set tidied = 1 where id = ?", job_id)

    def recover(self, *, orderly: bool = False) -> int:
        """Queue again whatever was left active; after an orderly stop, as if never started.  Return how many."""
        sql = "update job set state = 'queued', starts = starts - ? where state = 'active'"
        return self._execute(sql, int(orderly)).rowcount

    def apply_configuration(self, inboxes: Iterable[Path]) -> None:
        """Hold back the jobs of inboxes that are no longer configured, and release those of inboxes that are."""
        self._execute(
            f"update job set not_before = {WAITING_FOR_INBOX},"
            " error = 'The inbox is no longer in the configuration.' where state = 'queued'"
        )
        for inbox in inboxes:
            self._execute(
                f"update job set not_before = 0, error = null where not_before = {WAITING_FOR_INBOX} and inbox = ?",
                os.fsencode(inbox),
            )

    def retry(self, path: Path, *, done: bool = False) -> bool:
        """Queue the newest version of a failed or deferred file again, as if it were new; with `done`, also of a
        transcribed one.  Return True if it was queued.
        """
        row = self._write(
            "update job set state = 'queued', starts = 0, failures = 0, not_before = 0, tidied = 0, error = null,"
            " suspicion = null where id = (select id from job where path = ? order by id desc limit 1)"
            " and (state in ('failed', 'queued') or ? and state = 'done') returning id",
            os.fsencode(path), done,
        )  # fmt: skip
        return row is not None

    def sync(self) -> None:
        """Make everything written so far survive a power cut, before an act that cannot be undone.

        Committed data survives any crash of ours without it; only the disk lags behind.  One fsync of the write-ahead
        log covers everything written so far, where `synchronous = full` would take one for every statement.
        """
        try:
            schema.sync(self.path)
        except OSError as error:
            self.trouble = f"The ledger {self.path} cannot be synced: {error.strerror}"
            raise Unavailable(self.trouble, _FREE_SPACE) from error

    def prune(self, job_ids: Iterable[int], before: float) -> int:
        """Delete those of the jobs that ended earlier than `before`; return how many.

        Never the newest row: its id must not be used again.
        """
        return self._execute(
            "delete from job where id in (select value from json_each(?)) and state in ('done', 'failed')"
            " and ended_at < ? and id < (select max(id) from job)",
            json.dumps([*job_ids]), before,
        ).rowcount  # fmt: skip

    def checkpoint(self) -> bool:
        """Fold the write-ahead log into the file, and truncate it; return False, at once, while somebody reads."""
        with schema.impatient(self._db):
            row = self._write("pragma wal_checkpoint(truncate)")
        return row is not None and row[0] == 0

    # --- inside --------------------------------------------------------------------------------

    def _insert(self, source: Source, output: str, now: float, state: State, returned: bool = False) -> bool:
        key = _key(output)
        rivals = (key, key + _NOTE, key.removesuffix(_NOTE))  # `a.error` + `.txt` is also the name of the note on `a`
        taken = self._db.execute(
            "select 1 from job where output_key in (?, ?, ?) and inbox = ? and path != ? limit 1",
            (*rivals, os.fsencode(source.inbox), os.fsencode(source.path)),
        ).fetchone()
        if taken:
            output = _distinct(output, source.path)
        cursor = self._execute(
            "insert into job (inbox, path, size, mtime_ns, inode, options, output, output_key, added_at, state, tidied,"
            f" ended_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_RETURNS}",
            os.fsencode(source.inbox), os.fsencode(source.path), source.size, source.mtime_ns, source.inode,
            NO_OPTIONS, os.fsencode(output), _key(output), now, state, state is State.DONE,
            now if state is State.DONE else None, returned,
        )  # fmt: skip
        return cursor.rowcount == 1

    def _write(self, sql: str, *values: Any) -> sqlite3.Row | None:
        rows = self._execute(sql, *values).fetchall()  # all of them: only then is the statement committed
        return rows[0] if rows else None

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        try:
            cursor = self._db.execute(sql, values)
        except sqlite3.OperationalError as error:
            if self._ballast.exists():  # space reserved for this moment: finished work can still be recorded
                self._ballast.unlink()
                return self._execute(sql, *values)
            self.trouble = f"The ledger {self.path} cannot be written: {error}"
            raise Unavailable(self.trouble, _FREE_SPACE) from error
        if cursor.rowcount > 0:
            self.trouble = None
        return cursor

    def keep_ballast(self) -> None:
        """Reserve space, so that finished work can still be recorded when the disk runs full."""
        try:
            with open(self._ballast, "ab", opener=_private) as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError:
            self._ballast.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        db = schema.connect(path)
        if removed := schema.remove_unsound(db):
            log.error("unreadable rows removed from the ledger", rows=removed, hint="Their files are noticed again.")
        return db
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes what it finds, in its errors too
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise Unavailable(f"The ledger {path} cannot be opened: {error}") from error
        aside = schema.quarantine(path)
        log.error("ledger damaged; moved aside, starting a new one", error=str(error), kept_as=str(aside))
        return schema.connect(path)
    except OSError as error:
        raise Unavailable(f"The ledger {path} cannot be opened: {error.strerror}.") from error


def _distinct(output: str, path: Path) -> str:
    """Return another name for an output whose own is taken by another source: with a hash of the source's path."""
    return f"{output}~{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"


def _key(output: str) -> bytes:
    """Return a key that is equal for names that a share treats as one: it may ignore case or compose accents."""
    return os.fsencode(unicodedata.normalize("NFC", output).casefold())
