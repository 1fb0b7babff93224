"""Series with known properties, for the tests of the statistic: resting, noisy, sawtooth, levelling off, leaking.

Each function takes the number of samples, the files between two of them, and dice; y is in MiB or descriptors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import accumulate
from math import floor, sqrt

from tests.soak.statistic import Block

HUNDRED = 100.0
REST = 60.0
NOISE = 2.0  # standard deviation
MEMORY = 0.9  # of noise: the share of the sample before, as of a cache
STEPS = ((0.1, 8.0), (0.3, 4.0), (0.55, 2.0))  # of an allocator: the share of the run, and by how much it grows
BELOW = 0.1  # per 100 files: a slope that does not matter

Series = Callable[[int, float, random.Random], Block]


def _block(values: Iterable[float], files: float) -> Block:
    return [(number * files / HUNDRED, value) for number, value in enumerate(values)]


def white(count: int, files: float, dice: random.Random) -> Block:
    """Independent noise."""
    return _block((dice.gauss(REST, NOISE) for _ in range(count)), files)


def wandering(count: int, files: float, dice: random.Random) -> Block:
    """Noise of which each sample resembles the one before: autoregressive, of the first order."""
    shock = NOISE * sqrt(1 - MEMORY**2)
    noise = accumulate((dice.gauss(0, shock) for _ in range(count)), lambda last, new: MEMORY * last + new)
    return _block((REST + value for value in noise), files)


def sawtooth(count: int, files: float, dice: random.Random) -> Block:
    """Garbage that is collected after every 50 to 150 files."""
    period, phase = dice.uniform(50, 150), dice.random()
    return _block((REST + 6 * ((n * files / period + phase) % 1) + dice.gauss(0, 0.5) for n in range(count)), files)


def levelling(count: int, files: float, dice: random.Random) -> Block:
    """An allocator that grows in smaller and smaller steps, and then no more."""

    def grown(share: float) -> float:
        return sum(by for at, by in STEPS if share >= at)

    return _block((REST + grown(n / count) + dice.gauss(0, 0.5) for n in range(count)), files)


def drifting(count: int, files: float, dice: random.Random) -> Block:
    """Noise on a slope below the floor."""
    noise = white(count, files, dice)
    return [(x, y + BELOW * x) for x, y in noise]


def leaking(count: int, files: float, dice: random.Random) -> Block:
    """Noise, and 1 for good after every 100 files: the leaks that are planted."""
    noise = wandering(count, files, dice)
    return [(x, y + floor(x)) for x, y in noise]


def descriptors(count: int, files: float, dice: random.Random) -> Block:
    """Whole numbers, mostly the same, and one more for good after every 100 files."""
    return _block((33 + dice.choice((0, 0, 0, 1, 4)) + floor(n * files / HUNDRED) for n in range(count)), files)


RESTING: dict[str, Series] = {
    "white": white,
    "wandering": wandering,
    "sawtooth": sawtooth,
    "levelling": levelling,
    "drifting": drifting,
}
LEAKS: dict[str, Series] = {"memory": leaking, "descriptors": descriptors}
