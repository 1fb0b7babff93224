"""A simulated card, in simulated time: what batches take of its memory and how long they run, an allocator that caches,
and a sibling service that shares it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from tests.benchmarks.traces import GIB, SPEED, TOTAL_BYTES
from transcribed.core.telemetry import Footprint

CONTEXT_BYTES = GIB // 2  # 107 to 843 MB have been seen (pytorch#86493)
WEIGHTS_BYTES = GIB  # 234 million parameters in fp32, 0.87 GiB, and what is rounded up

FIXED_SECONDS = 0.008  # of a batch, whatever its size: 70 layers of some 20 kernels, each 5 us to launch
# SenseVoiceSmall in bf16, 16.7 frames a second: workspaces; 3 MB a second for features, feed-forward layers and a part
# of 25,055 logits; attention masks and scores grow with the square of the length.
BASE_BYTES, SECOND_BYTES, SQUARE_BYTES = 60e6, 3e6, 10e3
NOISE = 0.01  # deviation of a peak, cut at three of them: the allocator rounds, kernels choose workspaces


class World:
    """A clock, and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now

    def at(self, time: float, act: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._agenda, (time, self._count, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + seconds, act)

    def run(self, until: float) -> None:
        """May be called by what happens: then time passes for it, and others act meanwhile."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, act = heappop(self._agenda)
            act()
        self.now = max(self.now, until)


# --- memory ------------------------------------------------------------------------------------------


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


class Formula:
    """What batches truly take, and how long; admission does not know it."""

    margin = 1 + 3 * NOISE

    def bytes(self, rows: int, longest_seconds: float) -> float:
        """Never under."""
        return self.margin * self.usual_bytes(rows * longest_seconds, longest_seconds)

    @staticmethod
    def usual_bytes(padded_seconds: float, longest_seconds: float) -> float:
        return BASE_BYTES + padded_seconds * (SECOND_BYTES + SQUARE_BYTES * longest_seconds)

    def seconds(self, padded_seconds: float) -> float:
        return FIXED_SECONDS + padded_seconds / SPEED


@dataclass(slots=True)
class Card:
    total: int = TOTAL_BYTES
    ours: int = 0
    siblings: int = 0

    @property
    def free(self) -> int:
        return self.total - self.ours - self.siblings


class Allocator:
    """PyTorch's caching allocator, as `executors.device.Memory` asks for it: what was used once is kept."""

    def __init__(self, card: Card, clock: Callable[[], float], caches: bool = True) -> None:
        self._card, self._clock = card, clock
        self._caches = caches
        self._resting = self._peak = self.allocated = self.reserved = 0

    def begin(self) -> None:
        self._resting = self._peak = self.allocated

    def footprint(self) -> Footprint:
        return Footprint(self._resting, self._peak, self.reserved, self._card.free, self._clock())

    def spare_bytes(self) -> float:
        return float(self._card.free + self.reserved - self.allocated)

    def release(self) -> None:
        self._keep(self.allocated)

    def allocate(self, bytes: int) -> None:
        wanted = self.allocated + bytes
        if wanted - self.reserved > self._card.free:
            raise OutOfMemoryError("CUDA out of memory.")
        self.allocated, self._peak = wanted, max(self._peak, wanted)
        self._keep(max(self.reserved, wanted))

    def free(self, bytes: int) -> None:
        self.allocated -= bytes
        if not self._caches:
            self.release()

    def _keep(self, bytes: int) -> None:
        self._card.ours += bytes - self.reserved
        self.reserved = bytes


class Sibling:
    """Asks for memory as its wishes go, and is refused what is not there.

    A refusal is our fault (`broken`) where the request, with all that it took within NOTICE_SECONDS, would have fitted
    in the reserve, and beside our weights: a promise is kept by who can know of it, and that takes a batch in hand.
    """

    NOTICE_SECONDS = 2.0  # a batch of one second and as much again; a reading every half second

    def __init__(self, world: World, card: Card, resting: Callable[[], int], reserve: Callable[[], int]) -> None:
        """`resting`: what we cannot give back; `reserve`: what we are to leave free; both now, in bytes."""
        self._world, self._card, self._resting, self._reserve = world, card, resting, reserve
        self._lately: deque[tuple[float, int, int]] = deque()  # until when, held then, reserve then
        self.history: list[tuple[float, int]] = []  # since when, what it held
        self.asked = self.denied = self.broken = 0

    def wants(self, bytes: int) -> None:
        more = bytes - self._card.siblings
        self.asked += more > 0
        if more > self._card.free:
            self.denied += 1
            self.broken += self._was_promised(more)
        else:
            self._lately.append((self._world.now, self._card.siblings, self._reserve()))
            self.history.append((self._world.now, bytes))
            self._card.siblings = bytes

    def _was_promised(self, more: int) -> bool:
        while self._lately and self._lately[0][0] < self._world.now - self.NOTICE_SECONDS:
            self._lately.popleft()
        held = self._card.siblings
        taken = held - min((before for _, before, _ in self._lately), default=held)
        promised = min((reserve for _, _, reserve in self._lately), default=self._reserve())
        return taken + more <= min(promised, self._reserve()) and more <= self._card.total - held - self._resting()
