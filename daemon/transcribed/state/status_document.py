"""The shapes of status.json and alerts.json, which the daemon writes and commands read.

`operations.status.DaemonStatus` and `operations.alerts.monitor` make them.  Types only, because `transcribed status`
must answer at once.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from transcribed.system.documents import Amount, Count, UnixTime

STATUS_VERSION = 3  # of its format


class CardDocument(TypedDict):
    id: str
    uuid: str
    name: str
    total_bytes: Count
    free_bytes: Count
    used_bytes: Count
    reserved_bytes: Count | None
    utilization: int | float | None
    celsius: int | None
    others_bytes: Count | None
    others_busy: bool | None
    trouble: str | None


class ModelDocument(TypedDict):
    model: str
    dtype: str
    waits: str | None
    fits: dict[str, int | float]  # padded seconds, by the seconds of a row


class SlotDocument(TypedDict):
    slot: str
    card: CardDocument | None
    waits: str | None
    x: Amount | None
    models: list[ModelDocument]


class InboxDocument(TypedDict):
    path: str
    watch: str
    trouble: str | None
    scanned_seconds_ago: int | None


class PendingDocument(TypedDict):
    file: str
    seconds: Count


class ActiveDocument(TypedDict):
    job: Count
    file: str
    stage: str
    seconds: int | float | None
    seconds_left: Amount | None


class ReasonDocument(TypedDict):
    job: Count
    file: str
    reason: str | None


class BacklogDocument(TypedDict):
    audio_seconds: Amount
    unread_files: Count
    seconds_left: Amount | None


class OldestDocument(TypedDict):
    inbox: str
    since: str


class RecentDocument(TypedDict):
    failed: dict[str, Count]
    oldest: OldestDocument | None


class TaskDocument(TypedDict):
    task: str
    last_run: UnixTime | None
    running_since: UnixTime | None
    missed: Count
    error: str | None


class Counts(TypedDict):
    queued: Count
    active: Count
    done: Count
    failed: Count


class Today(TypedDict):
    done: Count
    failed: Count


class StatusDocument(TypedDict):
    schema_version: Literal[3]
    software: str
    pid: Count
    at: str
    started_at: str
    summary: str
    troubles: list[str]
    ledger: str | None
    cards: str | None
    benched: dict[str, str]
    lately: RecentDocument
    note: str | None
    counts: Counts
    today: Today
    slots: list[SlotDocument]
    backlog: BacklogDocument
    inboxes: list[InboxDocument]
    growing: list[PendingDocument]
    active: list[ActiveDocument]
    waiting: list[ReasonDocument]
    failed: list[ReasonDocument]
    suspicious: list[ReasonDocument]
    housekeeping: list[TaskDocument]
    rejected: str | None
    alive: NotRequired[bool]  # added by the reader: whether the daemon still runs


class ChannelDocument(TypedDict):
    channel: str
    reason: str | None
    failures: Count


class AlertDocument(TypedDict):
    """What a command shows of an alert; `operations.alerts.rules.AlertState` has the rest."""

    rule: str
    subject: str
    active: bool
    severity: str
    sentence: str
    hint: str
    since: UnixTime


class AlertsDocument(TypedDict):
    at: str
    log: str | None
    channels: list[ChannelDocument]
    entries: list[AlertDocument]
