"""What the ledger tells: queries, none of which changes anything, also of the ledger of a daemon that runs.

Knows SQL; nothing of who asks.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcribed.core.errors import Unavailable
from transcribed.core.types import Job, Source, State
from transcribed.state import schema

WAITING_FOR_INBOX = 1e12  # not_before of a job that waits for its inbox to be configured


class LedgerQueries:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()

    def is_empty(self) -> bool:
        return self._db.execute("select 1 from job limit 1").fetchone() is None

    def next_due(self) -> float | None:
        """When the earliest queued job may start; None when none is queued."""
        (due,) = self._db.execute("select min(not_before) from job where state = 'queued'").fetchone()
        return None if due is None else float(due)

    def counts(self) -> dict[State, int]:
        rows = self._db.execute("select state, count(*) from job group by state")
        return {State(state): n for state, n in rows}

    def ended_since(self, moment: float) -> dict[State, int]:
        rows = self._db.execute("select state, count(*) from job where ended_at >= ? group by state", (moment,))
        return {State(state): n for state, n in rows}

    def failed_between(self, since: float, until: float) -> dict[Path, int]:
        """How many files of each inbox failed; none of an inbox without any."""
        sql = "select inbox, count(*) from job where ended_at between ? and ? and state = 'failed' group by inbox"
        return {Path(os.fsdecode(inbox)): n for inbox, n in self._db.execute(sql, (since, until))}

    def oldest_waiting(self) -> tuple[Path, float] | None:
        """The inbox of the file that waits for longest, and since when; parked ones wait for nobody."""
        sql = (
            f"select inbox, added_at from job where state = ? and not_before < {WAITING_FOR_INBOX} order by id limit 1"
        )
        rows = [row for state in ("queued", "active") for row in self._db.execute(sql, (state,))]
        oldest = min(rows, key=lambda row: row["added_at"], default=None)
        return (Path(os.fsdecode(oldest["inbox"])), oldest["added_at"]) if oldest else None

    def find(self, path: Path) -> list[Job]:
        """Every known version of a file, newest first."""
        return self._jobs("path = ? order by id desc", os.fsencode(path))

    def by_id(self, id: int) -> list[Job]:
        return self._jobs("id = ?", id)

    def with_provenance(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        """The newest version of every file that has a transcript, and what that was made with; oldest first."""
        sql = (
            "select * from job where state = 'done' and error is null and made_with is not null"
            " and id in (select max(id) from job group by path) order by id"
        )
        return ((schema.job(row), json.loads(row["made_with"])) for row in self._db.execute(sql))

    def suspicious(self, limit: int) -> list[Job]:
        """Jobs whose transcripts may lack words, the latest first."""
        return self._jobs("suspicion is not null and state = 'done' order by id desc limit ?", limit)

    def with_state(self, state: State, limit: int = 1_000_000) -> list[Job]:
        return self._jobs("state = ? order by id desc limit ?", state, limit)

    def deferred(self, limit: int) -> list[Job]:
        """Jobs that wait, with the reason why."""
        return self._jobs("state = 'queued' and error is not null order by not_before limit ?", limit)

    def pending_cleanup(self) -> list[Job]:
        """Jobs that are done, but what was to become of their source has not been recorded."""
        return self._jobs("state = 'done' and tidied = 0 order by id")

    def ended(self, inbox: Path, before: float, after_id: int, limit: int) -> list[Job]:
        """Jobs of an inbox that ended before a moment and of which nothing is left to do, oldest first."""
        return self._jobs(
            "inbox = ? and ended_at < ? and (state = 'failed' or state = 'done' and tidied = 1) and id > ?"
            " order by id limit ?",
            os.fsencode(inbox), before, after_id, limit,
        )  # fmt: skip

    def integrity_errors(self) -> list[str]:
        """What is wrong with the file, by SQLite's own check of every page and index: seconds for a million rows."""
        try:
            return [fault for (fault,) in self._db.execute("pragma integrity_check(3)") if fault != "ok"]
        except sqlite3.DatabaseError as error:  # too damaged for its own check
            return [str(error)]

    def sources(self, inbox: Path) -> Iterator[Source]:
        """The versions that need not be reported again: all but the withdrawn ones."""
        sql = "select * from job where inbox = ? and not (state = 'done' and error is not null)"
        return (schema.source(row) for row in self._db.execute(sql, (os.fsencode(inbox),)))

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        return [schema.job(row) for row in self._db.execute(f"select * from job where {where}", values)]


def read_only(path: Path) -> LedgerQueries:
    """Of a ledger that a daemon may be writing.  Raises Unavailable if there is none."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        (version,) = db.execute("pragma user_version").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"The ledger {path} cannot be read: {error}", "Has the daemon run yet?") from error
    if version != schema.VERSION:
        raise Unavailable(f"The ledger {path} is of another version of this program.", "Restart the daemon.")
    return LedgerQueries(db)
