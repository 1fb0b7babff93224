"""An error that sticks to the process that met it, as an assertion in a kernel does: it ends, the next one works."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.gpu import works
from tests.gpu.findings import Finding, equal, told
from tests.gpu.place import Backlog, Place
from transcribed.core.errors import DeviceLost, Unavailable
from transcribed.core.events import BatchFailed, WorkerReady

TIMES = 3
WAITING = 64


def measure(place: Place) -> list[Finding]:
    flag = place.folder / "assert"
    flag.unlink(missing_ok=True)
    with place.loop(place.small, functools.partial(works.asserting, flag)) as loop:
        backlog = Backlog(place, loop, WAITING)
        for _ in range(TIMES):
            backlog.pass_batches(1)
            _break_device(backlog, flag)
        backlog.end()
    lost = [event.error for event in loop.of(BatchFailed) if isinstance(event.error, DeviceLost)]
    return [
        equal("assertions in a kernel that ended their process", len(lost), TIMES),
        equal("workers that came up", len(loop.of(WorkerReady)), TIMES + 1),
        *backlog.judged(),
        *backlog.failures(DeviceLost, Unavailable),
        told("what is said of it", str(lost[0]) if lost else ""),
    ]


def _break_device(backlog: Backlog, flag: Path) -> None:
    ups = len(backlog.loop.of(WorkerReady))
    flag.touch()
    backlog.until(lambda: len(backlog.loop.of(WorkerReady)) > ups)
