"""Mixed load at a constant rate: which kind of file comes next, and everything that happens to it until it is removed.

Each kind is a generator that does a step and yields the seconds until its next one, so one thread drives all of them.
What has been answered is removed from inbox, outbox and destination, so the number of files there is steady.  Knows the
outside of the product only: folders, names, the command `retry`.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.place import Box, Place
from tests.soak.recordings import Recording, Recordings
from tests.support.patience import patient
from transcribed.core.types import SIDECAR
from transcribed.output.renderer import NOTE

# Of 100 files.  Shuffled anew for each hundred, so that the load is the same from hundred to hundred.
MIX = {"short": 62, "long": 2, "stereo": 5, "sidecar": 6, "folder": 5, "slow": 4, "renamed": 4, "replaced": 4,
       "broken": 4, "empty": 2, "retried": 2}  # fmt: skip
LOOK_SECONDS = 0.25
KEPT_SECONDS = 5.0  # that an answered file stays, so that the service sees it stay
AGAIN_SECONDS = 20.0  # after which what came late, of a file that was replaced, is removed too; and its folder
ANSWER_SECONDS = 120.0
MOST_WAITING_SECONDS = 20.0  # of load; more unanswered files hold the load back
SIDECAR_TEXT = 'title = "A title"\nhotwords = ["seven", "saben => seven"]\n'
Steps = Iterator[float]


@dataclass(slots=True)
class Drop:
    """One file of the load."""

    kind: str
    box: Box
    name: str  # below the inbox
    recording: Recording
    dropped_at: float = 0.0

    @property
    def path(self) -> Path:
        return self.box.inbox / self.name

    def answer(self) -> Path | None:
        """Return the transcript, or the note on why there is none."""
        output = self.box.outbox / self.box.output(self.name)
        return next((p for suffix in ("json", NOTE) if (p := Path(f"{output}.{suffix}")).exists()), None)


@dataclass(slots=True)
class Account:
    """What became of the load: files by kind."""

    dropped: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    held_back_seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        counts = {name: dict(getattr(self, name)) for name in ("dropped", "answered", "unanswered", "wrong")}
        return counts | {"held_back_seconds": round(self.held_back_seconds, 1)}


class Load:
    def __init__(
        self,
        place: Place,
        recordings: Recordings,
        files_per_minute: float,
        dice: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._recordings, self._dice, self._clock = place, recordings, dice, clock
        self._every = 60.0 / files_per_minute
        self._most_waiting = MOST_WAITING_SECONDS * files_per_minute / 60.0
        self._deck = deck(dice)
        self._steps: list[tuple[float, int, Steps]] = []
        self._numbers = itertools.count(1)
        self._next_at = self._clock()
        self.account = Account()

    def step(self) -> float:
        """Do all that is due; return the seconds until more is."""
        self._drop()
        while self._steps and self._steps[0][0] <= self._clock():
            _, number, steps = heapq.heappop(self._steps)
            with contextlib.suppress(StopIteration):
                heapq.heappush(self._steps, (self._clock() + next(steps), number, steps))
        due = min(self._next_at, self._steps[0][0] if self._steps else self._next_at)
        return max(0.0, due - self._clock())

    def _drop(self) -> None:
        late = self._clock() - self._next_at
        if late < 0:
            return
        if self._waiting() >= self._most_waiting:
            self.account.held_back_seconds += late + self._every
            self._next_at = self._clock() + self._every
            return
        self._next_at += self._every
        number = next(self._numbers)
        heapq.heappush(self._steps, (self._clock(), number, self._life(number)))

    def _waiting(self) -> int:
        account = self.account
        return account.dropped.total() - account.answered.total() - account.unanswered.total()

    def _life(self, number: int) -> Steps:
        """Everything that happens to one file."""
        drop = self._chosen(number, next(self._deck))
        self.account.dropped[drop.kind] += 1
        yield from KINDS[drop.kind](self, drop)
        drop.dropped_at = self._clock()
        answer = yield from self._awaited(drop)
        self._count(drop, answer)
        yield KEPT_SECONDS
        while not remove(drop):
            yield AGAIN_SECONDS
        yield AGAIN_SECONDS
        remove(drop)

    def _chosen(self, number: int, kind: str) -> Drop:
        box = self._place.boxes[number % len(self._place.boxes)]
        sort = {"long": "long", "stereo": "stereo", "broken": "broken", "retried": "broken", "empty": "empty"}
        recording = self._dice.choice(getattr(self._recordings, sort.get(kind, "short")))
        name = f"{number:07}{recording.path.suffix}"
        return Drop(kind, box, f"folder-{number:07}/{name}" if kind == "folder" else name, recording)

    def _awaited(self, drop: Drop) -> Generator[float, None, Path | None]:
        until = drop.dropped_at + patient(ANSWER_SECONDS)
        while (answer := drop.answer()) is None and self._clock() < until:
            yield LOOK_SECONDS
        return answer

    def _count(self, drop: Drop, answer: Path | None) -> None:
        if answer is None:
            self.account.unanswered[drop.kind] += 1
            return
        self.account.answered[drop.kind] += 1
        if drop.kind in ("short", "long", "folder", "slow") and drop.recording.words != text(answer):
            self.account.wrong[drop.kind] += 1

    # --- the kinds --------------------------------------------------------------------------------

    def whole(self, drop: Drop) -> Steps:
        """At once: written beside the inbox, and moved there."""
        put(drop.recording.path, drop.path)
        yield 0.0

    def with_sidecar(self, drop: Drop) -> Steps:
        drop.path.with_name(drop.path.name + SIDECAR).write_text(SIDECAR_TEXT)
        yield from self.whole(drop)

    def slowly(self, drop: Drop) -> Steps:
        """In five parts, over one to four seconds."""
        data, pause = drop.recording.path.read_bytes(), self._dice.uniform(0.2, 0.8)
        with drop.path.open("wb") as file:
            for begin in range(0, len(data), len(data) // 5 + 1):
                file.write(data[begin : begin + len(data) // 5 + 1])
                file.flush()
                yield pause

    def renamed(self, drop: Drop) -> Steps:
        """Under another name at first, perhaps until it is transcribed."""
        first = drop.path.with_name(f"first-{drop.path.name}")
        put(drop.recording.path, first)
        yield self._dice.uniform(0.0, 2.0)
        with contextlib.suppress(FileNotFoundError):  # it is done, and was moved or deleted
            first.rename(drop.path)
            return
        yield from self.whole(drop)

    def replaced(self, drop: Drop) -> Steps:
        """By another recording, while the first one settles, is prepared, or has been transcribed."""
        yield from self.whole(drop)
        yield self._dice.uniform(0.0, 2.0)
        put(self._dice.choice(self._recordings.short).path, drop.path)

    def retried(self, drop: Drop) -> Steps:
        """A broken one, by the command, once there is a note."""
        yield from self.whole(drop)
        drop.dropped_at = self._clock()
        yield from self._awaited(drop)
        asked = self._place.ask("retry", str(drop.path))
        while asked.poll() is None:
            yield LOOK_SECONDS


KINDS: Mapping[str, Callable[[Load, Drop], Steps]] = dict.fromkeys(MIX, Load.whole) | {
    "sidecar": Load.with_sidecar,
    "slow": Load.slowly,
    "renamed": Load.renamed,
    "replaced": Load.replaced,
    "retried": Load.retried,
}


def deck(dice: random.Random) -> Iterator[str]:
    """Kinds without end; each hundred holds every kind as often as MIX says."""
    while True:
        hundred = [kind for kind, count in MIX.items() for _ in range(count)]
        dice.shuffle(hundred)
        yield from hundred


def put(recording: Path, path: Path) -> None:
    """Copy a recording to an inbox, whole or not at all.  Its name says that it is not finished until it is."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    shutil.copyfile(recording, beside)
    os.replace(beside, path)


def text(answer: Path) -> str | None:
    return json.loads(answer.read_text()).get("text") if answer.suffix == ".json" else None


def remove(drop: Drop) -> bool:
    """Remove whatever has to do with a file, and its folder; return False if that still holds something else.

    A file to be deleted is hidden there for up to three minutes (`source_actions.SECOND_LOOK_SECONDS`).
    """
    stem, gone = Path(drop.name).stem, True
    for folder in drop.box.folders():
        beside = (folder / drop.name).parent
        for path in [*beside.glob(f"{stem}*"), *beside.glob(f"first-{stem}*")]:
            path.unlink(missing_ok=True)
        if beside != folder and beside.exists():
            with contextlib.suppress(OSError):
                beside.rmdir()
            gone = gone and not beside.exists()
    return gone
