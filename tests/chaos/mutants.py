"""Prepare mutated recordings in the real, confined child processes: none may harm more than itself.

    python -m tests.chaos.mutants --count 20000 --state build/mutants.json     # goes on where it was stopped

Each mutant is made of a seed and a number, so it can be made again alone (`--only N`).  Knows the preparing pool and
its errors; nothing of words, ledgers or outboxes.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support import hostile
from tests.support.fakes import job
from transcribed.config.inbox import Inbox
from transcribed.config.settings import PrepareSettings, Settings
from transcribed.core.errors import Incomplete, Permanent
from transcribed.core.text import printable
from transcribed.core.types import Preparation
from transcribed.daemon import factories
from transcribed.ingest.scanner import source_of
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.state import spool

MAX_SEED_BYTES = 200_000
MAX_SECONDS = 90.0  # of processing; a mutant may claim to be long
MOST_MEBIBYTES = 2048  # resident, of a preparing process


def seeds(folder: Path) -> list[bytes]:
    """Return the small files of the hostile corpus that hold sound, in every codec that can be made here."""
    folder.mkdir()
    cases = hostile.build(folder)
    wanted = [folder / case.name for case in cases if case.outcome in ("transcript", "partial", "silence")]
    found = [path.read_bytes() for path in wanted if path.is_file() and path.stat().st_size <= MAX_SEED_BYTES]
    return list(dict.fromkeys(found))


def mutant(seeds: list[bytes], number: int) -> bytes:
    """Return one seed, changed in one to three ways."""
    dice = random.Random(number)
    data = bytearray(seeds[number % len(seeds)])
    for _ in range(dice.choice((1, 1, 2, 3))):
        if len(data) > 16:
            dice.choice((_flip, _overwrite, _zero, _remove, _repeat, _cut, _number, _splice))(data, dice, seeds)
    return bytes(data)


def _place(data: bytearray, dice: random.Random) -> int:
    """Return a place in the file; half of them are in its first kilobyte, where the headers are."""
    return dice.randrange(min(len(data), dice.choice((1024, len(data)))))


def _flip(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    for _ in range(dice.choice((1, 4, 32))):
        data[_place(data, dice)] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    noise = dice.randbytes(dice.choice((1, 8, 256)))
    data[at : at + len(noise)] = noise


def _zero(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at, size = _place(data, dice), dice.choice((4, 512, 8192))
    data[at : at + size] = bytes(min(size, len(data) - at))


def _remove(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    del data[at : at + dice.choice((1, 64, 4096))]


def _repeat(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    data[at:at] = data[at : at + dice.choice((1, 64, 4096))] * dice.choice((1, 3))


def _cut(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    del data[max(8, dice.randrange(len(data))) :]


def _number(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    """Put an extreme number where a header may have a length, a rate or a count."""
    size = dice.choice((2, 4, 8))
    value = dice.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1))
    at = dice.randrange(min(len(data), 512))
    data[at : at + size] = value.to_bytes(size, dice.choice(("little", "big")))


def _splice(data: bytearray, dice: random.Random, seeds: list[bytes]) -> None:
    other = dice.choice(seeds)
    data[_place(data, dice) :] = other[dice.randrange(len(other)) :]


@dataclass
class Run:
    """A pool of preparing processes, and what became of each mutant."""

    folder: Path
    seeds: list[bytes]
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    peak_mebibytes: int = 0

    def prepare(self, numbers: Iterator[int]) -> None:
        settings = _settings(self.folder)
        pool = factories.make_preparer_pool(settings, lambda event: None)
        pool.start()
        pending: dict[Future[Preparation], tuple[int, float]] = {}
        try:
            for number in numbers:
                while not (idle := pool.idle()):
                    self._collect(pending)
                pending[self._submit(pool, idle[0], number)] = (number, time.monotonic())
                self._collect(pending)
            while pending:
                self._collect(pending)
        finally:
            pool.stop(grace=0)
        left = [path.name for path in settings.spool_dir.iterdir()]
        self.faults += [f"{name} is left in the spool" for name in left]

    def _submit(self, pool: ProcessPool, slot, number: int) -> Future[Preparation]:
        path = self.folder / "inbox" / f"{number}.bin"
        path.write_bytes(mutant(self.seeds, number))
        source = source_of(path.parent, path, path.stat())
        return pool.submit(slot, job(id=number, source=source))

    def _collect(self, pending: dict[Future[Preparation], tuple[int, float]]) -> None:
        """Take what has ended; wait a moment for more."""
        time.sleep(0.002)
        for future, (number, since) in list(pending.items()):
            if future.done():
                del pending[future]
                self._judge(number, future, time.monotonic() - since)
                spool.discard(self.folder / "spool", number)
                (self.folder / "inbox" / f"{number}.bin").unlink()

    def _judge(self, number: int, future: Future[Preparation], seconds: float) -> None:
        error = future.exception()
        self.outcomes["prepared" if error is None else type(error).__name__] += 1
        told = "" if error is None else str(error)
        if error is not None and not isinstance(error, Permanent | Incomplete):
            self.faults.append(f"{number}: {type(error).__name__}: {told}")
        if len(told) > 300 or told != printable(told):
            self.faults.append(f"{number}: a sentence of {len(told)} characters, or not printable")
        if seconds > MAX_SECONDS:
            self.faults.append(f"{number}: {seconds:.0f} s")
        if number % 50 == 0:
            self._weigh()

    def _weigh(self) -> None:
        for child in psutil.Process().children():
            try:
                mebibytes = child.memory_info().rss // 2**20
            except psutil.Error:  # replaced meanwhile
                continue
            self.peak_mebibytes = max(self.peak_mebibytes, mebibytes)
        if self.peak_mebibytes > MOST_MEBIBYTES:
            self.faults.append(f"a preparing process holds {self.peak_mebibytes} MiB")


def _settings(folder: Path) -> Settings:
    for name in ("inbox", "outbox", "spool"):
        (folder / name).mkdir(exist_ok=True)
    inbox = Inbox(path=folder / "inbox", outbox=folder / "outbox")
    prepare = PrepareSettings(processes=2, max_hours=0.1)
    return Settings(inbox=[inbox], state_dir=folder, prepare=prepare)  # with its spool below


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many mutants in all")
    parser.add_argument("--state", type=Path, help="a file in which to keep how far this has come")
    parser.add_argument("--only", type=int, help="the number of one mutant")
    wanted = parser.parse_args()
    known = json.loads(wanted.state.read_text()) if wanted.state and wanted.state.exists() else {"next": 0, "found": {}}
    with tempfile.TemporaryDirectory() as root:
        run = Run(Path(root), seeds(Path(root) / "seeds"), Counter(known["found"]), known.get("faults", []))
        stops = [wanted.count] if not wanted.state else range(known["next"] + 1000, wanted.count + 1000, 1000)
        begin = known["next"]
        for stop in stops:
            numbers = range(begin, min(stop, wanted.count)) if wanted.only is None else [wanted.only]
            run.prepare(iter(numbers))
            begin = min(stop, wanted.count)
            print(f"{begin} mutants of {len(run.seeds)} seeds: {dict(run.outcomes)}, peak {run.peak_mebibytes} MiB")
            if wanted.state:
                state = {"next": begin, "found": run.outcomes, "faults": run.faults}
                wanted.state.write_text(json.dumps(state))
    print(*run.faults, f"{len(run.faults)} faults", sep="\n")
    return bool(run.faults)


if __name__ == "__main__":
    sys.exit(main())
