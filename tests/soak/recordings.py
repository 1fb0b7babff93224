"""The recordings of a soak, made once: short ones in several formats, longer ones, two channels, and broken ones.

Knows how to make media files; nothing of when they are dropped.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.speech import digits, save, say, silence, stereo

SUFFIXES = (".wav", ".mp3", ".m4a", ".ogg", ".flac")
PER_SUFFIX = 4
LONG_SECONDS = 25.0
BROKEN_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to copy; `words` is its text, where that is known."""

    path: Path
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Recordings:
    short: tuple[Recording, ...]  # 1 to 3 s
    long: tuple[Recording, ...]
    stereo: tuple[Recording, ...]
    broken: tuple[Recording, ...]
    empty: tuple[Recording, ...]


def make(folder: Path, dice: random.Random) -> Recordings:
    folder.mkdir(exist_ok=True)
    short = tuple(_short(folder, suffix, dice) for suffix in SUFFIXES for _ in range(PER_SUFFIX))
    return Recordings(short, (_long(folder),), (_stereo(folder),), _broken(folder, short[0], dice), (_empty(folder),))


def _short(folder: Path, suffix: str, dice: random.Random) -> Recording:
    words = digits(dice.randrange(10, 1000))
    path = folder / f"{words.replace(' ', '-')}{suffix}"
    return Recording(save(path, say(words, speed=dice.randint(135, 165))), words)


def _long(folder: Path) -> Recording:
    round_ = np.concatenate([silence(2), say("one two three"), silence(1)])
    rounds = round(LONG_SECONDS * 16_000 / len(round_))
    return Recording(save(folder / "long.flac", np.tile(round_, rounds)), " ".join(["one two three"] * rounds))


def _stereo(folder: Path) -> Recording:
    left, right = say("one two three"), np.concatenate([silence(2), say("seven eight nine")])
    return Recording(stereo(folder / "stereo.wav", left, right))


def _broken(folder: Path, whole: Recording, dice: random.Random) -> tuple[Recording, ...]:
    """Bytes that are no recording, and the beginning of one."""
    noise, cut = folder / "broken.mp3", folder / "cut.m4a"
    noise.write_bytes(dice.randbytes(BROKEN_BYTES))
    save(cut, say("one two three"))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return Recording(noise), Recording(cut)


def _empty(folder: Path) -> Recording:
    path = folder / "empty.wav"
    path.write_bytes(b"")
    return Recording(path)
