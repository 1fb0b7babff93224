"""A neighbour that wants memory: what it was promised it always gets, and what it takes beyond that nobody is blamed
for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tests.gpu import works
from tests.gpu.findings import Finding, at_least, equal, told
from tests.gpu.neighbour import MIB, Neighbour
from tests.gpu.place import Backlog, Place
from transcribed.core.errors import OutOfMemory, Unavailable
from transcribed.core.events import BatchFailed
from transcribed.pipeline.scheduling.gpu_policy import Policy

WAITING = 2048
ASKED_A_ROUND = 2
RESTS = (16 * MIB, 256 * MIB)
RECOVERING = 8  # batches after which a ceiling that was halved is where it was


@dataclass
class Scene:
    """A backlog that does not end, and a neighbour."""

    backlog: Backlog
    hog: Neighbour
    reserve_bytes: int
    asked: int = 0
    refused: int = 0

    def ask_for_what_was_promised(self) -> None:
        """At any moment, whatever is in hand."""
        dice = self.backlog.dice
        self.backlog.run(dice.uniform(0, 0.3))
        self.asked += 1
        self.refused += not self.hog.take(int(dice.random() * self.reserve_bytes))
        self.backlog.run(dice.uniform(0, 0.3))
        self.hog.let_go()

    def rob(self) -> bool:
        """Take nearly all there is from under an admitted batch, and let go again.  Whether the device refused it."""
        loop, dice = self.backlog.loop, self.backlog.dice
        before, passed = self.failed(OutOfMemory), len(loop.batches())
        self.hog.arm(dice.randint(*RESTS))
        # one may be done just now, two more be on their way: of more, one has passed in what was left
        self.backlog.until(lambda: self.failed(OutOfMemory) > before or len(loop.batches()) > passed + 3)
        self.backlog.run(dice.uniform(0, 1.0))
        self.hog.let_go()
        self.backlog.pass_batches(RECOVERING)
        return self.failed(OutOfMemory) > before

    def failed(self, kind: type[Exception]) -> int:
        return sum(isinstance(event.error, kind) for event in self.backlog.loop.of(BatchFailed))


def measure(place: Place) -> list[Finding]:
    recovered = 0
    with (
        Neighbour(place.uuid) as hog,
        place.loop(place.full_size, functools.partial(works.robbed, hog.worker_end)) as loop,
    ):
        scene = Scene(Backlog(place, loop, WAITING), hog, Policy().reserve_bytes(place.gauge().total_bytes()))
        scene.backlog.pass_batches(RECOVERING)
        more = place.timer()
        while more() and recovered < place.rounds:
            for _ in range(ASKED_A_ROUND):
                scene.ask_for_what_was_promised()
            recovered += scene.rob()
        scene.backlog.end()
    return [
        at_least("recoveries from out of memory", recovered, place.rounds),
        *scene.backlog.judged(),
        *scene.backlog.failures(OutOfMemory, Unavailable),
        equal("jobs that would be blamed", len(loop.blamed), 0),
        told("batches recognized", len(loop.batches())),
        told("batches put off before they were begun", scene.failed(Unavailable)),
        told("requests of the neighbour within the reserve", scene.asked),
        equal("... that were refused", scene.refused, 0),
    ]
