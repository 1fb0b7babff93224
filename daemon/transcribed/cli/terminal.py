"""Terminal output: the daemon's status, alerts and the doctor's findings as lines, tables and bars.

Knows the status document and findings; nothing of their subjects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from transcribed.core.events import Delivered, Event, Settled
from transcribed.core.text import printable

if TYPE_CHECKING:
    from transcribed.doctor.runner import Section
    from transcribed.state.status_document import (
        ActiveDocument,
        AlertsDocument,
        ModelDocument,
        ReasonDocument,
        StatusDocument,
    )

WATCH_SECONDS = 1.0
_NO_MODEL: ModelDocument = {"model": "-", "dtype": "no worker is running", "waits": None, "fits": {}}
_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "fault": "bold red"}


def status_lines(status: StatusDocument) -> Iterator[str]:
    """Yield the status, a line each, with nothing in them that a terminal would act on."""
    return map(printable, _status_lines(status))


def _status_lines(status: StatusDocument) -> Iterator[str]:
    alive = f"running since {status['started_at']}, process {status['pid']}" if status["alive"] else "not running"
    yield f"{status['software']}, {alive}; as of {status['at']}"
    yield status["summary"]
    if status["note"]:
        yield status["note"]
    for inbox in status["inboxes"]:
        yield f"  {inbox['path']}: {inbox['trouble'] or 'watched by ' + inbox['watch']}"
    for slot in status["slots"]:
        yield f"  {slot['slot']}: {slot['waits'] or speed(slot['x'])}"
    for title, entries in (
        ("in progress", [f"{entry['file']}: {_stage(entry)}" for entry in status["active"]]),
        ("still growing", [f"{entry['file']}: watched for {entry['seconds']} s" for entry in status["growing"]]),
        ("waiting", _reasons(status["waiting"])),
        ("failed", _reasons(status["failed"])),
        ("done, but suspicious", _reasons(status["suspicious"])),
    ):
        yield from [f"{title}:", *(f"  {entry}" for entry in entries)] if entries else []


def _reasons(entries: Iterable[ReasonDocument]) -> list[str]:
    return [f"{entry['file']}: {entry['reason']}" for entry in entries]


def _stage(entry: ActiveDocument) -> str:
    left = entry["seconds_left"]
    return f"{entry['stage']}, about {duration(left)} left" if left is not None else str(entry["stage"])


def alert_lines(state: AlertsDocument, records: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield active alerts, failing channels and recent alerts, with nothing in them that a terminal would act on.

    `state` is alerts.json.
    """
    return map(printable, _alert_lines(state, records))


def _alert_lines(state: AlertsDocument, records: Sequence[dict[str, str]]) -> Iterator[str]:
    active = [entry for entry in state["entries"] if entry["active"]]
    active.sort(key=lambda entry: entry["since"])
    count = len(active)
    yield f"{count or 'No'} alert{'s are' if count > 1 else ' is'} active; as of {_moment(state['at'])}"
    for entry in active:
        since = datetime.fromtimestamp(entry["since"], UTC).isoformat()
        yield f"  {entry['severity']} since {_moment(since)}: {entry['sentence']}"
        yield from [f"      {entry['hint']}"] if entry["hint"] else []
    told = {entry["subject"] for entry in active if entry["rule"] == "channel"}
    for channel in state["channels"]:
        if channel["reason"] and channel["channel"] not in told:
            tries = f"failed {channel['failures']} times in a row" if channel["failures"] > 1 else "failed"
            yield f"  alert channel {channel['channel']} {tries}: {channel['reason']}"
    yield from ["recent alerts:"] if records else []
    for record in records:
        kind = _KINDS.get(record["kind"], record["kind"])
        yield f"  {_moment(record['time'])}  {kind}: {record['sentence']}"


_KINDS = {"alert": "alert", "repeat": "reminder", "recovery": "resolved"}


def _moment(iso: str) -> str:
    """Return a moment in the computer's local time."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


def speed(x: float | None) -> str:
    return "no speed measured yet" if x is None else f"{x:.0f} seconds of audio per second"


def duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def capacity(status: StatusDocument) -> Any:
    """Return a table, per slot and model: audio that fits in a batch now, speed, and time left for the backlog."""
    from rich.table import Table

    table = Table(title="Audio that fits in a batch now, in seconds", title_justify="left")
    for name in ("slot", "free", "model", "rows of 5 s", "rows of 10 s", "rows of 30 s", "speed"):
        table.add_column(name)
    for slot in status["slots"]:
        card = slot["card"]
        free = f"{card['free_bytes'] / 2**30:.1f} of {card['total_bytes'] / 2**30:.1f} GiB" if card else "-"
        pace = f"{slot['x']:.0f}x" if slot["x"] else "-"
        for model in slot["models"] or [_NO_MODEL]:
            fits = (f"{model['fits'].get(row, 0):.0f}" for row in ("5", "10", "30"))
            table.add_row(slot["slot"], free, f"{model['model']} ({model['dtype']})", *fits, pace)
    backlog, left = status["backlog"], status["backlog"]["seconds_left"]
    table.caption = f"Waiting: {duration(backlog['audio_seconds'])} of audio" + (
        f", done in about {duration(left)}" if left is not None else ""
    )
    table.caption += f"; files not read yet: {backlog['unread_files']}" * bool(backlog["unread_files"])
    return table


def section(found: Section) -> Any:
    """Return a title with a line per finding and its fix below; colours show in a terminal only."""
    from rich.text import Text

    text = Text(f"{printable(found.title)}\n", style="bold")
    for finding in found.findings:
        style = _STYLES[finding.level]
        text.append(f"  {finding.level.value:<7} ", style=f"not bold {style}")
        text.append(f"{printable(finding.sentence)}\n", style="not bold")
        if finding.fix:
            text.append(f"{'':10}{printable(finding.fix)}\n", style="not bold dim")
    return text


def doctor_lines(sections: Iterable[Section]) -> Iterator[Section]:
    """Print each section as it arrives, and yield it."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for found in sections:
        console.print(section(found))
        yield found


def verdict(faults: int) -> str:
    return f"{faults} {'fault' if faults == 1 else 'faults'}: recordings wait or fail." if faults else "No faults."


def watch(read: Callable[[], StatusDocument | None]) -> None:
    """Show the status until interrupted, with a bar: files finished of all those seen since the start."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import Progress

    bar = Progress(*_columns(), auto_refresh=False)
    task = bar.add_task("backlog", total=None)
    first: int | None = None
    with Live(auto_refresh=False) as live:
        while (status := read()) is not None:
            ended = status["today"]["done"] + status["today"]["failed"]
            first = ended if first is None else min(first, ended)
            waiting = status["counts"]["queued"] + status["counts"]["active"]
            bar.update(task, total=ended - first + waiting, completed=ended - first)
            live.update(Group(*status_lines(status), bar), refresh=True)
            time.sleep(WATCH_SECONDS)


class Bar:
    """An observer that shows how many of the noticed files are delivered; for `run --once` in a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(*_columns(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("files", total=0)
        self._settled = 0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Settled):
            self._settled += 1
            self._bar.update(self._task, total=self._settled)
        elif isinstance(event, Delivered):
            self._bar.advance(self._task)


def _columns() -> list[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
