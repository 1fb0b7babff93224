"""Whether the card computes all the time while there is a backlog, and how fast it goes then."""

from __future__ import annotations

import statistics
import time

from tests.gpu.findings import Finding, at_least, told
from tests.gpu.gauge import Look
from tests.gpu.place import Backlog, Place
from transcribed.core.events import Recognized

WAITING = 4096
WARM_BATCHES = 15  # until batches are as large as they get, and their kernels chosen
SECONDS, LOOK_SECONDS = 45.0, 0.1
BUSY = 0.95


def measure(place: Place) -> list[Finding]:
    gauge = place.gauge()
    with place.loop(place.full_size) as loop:
        backlog = Backlog(place, loop, WAITING)
        backlog.pass_batches(WARM_BATCHES)
        loop.events.clear()
        started = time.monotonic()
        with gauge.watching(LOOK_SECONDS) as looks:
            backlog.run(min(SECONDS, place.seconds))
        seconds, batches = time.monotonic() - started, loop.of(Recognized)
    audio = sum(segment.seconds for event in batches for segment in event.batch.segments)
    padded = sum(event.batch.padded_seconds for event in batches)
    recognizing = sum(event.recognition.seconds for event in batches)
    return [
        at_least("share of time in which the card computes, by NVML", statistics.mean(_busy(looks.all)), BUSY),
        told("share of time in which the worker recognizes", recognizing / seconds),
        told("seconds of audio per second", audio / seconds),
        told("padding, as a share of what is recognized", 1 - audio / padded),
        told("batches per second", len(batches) / seconds),
        told("segments per batch", statistics.mean(len(event.batch.segments) for event in batches)),
    ]


def _busy(looks: list[Look]) -> list[float]:
    """The first second tells of what was before."""
    return [look.busy for look in looks[int(1 / LOOK_SECONDS) :]] or [0.0]
