"""A shared card in simulated time: what the daemon's decisions do, beside other ways of working.

`python -m tests.benchmarks.simulation [--seed N] [--plot FILE.svg]` prints a table, in about two minutes.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from tests.benchmarks import traces
from tests.benchmarks.run import PREPARE_SPEED, QUIET_SECONDS, Run
from tests.benchmarks.traces import HOUR, Trace
from tests.benchmarks.ways import WAYS, Way


def figures(run: Run) -> dict[str, float]:
    """Times in seconds; `throughput` in hours of audio per hour, `idle` as a share of the time in which work waited."""
    account, files = run.account, run.trace.files
    times = {name: [account.turnarounds[file.id] for file in files if file.id in account.turnarounds and wanted(file)]
             for name, wanted in (("short", lambda file: file.is_short), ("all", lambda file: True))}  # fmt: skip
    return {
        "throughput": account.backlogged_audio / account.backlogged if account.backlogged else 0.0,
        **{f"{name}_p{share}": percentile(times[name], share) for name in times for share in (50, 99)},
        "ooms": account.ooms,
        "ooms_alone": account.ooms_alone,
        "not_begun": account.not_begun,
        "asked": run.sibling.asked,
        "denied": run.sibling.denied,
        "broken": run.sibling.broken,
        "idle": account.idle / account.waited if account.waited else 0.0,
        "batches": account.batches,
        "audio_hours": account.audio_seconds / HOUR,
        "unanswered": sum(len(file.segments) for file in files) - account.answered - account.lost,
        "twice": account.twice,
    }


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share / 100))] if values else float("nan")


def compared(trace: Trace, seed: int, grace: float = 0.0, ways: Mapping[str, Way] = WAYS) -> dict[str, Run]:
    """All ways on one trace, ours first: those who know the sibling know what it could hold beside us."""
    runs: dict[str, Run] = {}
    for name, way in ways.items():
        held = tuple(runs["ours"].sibling.history) if way.knows else trace.wishes
        runs[name] = Run(way, replace(trace, wishes=held), seed).until_end(grace)
    return runs


def beside_a_long_file(seed: int, way: Way = WAYS["ours"], rate: float = 10.0) -> dict[str, float]:
    """The slowest percent of the voice messages that came while a file of six hours was recognized, and without it.

    `own` is what of it is not the quiet window, in which a file must not change.
    """
    with_it, without = (
        Run(way, traces.messages(seed, rate=rate, long_file=there), seed).until_end(grace=600.0)
        for there in (True, False)
    )
    long = max(with_it.trace.files, key=lambda file: file.seconds)
    ended_at = with_it.account.ended_at[long.id]
    began_at = long.came_at + QUIET_SECONDS + long.seconds / PREPARE_SPEED
    found = {}
    for name, run in (("p99", with_it), ("p99_idle", without)):
        times = [run.account.turnarounds[file.id] for file in run.trace.files
                 if file.is_short and began_at < file.came_at + QUIET_SECONDS < ended_at]  # fmt: skip
        found |= {name: percentile(times, 99), f"{name}_own": percentile(times, 99) - QUIET_SECONDS}
    return found | {"long_seconds": ended_at - began_at}


def compare(seed: int = 1, hours: int = 24) -> dict[str, Any]:
    """By way: `day` and `backlog`, with what `figures` gives; `growth` of ours; and `messages` beside a long file."""
    day, backlog = traces.day(seed, hours=hours), traces.backlog(seed)
    return {
        "day": {name: figures(run) for name, run in compared(day, seed, grace=HOUR).items()},
        "backlog": {name: figures(run) for name, run in compared(backlog, seed).items()},
        "growth": figures(Run(WAYS["ours"], traces.growth(seed), seed).until_end()),
        "messages": {name: beside_a_long_file(seed, way) for name, way in WAYS.items() if not way.knows},
    }


def main() -> None:
    from tests.benchmarks import report

    parser = argparse.ArgumentParser(description="Compare ways to share a card, in simulated time.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw our day")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    report.show(compare(wanted.seed))
    if wanted.plot:
        wanted.plot.parent.mkdir(parents=True, exist_ok=True)
        report.draw(Run(WAYS["ours"], traces.day(wanted.seed), wanted.seed), wanted.plot)


if __name__ == "__main__":
    main()
