"""What a part finds out: a figure, and what it is to be.  Knows numbers; nothing of cards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    what: str
    value: float | str
    wanted: str = ""
    holds: bool = True

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:,.4g}"
        wanted = f"{'ok' if self.holds else 'NOT'}, wanted {self.wanted}" if self.wanted else ""
        return f"{self.what:64} {value:>16}  {wanted}".rstrip()


def told(what: str, value: float | str) -> Finding:
    return Finding(what, value)


def at_least(what: str, value: float, limit: float) -> Finding:
    return Finding(what, value, f">= {limit:g}", value >= limit)


def at_most(what: str, value: float, limit: float) -> Finding:
    return Finding(what, value, f"<= {limit:g}", value <= limit)


def equal(what: str, value: float | str, wanted: float | str) -> Finding:
    return Finding(what, value, str(wanted), value == wanted)


def quantile(values: Iterable[float], share: float) -> float:
    """The value that so large a share of them does not exceed; NaN where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
