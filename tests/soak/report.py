"""Judge a run, and show it: a table of slopes, what became of the load, and whether anything was found.

Knows samples, the account of the load and how to print; nothing of daemons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.soak.load import Account
from tests.soak.samples import Sample
from tests.soak.series import Peak, Series, arrange, peaks
from tests.soak.statistic import ALPHA, Trend, judge

COLUMNS = ("of", "measure", "levels", "first", "last", "slope/100 files", "latter half", "floor", "chance", "")


@dataclass(frozen=True, slots=True)
class Verdict:
    series: Series
    trend: Trend


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was found in a run."""

    samples: Sequence[Sample]
    account: Account
    ended: str | None  # why the daemon ended too early, or badly
    verdicts: list[Verdict]
    peaks: list[Peak]

    @property
    def handled(self) -> int:
        return self.samples[-1].handled if self.samples else 0

    @property
    def minutes(self) -> float:
        return self.samples[-1].seconds / 60 if self.samples else 0.0

    def faults(self) -> list[str]:
        """Sentences on what is wrong; none if all is well."""
        return [*self._grown(), *self._of_load(), *([self.ended] if self.ended else [])]

    def _grown(self) -> Iterator[str]:
        for verdict in self.verdicts:
            if verdict.trend.grows:
                where, slope = f"{verdict.series.role}: {verdict.series.measure}", verdict.trend.slope
                yield f"{where} grows by {slope:.3g} per 100 files."
        for peak in self.peaks:
            if peak.most > peak.ceiling:
                yield f"{peak.measure} reached {peak.most:,}; at most {peak.ceiling:,} are expected."

    def _of_load(self) -> Iterator[str]:
        if lost := self.account.unanswered:
            yield f"Files without transcript or note: {dict(lost)}."
        if wrong := self.account.wrong:
            yield f"Transcripts with other words than were spoken: {dict(wrong)}."

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        of = [{"of": v.series.role, "measure": v.series.measure} | asdict(v.trend) for v in self.verdicts]
        return {
            "minutes": round(self.minutes, 2),
            "handled": self.handled,
            "faults": self.faults(),
            "series": of,
            "peaks": list(map(asdict, self.peaks)),
            "load": self.account.document(),
            "samples": list(map(asdict, self.samples)),
        }


def result(samples: Sequence[Sample], account: Account, ended: str | None) -> Result:
    """Judge all series of a run, at ALPHA for all of them together."""
    found = arrange(samples)
    verdicts = [Verdict(one, judge(one.blocks, one.floor, ALPHA / len(found))) for one in found]
    return Result(samples, account, ended, verdicts, peaks(samples))


def show(found: Result, console: Console) -> None:
    table = Table(*COLUMNS, box=None)
    for verdict in found.verdicts:
        table.add_row(*_row(verdict), style="bold red" if verdict.trend.grows else None)
    console.print(table)
    for peak in found.peaks:
        console.print(f"{peak.measure}: at most {peak.most:,} of {peak.ceiling:,}", highlight=False)
    rate = found.handled / max(found.minutes, 1e-9)
    console.print(f"{found.handled} files in {found.minutes:.1f} min, {rate:.0f} a minute; {_load(found.account)}")
    for fault in found.faults() or ["Nothing grows."]:
        console.print(fault, highlight=False)


def _row(verdict: Verdict) -> Iterator[str]:
    series, trend = verdict.series, verdict.trend
    yield from (series.role, series.measure, str(trend.levels))
    yield from (f"{trend.first:,.4g}", f"{trend.last:,.4g}", f"{trend.slope:+.3g}", f"{trend.late_slope:+.3g}")
    yield from (f"{series.floor:.3g}", f"{trend.chance:.2g}")
    yield "GROWS" if trend.grows else "" if trend.enough else "too short to say"


def _load(account: Account) -> str:
    answered, dropped = account.answered.total(), account.dropped.total()
    return f"{dropped} dropped, {answered} answered, held back for {account.held_back_seconds:.0f} s"
