"""Predict how much device memory a batch will need, learned from earlier batches.  Pure arithmetic.

    bytes = a + b * padded seconds + c * padded seconds * longest + d * rows

Activations grow with the area of a batch, attention also with the length of its rows, and a model may prepend something
of its own to every row.  Knows numbers; nothing of devices, models or time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from transcribed.core.telemetry import BatchMemorySample
from transcribed.system import documents
from transcribed.system.documents import Amount, Count

SAFETY = 1.02  # over the worst batch seen, as the allocator rounds
MOST_MARGIN = 1.2
SMALL = 256e6  # bytes; relative errors of batches that need less are harmless
EXACT = 1e-12  # share of the squares: smaller errors are rounding
GROWTH = 2.0  # no batch may be more than twice as large as the largest measured

Row = tuple[float, ...]  # the factors of the coefficients in the sum above; or the coefficients themselves
_TERMS = range(4)


class MemoryModel:
    """The memory need of one model in one numeric type on one device."""

    def __init__(self, samples: Iterable[BatchMemorySample] = ()) -> None:
        # The latest of each shape, so that no shape crowds out the others.
        self._samples: dict[tuple[int, int], BatchMemorySample] = {}
        for sample in samples:
            self._samples[_shape(sample)] = sample
        self._fit()

    @property
    def samples(self) -> list[BatchMemorySample]:
        return list(self._samples.values())

    @property
    def extrapolation_limit_seconds(self) -> float:
        """The most padded seconds a batch may have; 0 before anything was measured."""
        return GROWTH * self._largest.padded_seconds if self._largest else 0.0

    def bytes(self, rows: int, longest_seconds: float) -> float:
        """Return the most memory that a batch of `rows` rows is expected to need, on top of the weights."""
        padded_seconds = rows * longest_seconds
        fit = self._margin * _dot(self._coefficients, _row(padded_seconds, longest_seconds)) + self._extra
        return SAFETY * max(fit, self._beyond(padded_seconds))

    def add(self, sample: BatchMemorySample) -> None:
        self._samples[_shape(sample)] = sample
        self._fit()

    def _beyond(self, padded_seconds: float) -> float:
        """Scale the largest sample up to a larger batch, which may peak where the fit has not seen it; 0 for others."""
        if self._largest is None or padded_seconds <= self._largest.padded_seconds:
            return 0.0
        return self._largest.bytes * padded_seconds / self._largest.padded_seconds

    def _fit(self) -> None:
        """Fit by least squares of relative errors, then raise the fit until no sample is above it.

        It is raised by a factor, and beyond that by a sum, so that one outlier does not multiply the need of all
        others.  Small batches may peak elsewhere than large ones (on an H200, in the output layer up to 50 MB), and
        count less.
        """
        samples = self.samples
        self._largest = max(samples, key=lambda s: s.padded_seconds, default=None)
        self._coefficients = nonnegative_least_squares(
            [_row(s.padded_seconds, s.longest_seconds) for s in samples], [float(s.bytes) for s in samples]
        )
        guesses = [_dot(self._coefficients, _row(s.padded_seconds, s.longest_seconds)) for s in samples]
        over = [s.bytes / guess for s, guess in zip(samples, guesses, strict=True) if guess > 0 and s.bytes > SMALL]
        self._margin = min(MOST_MARGIN, max(over, default=1.0))
        rest = [s.bytes - self._margin * guess for s, guess in zip(samples, guesses, strict=True)]
        self._extra = max(0.0, *rest) if rest else 0.0


@dataclass(frozen=True, slots=True)
class _Stored:
    """What an earlier run kept of one model in one numeric type on one device."""

    version: str
    samples: list[tuple[Amount, Amount, Count]]  # padded seconds, longest seconds, bytes


def stored_samples(kept: Any, version: str) -> list[BatchMemorySample]:
    """Return the samples that an earlier run kept for the same version; none if they are not in that form."""
    known = documents.fit(kept, _Stored)
    if known is None or known.version != version:
        return []
    return [BatchMemorySample(*sample) for sample in known.samples if min(sample) > 0]


def nonnegative_least_squares(rows: Sequence[Row], wanted: Sequence[float]) -> Row:
    """Return the non-negative coefficients with the least sum of squared errors, relative for all but small values.

    Four coefficients have fifteen subsets.  The best subset whose solution is not negative is the solution of Lawson
    and Hanson's NNLS (Solving Least Squares Problems, 1974, chapter 23).
    """
    scales = [max(y, SMALL) for y in wanted]
    scaled = [[term / scale for term in row] for row, scale in zip(rows, scales, strict=True)]
    goals = [y / scale for y, scale in zip(wanted, scales, strict=True)]
    products = [[sum([r[i] * r[j] for r in scaled]) for j in _TERMS] for i in _TERMS]
    sums = [sum([r[i] * goal for r, goal in zip(scaled, goals, strict=True)]) for i in _TERMS]
    squares = sum([goal * goal for goal in goals])
    best, least = (0.0,) * len(_TERMS), math.inf
    for size in _TERMS:
        for columns in combinations(_TERMS, size + 1):
            solution = _solution([[products[i][j] for j in columns] + [sums[i]] for i in columns])
            if solution is None or min(solution) < 0:
                continue
            candidate = tuple(solution[columns.index(i)] if i in columns else 0.0 for i in _TERMS)
            error = squares - 2 * _dot(candidate, sums) + _dot(candidate, [_dot(candidate, p) for p in products])
            if error < least - EXACT * squares:  # among equals, the first wins
                best, least = candidate, error
    return best


def _solution(matrix: list[list[float]]) -> list[float] | None:
    """Solve the normal equations, their right side in the last column; None if there is no unique solution."""
    size = len(matrix)
    scale = [math.sqrt(matrix[i][i]) for i in range(size)]
    if not all(scale):
        return None
    matrix = [[v / scale[i] / (scale[j] if j < size else 1.0) for j, v in enumerate(matrix[i])] for i in range(size)]
    for i in range(size):  # Gauss-Jordan elimination with partial pivoting
        pivot = max(range(i, size), key=lambda k: abs(matrix[k][i]))
        if abs(matrix[pivot][i]) < 1e-9:
            return None
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        matrix[i] = [v / matrix[i][i] for v in matrix[i]]
        for k in (k for k in range(size) if k != i):
            matrix[k] = [a - matrix[k][i] * b for a, b in zip(matrix[k], matrix[i], strict=True)]
    return [matrix[i][size] / scale[i] for i in range(size)]


def _row(padded_seconds: float, longest_seconds: float) -> Row:
    return 1.0, padded_seconds, padded_seconds * longest_seconds, padded_seconds / longest_seconds


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]


def _shape(sample: BatchMemorySample) -> tuple[int, int]:
    """Return a sample's shape; samples whose sizes are within a fifth of each other share one."""
    return round(4 * math.log2(sample.padded_seconds)), round(4 * math.log2(sample.longest_seconds))
