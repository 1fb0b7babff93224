"""What the simulation found, for people: a table, and a day as curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.device import SLOT
from tests.benchmarks.run import Run
from tests.benchmarks.traces import GIB, HOUR
from transcribed.core.types import Options
from transcribed.pipeline.scheduling.budget import BatchBudget

SAMPLE_SECONDS = 120.0

COLUMNS = {
    "speed": lambda f: f"{f['throughput']:.0f}",
    "short": lambda f: f"{f['short_p50']:.1f} {f['short_p99']:6.1f}",
    "all": lambda f: f"{f['all_p50']:.1f} {f['all_p99']:6.1f}",
    "OOM": lambda f: f"{f['ooms']} {f['ooms_alone']:2}",
    "denied": lambda f: f"{f['denied']} {f['broken']:3}",
    "idle": lambda f: f"{f['idle']:.1%}",
}
LEGEND = (
    "speed: hours of audio per hour while much waited.  short, all: p50 and p99 in seconds from drop to transcript, 5 "
    "of them the quiet window.  OOM: batches that did not fit; of them, those of one segment.  denied: requests of the "
    "sibling; of them, those that the reserve was for.  idle: of the time in which work waited."
)


def show(found: dict[str, Any], console: Console | None = None) -> None:
    console = console or Console()
    for name in ("backlog", "day"):
        console.print(_table(name, found[name]))
    console.print(LEGEND)
    grown = found["growth"]
    console.print(f"A sibling that grows while nothing waits: {grown['denied']} denied, {grown['broken']} promised.")
    for way, beside in found["messages"].items():
        console.print(
            f"Voice messages beside a file of six hours, {way}: p99 {beside['p99_own']:.2f} s after the quiet window, "
            f"without it {beside['p99_idle_own']:.2f} s; the long file took {beside['long_seconds']:.1f} s"
        )


def _table(name: str, ways: dict[str, dict[str, float]]) -> Table:
    table = Table("way", title=name)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for way, figures in ways.items():
        table.add_row(way, *(tell(figures) for tell in COLUMNS.values()))
    return table


def draw(run: Run, path: Path) -> None:
    """Plays a run that was not played yet, and draws it."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.fonttype": "none", "path.simplify_threshold": 0.5})
    hours, load, sibling, ours, room = zip(*_samples(run), strict=True)
    figure, (above, below) = pyplot.subplots(2, sharex=True, figsize=(11, 6), layout="constrained")
    above.fill_between(hours, load, color="tab:orange", lw=0)
    above.set(ylabel="hours of audio that wait", yscale="symlog", title="A card of 24 GiB, shared for a day")
    below.stackplot(hours, sibling, ours, labels=("sibling", "ours"), colors=("lightgrey", "tab:blue"), lw=0)
    below.plot(hours, room, color="tab:green", lw=0.7, label="room for one batch")
    below.set(xlabel="hour", ylabel="GiB", xlim=(0, 24), ylim=(0, 24), xticks=range(0, 25, 2))
    below.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    figure.savefig(path)
    pyplot.close(figure)


def _samples(run: Run) -> list[tuple[float, float, float, float, float]]:
    """Every two minutes: hour, hours of audio that wait, GiB held by the sibling and by us, GiB of room."""
    taken = []

    def sample() -> None:
        held = run.card.siblings / GIB, run.card.ours / GIB
        taken.append((run.world.now / HOUR, run.account.waiting_seconds / HOUR, *held, _room_bytes(run) / GIB))
        run.world.after(SAMPLE_SECONDS, sample)

    run.world.at(0.0, sample)
    run.until_end()
    return taken


def _room_bytes(run: Run) -> float:
    """Free for one batch now; 0 where there is none."""
    room = run.admission.budget(SLOT, Options("m"), run.world.now)
    return max(0.0, room.free_bytes) if isinstance(room, BatchBudget) else 0.0
