"""A worker that comes up on the right card, and leaves it as it was when there is nothing to do."""

from __future__ import annotations

import time

from tests.gpu.findings import Finding, at_most, equal, told
from tests.gpu.gauge import used_by_card
from tests.gpu.place import Backlog, Place
from transcribed.core.events import WorkerExited, WorkerReady

IDLE_SECONDS = 3.0
BACK_SECONDS, BACK_BYTES = 5.0, 64 * 2**20
SEGMENTS = 200


def measure(place: Place) -> list[Finding]:
    model, gauge = place.full_size, place.gauge()
    cards, before = used_by_card() if place.is_card else {}, gauge.used_bytes()
    with place.loop(model, idle_exit=IDLE_SECONDS) as loop:
        backlog = Backlog(place, loop)
        backlog.add(SEGMENTS)
        backlog.end()
        leaves_at = time.monotonic() + IDLE_SECONDS
        held, grown = gauge.used_bytes() - before, _grown(cards)
        loop.until(lambda: loop.of(WorkerExited), 30)
        down = time.monotonic() - leaves_at
        latest = leaves_at + 4 * BACK_SECONDS
        loop.until(lambda: gauge.used_bytes() <= before + BACK_BYTES or time.monotonic() > latest, 60)
        back = time.monotonic() - leaves_at
        kept = gauge.used_bytes() - before
    found = [
        told("held with a worker up and its cache, in GiB", held / 2**30),
        told("seconds from leaving until its process is gone", down),
        at_most("seconds from leaving until its memory is back", back, BACK_SECONDS),
        at_most("kept then, in MiB", kept / 2**20, BACK_BYTES / 2**20),
    ]
    return [*found, *_mapping(place, grown, loop.of(WorkerReady)[0].profile.device)] if place.is_card else found


def _grown(before: dict[str, int]) -> str:
    """The UUID of the card of which most was taken since."""
    now = used_by_card() if before else {}
    return max(before, key=lambda uuid: now[uuid] - before[uuid], default="")


def _mapping(place: Place, grown: str, told_by_worker: str) -> list[Finding]:
    """A part of a card (MIG) has a UUID of its own, and NVML lists cards only."""
    facts = place.facts()
    found = [
        equal("the card that the worker says it is on", told_by_worker, place.uuid),
        equal("cards that the worker sees", facts["cards seen"], "1"),
    ]
    if place.uuid.startswith("GPU-"):
        found += [
            equal("the card of which memory was taken, by NVML", grown, place.uuid),
            equal("the card that PyTorch computes on", f"GPU-{facts['uuid'].removeprefix('GPU-')}", place.uuid),
        ]
    return found
