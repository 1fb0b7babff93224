"""What happens to a simulated card from outside: files that come, and a sibling service that wants memory.

All of it is drawn beforehand from one seed, so that every way of working meets the same day.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.support.fakes import segments
from transcribed.core.types import Options, Segment

HOUR = 3600.0
GIB = 2**30
TOTAL_BYTES = 24 * GIB  # an RTX 3090 or 4090, an A10, an L4
SHORT_SECONDS = 15.0  # a file no longer than this is a short one: a voice message

USUAL_LOAD = 20.0  # hours of audio in an hour
SPEED = 2000.0  # of the device, in seconds of audio a second: about what is told of SenseVoiceSmall on such cards

OPTIONS = {"calls": Options("m"), "voice": Options("m", language="zh"), "urgent": Options("m")}
PRIORITIES = {"calls": 0, "voice": 0, "urgent": 1}

# Of all files: how many are so long, in seconds.  Voice messages, calls, meetings.
LENGTHS = ((0.80, 2.0, SHORT_SECONDS), (0.17, 60.0, 600.0), (0.03, 1800.0, 7200.0))
# What vad.py makes of speech: neighbours are merged up to 10 s, nothing is longer than 30 s.
SEGMENT_LENGTHS = ((0.7, 4.0, 10.0), (0.2, 1.0, 4.0), (0.1, 10.0, 30.0))

Ranges = tuple[tuple[float, float, float], ...]  # probability, from, to


@dataclass(frozen=True)
class File:
    id: int
    came_at: float  # seconds since the trace began
    inbox: str
    segments: tuple[Segment, ...]

    @cached_property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.segments)

    @property
    def is_short(self) -> bool:
        return self.seconds <= SHORT_SECONDS


@dataclass(frozen=True)
class Trace:
    seconds: float
    files: tuple[File, ...]
    wishes: tuple[tuple[float, int], ...]  # when, and how many bytes the sibling wants to hold from then on
    begins_at: float = 0.0  # seconds after midnight


Arrival = tuple[float, str, float]  # when, inbox, seconds


def day(seed: int, first_hour: int = 0, hours: int = 24, load: float = USUAL_LOAD) -> Trace:
    """A day, or some hours of it.  `load`: hours of audio that come in an hour, on the average of a whole day."""
    dice = random.Random(f"day {seed}")
    begin, end = first_hour * HOUR, (first_hour + hours) * HOUR
    arrivals = [*_usual(dice, load), *_unusual(dice, load / USUAL_LOAD)]
    kept = [(at - begin, inbox, seconds) for at, inbox, seconds in arrivals if begin <= at < end]
    return Trace(hours * HOUR, _files(dice, kept), tuple(_wishes(dice, hours * HOUR, 60.0)), begin)


def backlog(seed: int, seconds: float = 900.0) -> Trace:
    """More than can be done, from the first moment, beside a sibling that changes its mind every five seconds."""
    dice = random.Random(f"backlog {seed}")
    arrivals, left = [], SPEED * seconds
    while left > 0:
        arrivals.append((0.0, dice.choice(("calls", "voice", "urgent")), _drawn(dice, LENGTHS)))
        left -= arrivals[-1][2]
    return Trace(seconds, _files(dice, arrivals), tuple(_wishes(dice, seconds, 5.0)), 9 * HOUR)


def messages(seed: int, seconds: float = 120.0, rate: float = 10.0, *, long_file: bool) -> Trace:
    """Voice messages at `rate` a second; a file of six hours comes with them, or not.  No sibling."""
    dice = random.Random(f"messages {seed}")
    arrivals = [(at, "voice", _drawn(dice, LENGTHS[:1])) for at in _moments(dice, rate, 0.0, seconds)]
    return Trace(seconds, _files(dice, [*arrivals, *([(20.0, "voice", 6 * HOUR)] if long_file else [])]), ())


def growth(seed: int, times: int = 8) -> Trace:
    """Again and again a long file leaves a worker with a large cache, and nothing to do; then a sibling grows."""
    dice = random.Random(f"growth {seed}")
    begins = [80.0 * n for n in range(times)]
    wishes: list[tuple[float, int]] = []
    for begin in begins:
        starts = begin + dice.uniform(20, 30)
        wishes += [(starts + n, n * 3 * GIB // 4) for n in range(29)]
        wishes.append((begin + 78.0, 0))
    files = _files(dice, [(begin, "calls", 2 * HOUR) for begin in begins])
    return Trace(80.0 * times, files, tuple(wishes), 9 * HOUR)


def squeeze(seed: int, seconds: float = 120.0) -> Trace:
    """More than can be done, on a card that a sibling has nearly to itself; every second it takes or returns up to a
    GiB.
    """
    dice = random.Random(f"squeeze {seed}")
    levels = (14.0, *(14 + n / 2 for n in range(1, 10)), *(dice.uniform(19, 20) for _ in range(int(seconds) - 25)))
    wishes = [(0.0 if n == 0 else 14.0 + n, int(level * GIB)) for n, level in enumerate(levels)]
    files = backlog(seed, seconds / 2).files
    return Trace(seconds, files, (*wishes, (seconds, 0)), 9 * HOUR)


def rate_of(hour: int) -> float:
    """Of the average: a night of a tenth, a morning of five times, and a day that makes the mean one."""
    if 8 <= hour < 10:
        return 5.0
    return 0.1 if hour < 6 or hour >= 22 else 0.94


def _usual(dice: random.Random, load: float) -> Iterator[Arrival]:
    mean = sum(share * (low + high) / 2 for share, low, high in LENGTHS)
    for hour in range(24):
        for at in _moments(dice, load * rate_of(hour) / mean, hour * HOUR, (hour + 1) * HOUR):
            yield at, dice.choices(("calls", "voice", "urgent"), (6, 3, 1))[0], _drawn(dice, LENGTHS)


def _unusual(dice: random.Random, scale: float) -> Iterator[Arrival]:
    """Bursts of a thousand voice messages, files of six hours with short ones, and archives of a hundred hours."""
    for hour in (1.5, 8.5, 15.0):
        yield from ((hour * HOUR, "voice", _drawn(dice, LENGTHS[:1])) for _ in range(round(1000 * scale)))
    for hour in (2.5, 9.25, 20.0):
        yield hour * HOUR, "calls", 6 * HOUR
        yield from ((hour * HOUR, "voice", _drawn(dice, LENGTHS[:1])) for _ in range(50))
    for hour in (3.0, 9.0, 18.0):
        yield from ((hour * HOUR, "calls", dice.uniform(1800, 5400)) for _ in range(round(100 * scale)))


def _moments(dice: random.Random, rate: float, start: float, stop: float) -> Iterator[float]:
    at = start + dice.expovariate(rate)
    while at < stop:
        yield at
        at += dice.expovariate(rate)


def _files(dice: random.Random, arrivals: Iterable[Arrival]) -> tuple[File, ...]:
    ordered = enumerate(sorted(arrivals, key=lambda arrival: arrival[0]), 1)
    return tuple(File(id, at, inbox, segments(id, *_cut(dice, seconds))) for id, (at, inbox, seconds) in ordered)


def _cut(dice: random.Random, seconds: float) -> Iterator[float]:
    """As long as segments are, until the file ends."""
    while seconds > 0.5:
        length = min(seconds, _drawn(dice, SEGMENT_LENGTHS))
        yield length
        seconds -= length


def _drawn(dice: random.Random, ranges: Ranges) -> float:
    chosen = dice.choices(ranges, [share for share, _, _ in ranges])[0]
    return dice.uniform(*chosen[1:])


# --- the sibling -------------------------------------------------------------------------------------

MOST = 0.95  # of the card
STEP = 0.03  # of the card: deviation of a usual change
JUMPS = 0.1  # of all changes: to anywhere
AT_ONCE = 0.2  # of all jumps up: in one request; the others load so many bytes so often, as from a disk:
CHUNK_BYTES, CHUNK_SECONDS = GIB // 2, 1.0


def _wishes(dice: random.Random, seconds: float, every: float) -> Iterator[tuple[float, int]]:
    """A random walk with jumps; it changes every so many seconds, on average, and ends at last."""
    now, level = 0.0, int(0.3 * TOTAL_BYTES)
    while (now := now + dice.expovariate(1 / every)) < seconds:
        jumps = dice.random() < JUMPS
        aim = dice.uniform(0, MOST) if jumps else level / TOTAL_BYTES + dice.gauss(0, STEP)
        target = int(min(max(aim, 0.0), MOST) * TOTAL_BYTES)
        slow = jumps and dice.random() >= AT_ONCE
        while slow and target - level > CHUNK_BYTES:
            level += CHUNK_BYTES
            yield now, level
            now += CHUNK_SECONDS
        level = target
        yield now, level
    yield max(now, seconds), 0
