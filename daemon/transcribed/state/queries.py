"""Query the ledger without changing it, also that of a running daemon.

Knows SQL; nothing of its callers.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transcribed.core.errors import Unavailable
from transcribed.core.types import Job, Source, State
from transcribed.state import schema
from transcribed.system import documents

_STATES = frozenset(State)
WAITING_FOR_INBOX = 1e12  # not_before of a job that waits for its inbox to be configured


class LedgerQueries:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()

    def is_empty(self) -> bool:
        return self._db.execute("select 1 from job limit 1").fetchone() is None

    def next_due(self) -> float | None:
        """Return when the earliest queued job may start; None if none is queued."""
        (due,) = self._db.execute("select min(not_before) from job where state = 'queued'").fetchone()
        return None if due is None else float(due)

    def counts(self) -> dict[State, int]:
        return _by_state(self._db.execute("select state, count(*) from job group by state"))

    def ended_since(self, moment: float) -> dict[State, int]:
        sql = "select state, count(*) from job where ended_at >= ? group by state"
        return _by_state(self._db.execute(sql, (moment,)))

    def failed_between(self, since: float, until: float) -> dict[Path, int]:
        """Return the number of failed files per inbox; inboxes without any are left out."""
        sql = "select inbox, count(*) from job where ended_at between ? and ? and state = 'failed' group by inbox"
        return {Path(os.fsdecode(inbox)): n for inbox, n in self._db.execute(sql, (since, until))}

    def oldest_waiting(self) -> tuple[Path, float] | None:
        """Return the inbox of the file that has waited longest, and since when.

        Files of inboxes that are no longer configured do not count.
        """
        sql = (
            f"select inbox, added_at from job where state = ? and not_before < {WAITING_FOR_INBOX} order by id limit 1"
        )
        rows = [row for state in ("queued", "active") for row in self._db.execute(sql, (state,))]
        oldest = min(rows, key=lambda row: row["added_at"], default=None)
        return (Path(os.fsdecode(oldest["inbox"])), oldest["added_at"]) if oldest else None

    def find(self, path: Path) -> list[Job]:
        """Return every known version of a file, newest first."""
        return self._jobs("path = ? order by id desc", os.fsencode(path))

    def by_id(self, id: int) -> list[Job]:
        return self._jobs("id = ?", id)

    def with_provenance(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Return the newest version of every transcribed file, with what its transcript was made with; oldest first."""
        sql = (
            "select * from job where state = 'done' and error is null and made_with is not null"
            " and id in (select max(id) from job group by path) order by id"
        )
        return ((schema.job(row), _provenance(row["made_with"])) for row in self._db.execute(sql))

    def suspicious(self, limit: int) -> list[Job]:
        """Return the jobs whose transcripts may lack words, the latest first."""
        return self._jobs("suspicion is not null and state = 'done' order by id desc limit ?", limit)

    def with_state(self, state: State, limit: int = 1_000_000) -> list[Job]:
        return self._jobs("state = ? order by id desc limit ?", state, limit)

    def deferred(self, limit: int) -> list[Job]:
        """Return the jobs that wait for a reason, which is in `error`."""
        return self._jobs("state = 'queued' and error is not null order by not_before limit ?", limit)

    def pending_cleanup(self) -> list[Job]:
        """Return the jobs that are done but whose after-success action has not been recorded."""
        return self._jobs("state = 'done' and tidied = 0 order by id")

    def ended(self, inbox: Path, before: float, after_id: int, limit: int) -> list[Job]:
        """Return the jobs of an inbox that ended earlier than `before` and need nothing more, oldest first."""
        return self._jobs(
            "inbox = ? and ended_at < ? and (state = 'failed' or state = 'done' and tidied = 1) and id > ?"
            " order by id limit ?",
            os.fsencode(inbox), before, after_id, limit,
        )  # fmt: skip

    def integrity_errors(self) -> list[str]:
        """Return the faults that SQLite finds in every page and index: takes seconds for a million rows."""
        try:
            return [fault for (fault,) in self._db.execute("pragma integrity_check(3)") if fault != "ok"]
        except sqlite3.DatabaseError as error:  # too damaged for its own check
            return [str(error)]

    def sources(self, inbox: Path) -> Iterator[Source]:
        """Return the versions that need no new report: all but the withdrawn ones."""
        sql = "select * from job where inbox = ? and not (state = 'done' and error is not null)"
        return (schema.source(row) for row in self._db.execute(sql, (os.fsencode(inbox),)))

    def failed_at(self, inbox: Path) -> dict[Path, float]:
        """Return when each failed file of an inbox failed, in seconds since the epoch."""
        sql = "select path, ended_at from job where inbox = ? and state = 'failed' and ended_at is not null order by id"
        return {Path(os.fsdecode(path)): at for path, at in self._db.execute(sql, (os.fsencode(inbox),))}

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        rows = self._db.execute(f"select * from job where {where}", values)
        return [schema.job(row) for row in rows if row["state"] in _STATES]  # a damaged index may hold others


def _by_state(rows: Iterable[tuple[str, int]]) -> dict[State, int]:
    return {State(state): n for state, n in rows if state in _STATES}


def _provenance(text: str) -> dict[str, Any]:
    return documents.parse(text, dict[str, Any]) or {}


def _connect(path: Path) -> sqlite3.Connection:
    """Connect for reading.  Without a write-ahead log nobody writes; who may not write here could not make one."""
    quiet = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}", uri=True)


def read_only(path: Path) -> LedgerQueries:
    """Open a ledger read-only; a daemon may be writing to it.  Raises Unavailable if there is none."""
    try:
        db = _connect(path)
        schema.prepare(db)
        (version,) = db.execute("pragma user_version").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(
            f"The ledger {path} cannot be read: {error}", "Start the daemon first, if it has never run."
        ) from error
    if version != schema.VERSION:
        raise Unavailable(f"The ledger {path} belongs to another version of this program.", "Restart the daemon.")
    return LedgerQueries(db)
