"""Speech to train the small recogniser on: Mandarin with a little English, and sounds that are no speech.

Some utterances are put together of single words, so that it is known when each token begins. It knows nothing of the
model.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from tests.support.speech import MANDARIN_DIGITS, SAMPLE_RATE, say, silence
from tests.tools.demo_model import augment
from tests.tools.demo_model.corpus import as_recorded
from tests.tools.demo_model.utterances import Generator, draw_sound, pick
from tests.tools.demo_model.words import MANDARIN
from tests.tools.small_models.words import ENGLISH, tokens_of
from transcribed.core.frames import frames_in
from transcribed.recognition.features import log_mel, stack

VARIANTS = ("", "", "", "+m1", "+m2", "+m3", "+m4", "+m6", "+f1", "+f2", "+f3", "+adam", "+Andy", "+john", "+steph")
SPEEDS = tuple(range(120, 190, 5))
CHUNK = 250
QUIET = 0.01


@dataclass(frozen=True)
class Spoken:
    """Features before normalisation, what is said, and when: seconds at which tokens begin, and the end; or nothing."""

    features: np.ndarray
    tokens: tuple[str, ...]
    moments: tuple[float, ...] = ()


@dataclass(frozen=True)
class Voice:
    variant: str
    speed: int
    pitch: int

    def say(self, text: str, language: str = "cmn") -> np.ndarray:
        """Speech without the silence around it."""
        samples = say(text, f"{language}{self.variant}", self.speed, self.pitch)
        loud = np.flatnonzero(np.abs(samples) > QUIET)
        return samples[loud[0] : loud[-1] + 1]


@cache
def word_of(voice: Voice, word: str) -> np.ndarray:
    """A word on its own; kept, since single words are said again and again."""
    return voice.say(word, "en-us" if word in ENGLISH else "cmn")


def draw_words(rng: Generator) -> list[str]:
    """One to nine words, digits more often than others."""
    sources = [MANDARIN_DIGITS, "".join(MANDARIN)]
    source = tuple(sources[rng.random() < 0.6])
    words = [str(pick(rng, source)) for _ in range(rng.integers(1, 10))]
    if rng.random() < 0.2:
        words[rng.integers(len(words))] = str(pick(rng, tuple(ENGLISH)))
    if rng.random() < 0.25:
        words[-2:] = list(pick(rng, ("今天", "你好", "开会", "一七", "五九", "不是")))
    return words


def apart(rng: Generator, words: list[str]) -> tuple[np.ndarray, list[float]]:
    """Words one by one with short pauses between, and when each token of them begins."""
    voice = Voice(pick(rng, VARIANTS[:6]), int(pick(rng, (130, 150, 170))), 50)
    parts, moments, at = [silence(0)], [], 0
    for word in words:
        spoken = word_of(voice, word)
        pieces = len(tokens_of(word))
        moments += [(at + len(spoken) * n / pieces) / SAMPLE_RATE for n in range(pieces)]
        gap = silence(rng.uniform(0, 0.3) if rng.random() < 0.6 else 0)
        parts += [spoken, gap]
        at += len(spoken) + len(gap)
    end = (at - len(parts[-1])) / SAMPLE_RATE
    return np.concatenate(parts), [*moments, end]


def together(rng: Generator, words: list[str]) -> tuple[np.ndarray, list[float]]:
    """Words as espeak-ng says them in one breath."""
    voice = Voice(pick(rng, VARIANTS), int(pick(rng, SPEEDS)), int(rng.integers(30, 71)))
    parts = [silence(0)]
    for english, run in groupby(words, lambda word: word in ENGLISH):
        text = (" " if english or rng.random() < 0.5 else "").join(run)
        parts += [voice.say(text, "en-us" if english else "cmn"), silence(rng.uniform(0, 0.2))]
    return np.concatenate(parts), []


def record(rng: Generator, samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Margins, loudness and noise; and how long the first margin is."""
    before = rng.uniform(0, 0.6)
    samples = augment.padded(samples, before, rng.uniform(0.05, 0.6))
    samples = augment.at_peak(samples, rng.uniform(-20, 0))
    if rng.random() < 0.5:
        samples = augment.with_noise(rng, samples, rng.uniform(-85, -50))
    return samples, before


def draw(number: int) -> Spoken:
    """The utterance of this number."""
    rng = np.random.default_rng((77, number))
    if rng.random() < 0.08:
        return Spoken(features(draw_sound(rng).samples if rng.random() < 0.7 else silence(rng.uniform(0.02, 2))), ())
    words = draw_words(rng)
    samples, moments = (apart if rng.random() < 0.5 else together)(rng, words)
    samples, before = record(rng, samples)
    tokens = tuple(token for word in words for token in tokens_of(word))
    return Spoken(features(samples), tokens, tuple(before + moment for moment in moments))


def features(samples: np.ndarray) -> np.ndarray:
    """The product's, which are FunASR's; in half precision, which is finer than the differences that matter."""
    padded = np.pad(samples, (0, max(0, 400 - len(samples))))
    frames = torch.tensor([max(1, frames_in(len(samples)))])
    return stack(log_mel(as_recorded(padded)[None]), frames, 7, 6)[0][0].numpy().astype(np.float16)


def make_corpus(folder: Path, count: int, processes: int) -> list[Spoken]:
    """Make what is missing in the folder; a chunk that exists is read."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        done = list(pool.map(_save_chunk, [folder] * len(starts), starts))
    return [one for path in done for one in _read_chunk(path)]


def _save_chunk(folder: Path, start: int) -> Path:
    torch.set_num_threads(1)
    path = folder / f"{start:06d}.pt"
    if not path.exists():
        partial = path.with_suffix(".partial")
        torch.save([draw(number) for number in range(start, start + CHUNK)], partial)
        partial.rename(path)
    return path


def _read_chunk(path: Path) -> Iterator[Spoken]:
    """Our own file, so unpickling is safe."""
    yield from torch.load(path, weights_only=False)
