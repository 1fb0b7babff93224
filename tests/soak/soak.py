"""Run a soak: start a daemon, load it, sample it, stop it.

Knows how the parts work together; nothing of what the samples mean.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak import recordings
from tests.soak.load import Account, Load
from tests.soak.place import Place
from tests.soak.samples import Sample, Sampler
from tests.support.site import kill_tree, stop, wait_for
from transcribed.state.control_files import read_status

SAMPLE_SECONDS = 2.0
START_SECONDS = 60.0
SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    minutes: float
    files_per_minute: float
    plant: str | None = None  # of tests/soak/planted


@dataclass(slots=True)
class Run:
    samples: list[Sample]
    account: Account
    ended: str | None = None  # why the daemon ended too early, or badly


def soak(plan: Plan, root: Path, tell: Callable[[Sample], None] = lambda sample: None) -> Run:
    """Load a daemon below `root` for so many minutes; `tell` is called with each sample."""
    place, dice = Place(root), random.Random(SEED)
    made = recordings.make(root / "recordings", dice)
    daemon = place.start(plan.plant)
    try:
        wait_for(lambda: read_status(place.state), START_SECONDS, "the daemon's start")
        run = _loaded(plan, daemon, Sampler(place, daemon.pid), Load(place, made, plan.files_per_minute, dice), tell)
        run.ended = run.ended or _stopped(daemon)
    finally:
        kill_tree(daemon)
    return run


def _loaded(
    plan: Plan, daemon: subprocess.Popen[bytes], sampler: Sampler, load: Load, tell: Callable[[Sample], None]
) -> Run:
    run, began = Run([], load.account), time.monotonic()
    while time.monotonic() < began + plan.minutes * 60:
        _drive(load, time.monotonic() + SAMPLE_SECONDS)
        if (code := daemon.poll()) is not None:
            run.ended = f"The daemon ended with {code} after {(time.monotonic() - began) / 60:.1f} min."
            break
        run.samples.append(sampler.take())
        tell(run.samples[-1])
    return run


def _drive(load: Load, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(load.step(), max(0.0, left)))


def _stopped(daemon: subprocess.Popen[bytes]) -> str | None:
    code = stop(daemon)
    return f"The daemon ended with {code} when it was stopped." if code else None
