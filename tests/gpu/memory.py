"""What a batch was expected to take of the card's memory, against what it took."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tests.gpu.findings import Finding, at_least, at_most, equal, quantile, told
from tests.gpu.place import Backlog, Place
from tests.support.loop import Loop
from transcribed.core.errors import Unavailable
from transcribed.core.events import Recognized
from transcribed.core.types import Assignment
from transcribed.pipeline.executors.process_pool import ProcessPool

BATCHES_A_ROUND = 4
ROWS, SECONDS = (1, 512), (0.3, 30.0)
REHEARSED_ROWS = (1, 8)
ERROR = 0.05
WASTE = 1.5  # of the allocator: kept by the most allocated
FILE = "memory.json"


class Remembering(ProcessPool):
    """Keeps what it was given, in order."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.assigned: list[Assignment] = []

    def submit(self, slot, request):
        if isinstance(request, Assignment):
            self.assigned.append(request)
        return super().submit(slot, request)


@dataclass(frozen=True)
class Taken:
    rows: int
    longest_seconds: float
    expected: float  # bytes, as are the others
    bytes: int
    resting: int
    reserved: int

    @property
    def error(self) -> float:
        """How much too much was expected, as a share of what was taken."""
        return self.expected / self.bytes - 1


def measure(place: Place) -> list[Finding]:
    more, wanted = place.timer(), BATCHES_A_ROUND * place.rounds
    with place.loop(place.full_size, batch_seconds=math.inf, executor=Remembering) as loop:
        backlog = Backlog(place, loop)
        while more() and len(loop.batches()) < wanted:
            rows = _drawn(backlog.dice, ROWS if place.is_card else REHEARSED_ROWS)
            loop.batcher.requeue(backlog.batch(int(rows), _drawn(backlog.dice, SECONDS)))
            backlog.until(lambda: not len(loop.batcher))
        backlog.end()
        taken = list(_taken(loop))
    (place.folder / FILE).write_text(json.dumps([asdict(one) for one in taken]))
    found = [
        at_least("batches of random shapes", len(loop.batches()), wanted),
        *backlog.failures(Unavailable),
    ]
    return [*found, *_judged(taken, place.facts())] if taken else found


def _drawn(dice: random.Random, limits: tuple[float, float]) -> float:
    """Each size as likely as its double."""
    low, high = limits
    return low * (high / low) ** dice.random()


def _taken(loop: Loop) -> Iterator[Taken]:
    """In order; nothing on a CPU."""
    assert isinstance(loop.recognizer, Remembering)
    expected = {id(assignment.batch): assignment.need_bytes for assignment in loop.recognizer.assigned}
    for event in loop.of(Recognized):
        batch, footprint = event.batch, event.recognition.footprint
        if footprint:
            bytes = footprint.peak - footprint.resting
            shape = len(batch.segments), batch.longest_seconds
            yield Taken(*shape, expected[id(batch)], bytes, footprint.resting, footprint.reserved)


def _judged(taken: list[Taken], facts: dict[str, str]) -> list[Finding]:
    errors = [one.error for one in taken]
    later = errors[len(errors) // 2 :]
    largest = max(taken, key=lambda one: one.bytes)
    waste = taken[-1].reserved / max(one.resting + one.bytes for one in taken)
    return [
        equal("batches that took more than was expected", sum(error < 0 for error in errors), 0),
        at_most("expected too much at worst, as a share", max(errors), ERROR),
        told("... at worst in the later half", max(later)),
        told("... in 95 of 100 batches at most", quantile(errors, 0.95)),
        told("... in every other batch at most", quantile(errors, 0.5)),
        told("... at least (below 0: too little)", min(errors)),
        told("the largest batch, in padded seconds", largest.rows * largest.longest_seconds),
        told("the largest batch took, in GiB", largest.bytes / 2**30),
        at_most("reserved at the end by the most allocated", waste, WASTE),
        equal("expandable segments", facts["expandable segments"], "True"),
        told("PyTorch and card", facts["versions"]),
    ]
