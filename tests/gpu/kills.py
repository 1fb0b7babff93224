"""A worker that is killed with batches in hand: nothing is lost, its memory comes back, another takes its place."""

from __future__ import annotations

import os
import signal
import time

from tests.gpu.findings import Finding, at_least, equal, quantile, told
from tests.gpu.gauge import Looks
from tests.gpu.place import Backlog, Place
from transcribed.core.errors import Unavailable, WorkerLost
from transcribed.core.events import WorkerReady

WAITING, LENGTHS = 2048, (2.0, 10.0)
LONGEST_LIFE = 0.7  # seconds of work, until it is killed
NEAR = 64 * 2**20  # bytes: memory is back


def measure(place: Place) -> list[Finding]:
    more, gauge = place.timer(), place.gauge()
    before, took, kept = gauge.used_bytes(), list[float](), 0
    with place.loop(place.small) as loop, gauge.watching(0.02) as looks:
        backlog = Backlog(place, loop, WAITING, LENGTHS)
        while more() and len(took) < place.rounds:
            seconds, least = _kill(backlog, looks)
            took.append(seconds)
            kept += least > before + NEAR
        backlog.end()
    return [
        at_least("kills with batches in hand, each replaced by itself", len(took), place.rounds),
        *backlog.judged(),
        *backlog.failures(WorkerLost, Unavailable),
        equal("kills after which memory was not back before the next worker", kept, 0),
        told("seconds from a kill to the next worker, in the middle", quantile(took, 0.5)),
        told("... at most", quantile(took, 1.0)),
    ]


def _kill(backlog: Backlog, looks: Looks) -> tuple[float, int]:
    """Seconds until the next worker was up, and the fewest bytes in use meanwhile."""
    loop = backlog.loop
    backlog.pass_batches(1)
    backlog.run(backlog.dice.uniform(0, LONGEST_LIFE))
    backlog.until(lambda: loop.mailbox.outstanding)
    ups = len(loop.of(WorkerReady))
    (worker,) = loop.recognizer.processes()
    killed_at = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    backlog.until(lambda: len(loop.of(WorkerReady)) > ups)
    return time.monotonic() - killed_at, min((look.used_bytes for look in looks.since(killed_at)), default=0)
