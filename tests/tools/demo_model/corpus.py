"""The training corpus: shares of utterance styles, made in parallel and kept as features on disk.

An utterance depends on its number alone, so the corpus is the same for any number of processes. It knows nothing of
the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tests.tools.demo_model.utterances import (
    PLAIN_VOICES,
    TRAINING_VARIANTS,
    TRAINING_VOICES,
    Style,
    Utterance,
    draw_sound,
    draw_speech,
)

CHUNK = 250

PLAIN_CODECS = {"direct": 0.72, "telephone": 0.06, "mp3": 0.08, "opus": 0.08, "aac": 0.06}
ALL_CODECS = {"direct": 0.5, "telephone": 0.16, "mp3": 0.12, "opus": 0.14, "aac": 0.08}

PLAIN = Style(
    PLAIN_VOICES,
    speeds=tuple(range(126, 176)),
    peak=(-12, 0),
    noise=tuple(range(-90, -54)),
    clean_share=0.75,
    channels=PLAIN_CODECS,
)
VARIED = Style(
    TRAINING_VOICES,
    mandarin_share=0.36,
    variants=TRAINING_VARIANTS,
    # 110 to 117 and 206 to 212 words a minute are for evaluation.
    speeds=(*range(102, 110), *range(118, 206), *range(213, 227)),
    pitches=tuple(range(20, 81)),
    words=(1, 8),
    digits_only=False,
    gaps=(0,) * 8 + tuple(range(1, 31)),
    peak=(-30, 0),
    # The gap from -46 to -39 dB is for evaluation.
    noise=(*range(-80, -46), *range(-39, -33)),
    clean_share=0.3,
    channels=ALL_CODECS,
)
STYLES: dict[str, tuple[float, Style]] = {
    "plain": (0.20, PLAIN),
    "plain mandarin": (0.07, replace(PLAIN, mandarin_share=1.0)),
    "single": (0.08, replace(VARIED, words=(1, 1))),
    "long": (0.07, replace(VARIED, words=(7, 14))),
    "phrases": (0.10, replace(VARIED, words=(2, 6), phrases=(2, 2, 3))),
    "varied": (0.41, VARIED),
}


@dataclass(frozen=True)
class Example:
    """Features before mean and variance normalisation, and what is said."""

    features: np.ndarray
    language: str
    words: tuple[str, ...]
    musical: bool


def draw(number: int) -> Utterance:
    """The utterance of this number."""
    rng = np.random.default_rng((20_240, number))
    share = rng.random()
    for part, style in STYLES.values():
        if share < part:
            return draw_speech(rng, style)
        share -= part
    return draw_sound(rng)


def as_recorded(samples: np.ndarray) -> torch.Tensor:
    """Round to 16 bit, as a decoder gives them."""
    return torch.from_numpy(np.round(np.clip(samples, -1, 1) * 32767).astype(np.float32) / 32768)


def extractor() -> Callable[[np.ndarray], np.ndarray]:
    """FunASR's own features for the recogniser, without normalisation."""
    from funasr.frontends.wav_frontend import WavFrontend

    frontend = WavFrontend(window="hamming", n_mels=80, lfr_m=7, lfr_n=6, dither=0.0)

    def features(samples: np.ndarray) -> np.ndarray:
        return frontend(as_recorded(samples)[None], [len(samples)])[0][0].numpy()

    return features


def example_of(one: Utterance, features: Callable[[np.ndarray], np.ndarray]) -> Example:
    """Features in half precision, which is finer than the differences that matter."""
    return Example(features(one.samples).astype(np.float16), one.language, one.words, one.musical)


def make_chunk(start: int, stop: int) -> list[Example]:
    """Examples of a range of numbers."""
    torch.set_num_threads(1)
    features = extractor()
    return [example_of(draw(number), features) for number in range(start, stop)]


def make_corpus(folder: Path, count: int, processes: int) -> list[Example]:
    """Make what is missing in the folder; a chunk that exists is read."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        done = list(pool.map(_save_chunk, [folder] * len(starts), starts))
    return [example for path in done for example in _read_chunk(path)]


def _save_chunk(folder: Path, start: int) -> Path:
    path = folder / f"{start:06d}.pt"
    if not path.exists():
        partial = path.with_suffix(".partial")
        torch.save(make_chunk(start, start + CHUNK), partial)
        partial.rename(path)
        print(f"speech: utterances {start} to {start + CHUNK}", flush=True)
    return path


def _read_chunk(path: Path) -> Iterator[Example]:
    """Our own file, so unpickling is safe."""
    yield from torch.load(path, weights_only=False)
