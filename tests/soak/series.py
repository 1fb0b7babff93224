"""Arrange samples into the series that are judged, each with the floor below which a slope does not matter.

Pure; knows samples and which processes are replaced by design; nothing of statistics beyond medians.

- A process that lives at least half the time is a series over the files handled.
- Preparing processes are replaced after 200 files.  A leak in one shows as a slope *within* each of them, and is
  bounded by the replacement; one that is handed on, in what each is sent or finds, shows as a level that rises *from
  one to the next*, at the same age.  Both are judged.  Within, memory may creep: it is why they are replaced
  (`factories.RECYCLE_FILES`), so its floor is what would make a process of 200 files 16 MiB larger.
- A recognizer's memory counts only after RECOGNIZER_FILES: until then its allocator rises in steps.
- Ledger and log grow with every file by design.  Judged are their bytes per file, which must not grow.
- The write-ahead log and the rotated logs level off within hundreds of files; they must stay below a ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.soak.samples import ProcessSample, Sample
from tests.soak.statistic import Block, Point, levels

MIB = 2**20
HUNDRED = 100.0
WARM_UP_SHARE, WARM_UP_FILES = 0.25, 300  # the longer one counts
# A recognizer's memory rises in steps of 5 to 15 MiB, fewer and fewer; after so many files it rests for thousands.
RECOGNIZER_FILES = 5000
OLD = 1.0  # hundreds of files: the age at which preparing processes are compared
GROWN_UP = 0.5  # hundreds of files: the age after which a slope within one counts
WITHIN_LEVELS, WITHIN_SAMPLES = 4, 3

PLANTED = 1.0  # a MiB, a descriptor: what the planted leaks take per 100 files
FLOOR = PLANTED / 4
CREEP_FLOOR = 8.0  # MiB per 100 files, within a process that is replaced after 200
RATE_FLOOR = 1.0  # byte per file, per 100 files
OF_PROCESS: dict[str, Callable[[ProcessSample], float]] = {
    "memory, MiB": lambda process: process.memory_bytes / MIB,
    "descriptors": lambda process: process.descriptors,
    "threads": lambda process: process.threads,
}
OF_PLACE = (
    "processes",
    "waiting files",
    "spool files",
    "spool bytes",
    "state files",
    "box files",
    "overdue files",
    "temporary files",
    "surplus watches",
)
RATES = ("ledger bytes", "log bytes")
CEILINGS = {"wal bytes": 8 * MIB, "rotated log bytes": MIB}  # SQLite checkpoints at 4 MiB; two logs of 3 * 0.1 MiB


@dataclass(frozen=True, slots=True)
class Series:
    """Levels to be compared within each block."""

    role: str
    measure: str
    blocks: list[Block]
    floor: float = FLOOR


@dataclass(frozen=True, slots=True)
class Peak:
    measure: str
    most: int
    ceiling: int


def arrange(samples: Sequence[Sample]) -> list[Series]:
    """Return every series of a run, without its warm-up; none if it ended within that."""
    warm = warmed_up(samples)
    if not warm:
        return []
    return [*_of_processes(warm), *_of_place(warm), *_rates(warm)]


def peaks(samples: Sequence[Sample]) -> list[Peak]:
    return [
        Peak(name, max((s.totals[name] for s in samples), default=0), ceiling) for name, ceiling in CEILINGS.items()
    ]


def warmed_up(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples after the warm-up, counted in files."""
    begin = max([WARM_UP_FILES, *(WARM_UP_SHARE * sample.handled for sample in samples[-1:])])
    return [sample for sample in samples if sample.handled >= begin]


def _of_processes(samples: Sequence[Sample]) -> Iterator[Series]:
    roles = sorted({process.role for sample in samples for process in sample.processes})
    for role in roles:
        for measure, value in OF_PROCESS.items():
            late = role == "recognizer" and "memory" in measure
            usable = [sample for sample in samples if sample.handled >= RECOGNIZER_FILES] if late else samples
            lives = [[(x, float(value(p))) for x, p in life] for life in _lives(usable, role)]
            yield from _of_role(role, measure, lives)


def _lives(samples: Sequence[Sample], role: str) -> list[list[tuple[float, ProcessSample]]]:
    """Return what was seen of each process of a role, in the order in which they started."""
    found: dict[tuple[float, int], list[tuple[float, ProcessSample]]] = {}
    for sample in samples:
        for process in sample.processes:
            if process.role == role:
                found.setdefault((process.started, process.pid), []).append((sample.handled / HUNDRED, process))
    return [found[key] for key in sorted(found)]


def _of_role(role: str, measure: str, lives: list[list[Point]]) -> Iterator[Series]:
    seen = [x for life in lives for x, _ in life] or [0.0]
    long = [life for life in lives if _age(life) >= (max(seen) - min(seen)) / 2]
    if long or not lives:
        yield Series(role, measure, [levels(life) for life in long])
        return
    floor = CREEP_FLOOR if "memory" in measure else FLOOR
    yield Series(f"{role}, from one to the next", measure, [_at_same_age(lives)])
    yield Series(f"{role}, within each", measure, [block for life in lives if (block := _within(life))], floor)


def _age(life: Block) -> float:
    return life[-1][0] - life[0][0]


def _at_same_age(lives: Sequence[Block]) -> Block:
    """Return one level for each process that became old enough."""
    old = [[(x, y) for x, y in life if x - life[0][0] >= OLD] for life in lives]
    return [(median(x for x, _ in life), median(y for _, y in life)) for life in old if len(life) >= WITHIN_SAMPLES]


def _within(life: Block) -> Block:
    grown_up = [(x, y) for x, y in life if x - life[0][0] >= GROWN_UP]
    return levels(grown_up, WITHIN_LEVELS, WITHIN_SAMPLES)


def _of_place(samples: Sequence[Sample]) -> Iterator[Series]:
    for measure in OF_PLACE:
        points = [(s.handled / HUNDRED, float(s.totals[measure])) for s in samples]
        yield Series("place", measure, [levels(points)], FLOOR * MIB if "bytes" in measure else FLOOR)


def _rates(samples: Sequence[Sample]) -> Iterator[Series]:
    """Bytes per file, from level to level."""
    for measure in RATES:
        reached = levels([(s.handled / HUNDRED, float(s.totals[measure])) for s in samples])
        rates = [((u + t) / 2, (b - a) / (u - t) / HUNDRED) for (t, a), (u, b) in pairwise(reached) if u > t]
        yield Series("place", f"{measure} per file", [rates], RATE_FLOOR)
