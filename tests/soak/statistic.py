"""Decide whether a series grows without end: Sen's slope, Kendall's test for a trend, and a look at the latter half.

Pure; knows numbers, nothing of what they measure.  x is the number of files handled, in hundreds, so that a slope is
per 100 files and not per second.

**The statistic.**  The points after a warm-up are gathered in intervals of equal numbers of files, and each interval
is represented by its medians (`levels`), which takes out spikes and the correlation of neighbouring samples.  A series
grows if all of these hold:

1. Sen's slope [1], the median of the slopes of all pairs of levels, is at least the floor, below which a slope does not
   matter;
2. the Mann-Kendall test [2, 3] (one-sided, corrected for ties and for continuity) rejects "no trend" at `alpha`, which
   is ALPHA shared by all series of a run (Bonferroni);
3. the latter half of the levels still grows: its own slope is at least the floor, and its own test rejects "no trend"
   at LATE_ALPHA.  An allocator's growth levels off, a leak goes on.

Where processes are replaced, only points of one process are compared, and the counts of all processes are summed: the
seasonal Kendall test [4], with processes in place of months.

**False alarms**, by the series of `synthetic`, at ALPHA shared by 30 series.  Of 100,000 hours (noise, autocorrelated
noise, a sawtooth, growth that levels off, a slope below the floor) none was said to grow: with 95 % confidence below 3
in 100,000 series, and 1 in 1,000 runs.  Of 10,000 times five minutes each: 0.09 % of autocorrelated noise, 0.27 % of
growth that levels off, 0.02 % of slopes below the floor, none of the others.

[1] Sen, P. K. (1968): Estimates of the regression coefficient based on Kendall's tau.  JASA 63, 1379-1389.
[2] Mann, H. B. (1945): Nonparametric tests against trend.  Econometrica 13, 245-259.
[3] Kendall, M. G. (1975): Rank correlation methods, 4th ed.: the variance with ties.
[4] Hirsch, R. M., Slack, J. R., Smith, R. A. (1982): Techniques of trend analysis for monthly water quality data.
    Water Resources Research 18, 107-121.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erfc, sqrt
from statistics import median

Point = tuple[float, float]  # files handled, in hundreds; a value
Block = Sequence[Point]  # in the order of x

ALPHA = 0.01  # of a run: the chance that any of its series, if none grows, passes the test for a trend
LATE_ALPHA = 0.05  # a second condition can only make false alarms rarer, and has half as many levels
FEWEST_LEVELS = 8  # fewer cannot pass the test at ALPHA shared by 30 series
MOST_LEVELS = 24
SAMPLES_PER_LEVEL = 8


@dataclass(frozen=True, slots=True)
class Trend:
    """What was found in a series: slope per 100 files, the chance of such an order by accident, and the verdict."""

    levels: int
    first: float
    last: float
    slope: float
    late_slope: float
    chance: float
    grows: bool
    enough: bool = True  # levels to decide by


def judge(blocks: Sequence[Block], floor: float, alpha: float) -> Trend:
    """Decide whether the levels in `blocks` grow by `floor` or more per 100 files; compare only within a block."""
    points = [point for block in blocks for point in block]
    if len(points) < FEWEST_LEVELS:
        return _too_few(points)
    late, slope, chance = _latter_halves(blocks), sen_slope(blocks), kendall(blocks)
    goes_on = sen_slope(late) >= floor and kendall(late) <= LATE_ALPHA
    grows = slope >= floor and chance <= alpha and goes_on
    return Trend(len(points), points[0][1], points[-1][1], slope, sen_slope(late), chance, grows)


def levels(points: Block, most: int = MOST_LEVELS, samples_per_level: int = SAMPLES_PER_LEVEL) -> list[Point]:
    """Return the medians of x and y in intervals of equal numbers of files: fewer than `most` for few samples."""
    count = min(most, len(points) // samples_per_level)
    if count < 1:
        return []
    begin, end = points[0][0], points[-1][0]
    width = (end - begin) / count or 1.0
    found: dict[int, list[Point]] = {}
    for x, y in points:
        found.setdefault(min(int((x - begin) / width), count - 1), []).append((x, y))
    return [_middle(found[place]) for place in sorted(found)]


def sen_slope(blocks: Sequence[Block]) -> float:
    """Return the median of the slopes of all pairs of points of the same block; 0 if there is no pair."""
    slopes = [(b - a) / (u - t) for block in blocks for (t, a), (u, b) in combinations(block, 2) if u > t]
    return median(slopes) if slopes else 0.0


def kendall(blocks: Sequence[Block]) -> float:
    """Return the chance of at least so many rising pairs, less falling ones, if the order is random."""
    score, variance = 0, 0.0
    for block in blocks:
        score += sum((b > a) - (b < a) for (_, a), (_, b) in combinations(block, 2))
        variance += _variance([y for _, y in block])
    if score <= 0 or variance == 0:
        return 1.0
    return erfc((score - 1) / sqrt(variance) / sqrt(2)) / 2


def _variance(values: Sequence[float]) -> float:
    """Var(S) = (n(n-1)(2n+5) - sum over ties of t values: t(t-1)(2t+5)) / 18."""
    ties = Counter(values).values()
    return (_term(len(values)) - sum(map(_term, ties))) / 18


def _term(n: int) -> int:
    return n * (n - 1) * (2 * n + 5)


def _middle(points: Block) -> Point:
    return median(x for x, _ in points), median(y for _, y in points)


def _latter_halves(blocks: Sequence[Block]) -> list[Block]:
    """Of one process, the later levels; of several, all levels of the later processes."""
    if len(blocks) == 1:
        return [blocks[0][len(blocks[0]) // 2 :]]
    return list(blocks[len(blocks) // 2 :])


def _too_few(points: Block) -> Trend:
    first, last = (points[0][1], points[-1][1]) if points else (0.0, 0.0)
    return Trend(len(points), first, last, 0.0, 0.0, 1.0, grows=False, enough=False)
