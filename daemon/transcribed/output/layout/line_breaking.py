"""Break text at the least cost: into cues, and the text of a cue into lines.

Each is a shortest path over the possible breaks, as in FunASR's own subtitles and TeX's paragraphs; filling cue by cue
would leave single words behind.  Pure; knows units and limits, nothing of speakers or files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from transcribed.output.layout.breakable_units import BreakableUnit
from transcribed.output.layout.text_metrics import width

MIN_SECONDS = 5 / 6
MAX_SECONDS = 7.0
PAUSE_SECONDS = 2.0  # a pause that always ends a cue


@dataclass(frozen=True, slots=True)
class CueLimits:
    columns: int  # per line
    lines: int  # per cue
    speed: int  # columns that can be read per second

    def reading_seconds(self, columns: int) -> float:
        """Return how long a cue should be shown."""
        return max(MIN_SECONDS, columns / self.speed)


def split_into_cues(
    units: Sequence[BreakableUnit], limits: CueLimits, others: Sequence[float] = (), lead: int = 0
) -> list[Sequence[BreakableUnit]]:
    """Group units so that each group fits into a cue.

    `others` are the times, rising, at which others start speaking; `lead` columns are kept free before the first unit.
    """
    widths = [width(unit.text) + (lead if n == 0 else 0) for n, unit in enumerate(units)]
    found = _cheapest(len(units), lambda first: _cues_from(first, units, widths, limits, others))
    return [units[first:last] for first, last in found]


def split_into_lines(units: Sequence[BreakableUnit], limits: CueLimits) -> list[Sequence[BreakableUnit]]:
    """Group units into as few lines as possible, similar in length, the upper one preferably shorter."""
    widths = [width(unit.text) for unit in units]
    found = _cheapest(len(units), lambda first: _lines_from(first, units, widths, limits))
    return [units[first:last] for first, last in found]


def _cues_from(
    first: int, units: Sequence[BreakableUnit], widths: Sequence[int], limits: CueLimits, others: Sequence[float]
) -> Iterator[tuple[int, float]]:
    """Yield the possible ends of a cue that begins with `first`, and their costs."""
    columns = line = widths[first]
    lines = 1
    yield first + 1, _cost(units, first, first + 1, columns, limits, others)
    for before, last in pairwise(range(first, len(units))):
        unit, taken = units[last], widths[last] + int(units[last].spaced)
        if _is_long(units[first], unit) or unit.start - units[before].stop >= PAUSE_SECONDS:
            return
        columns, line = columns + taken, line + taken
        if line > limits.columns:
            line, lines = widths[last], lines + 1
        if lines > limits.lines:
            return
        yield last + 1, _cost(units, first, last + 1, columns, limits, others)


def _is_long(first: BreakableUnit, last: BreakableUnit) -> bool:
    """Return whether the units last too long together; False if the last one alone is as long."""
    return last.stop - first.start > MAX_SECONDS and last.start > first.start


def _cost(
    units: Sequence[BreakableUnit], first: int, last: int, columns: int, limits: CueLimits, others: Sequence[float]
) -> float:
    """Return the cost of a cue of the units from `first` to before `last`.

    The square of its fullness makes cues similar, the constant per cue makes them few.  In balance, sentences that fill
    half a cue each get one each, and shorter ones share one.
    """
    start, end = units[first].start, units[last - 1]
    spoken_over = bisect_right(others, end.start) > bisect_right(others, start)
    cost = 0.3 + 1.5 * (columns / (limits.columns * limits.lines)) ** 2 + 1.0 * spoken_over
    if last == len(units):
        return cost
    following = units[last].start
    hurry = 1 - (following - start) / limits.reading_seconds(columns)
    return cost + max(0.0, hurry) + max(0.0, end.break_cost - max(0.0, following - end.stop))


def _lines_from(
    first: int, units: Sequence[BreakableUnit], widths: Sequence[int], limits: CueLimits
) -> Iterator[tuple[int, float]]:
    """Yield the possible ends of a line that begins with `first`, and their costs."""
    columns = 0
    for last in range(first, len(units)):
        columns += widths[last] + int(last > first and units[last].spaced)
        if columns > limits.columns and last > first:
            return
        fullness = columns / limits.columns
        cost = 100 + 3 * fullness**2 + (0.3 * fullness if first == 0 else 0.0)
        yield last + 1, cost + (units[last].break_cost if last + 1 < len(units) else 0.0)


def _cheapest(count: int, ranges_from: Callable[[int], Iterable[tuple[int, float]]]) -> list[tuple[int, int]]:
    """Return the cheapest sequence of ranges that covers 0..count.

    `ranges_from` returns the ends and costs of the ranges that begin at a number; the next number is always among them.
    """
    best = [(0.0, 0)] + [(float("inf"), 0)] * count
    for first in range(count):
        for last, cost in ranges_from(first):
            best[last] = min(best[last], (best[first][0] + cost, first))
    edges = [count]
    while edges[-1]:
        edges.append(best[edges[-1]][1])
    return list(pairwise(reversed(edges)))
