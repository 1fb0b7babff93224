"""Draws scenes for the voice activity detector: phrases, pauses, noises and music, with the truth per 10 ms frame.

It knows nothing of the detector's model; a scene depends on its number alone.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tests.support.speech import SAMPLE_RATE, silence
from tests.tools.demo_model import augment
from tests.tools.demo_model.corpus import ALL_CODECS, VARIED, as_recorded
from tests.tools.demo_model.utterances import draw_words, speak

FRAME = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 40
# A frame is speech if it is louder than this, relative to the loudest frame of its phrase.
SPEECH_FLOOR = -38
# Speech lasts this many frames longer, which closes the gaps inside words.
HANGOVER = 8

Generator = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """Mel features before normalisation, and 1 for each frame with speech."""

    mel: np.ndarray
    speech: np.ndarray


def frame_count(samples: np.ndarray) -> int:
    """Number of frames of the feature extraction."""
    return max(0, (len(samples) - WINDOW) // FRAME + 1)


def loud_samples(samples: np.ndarray) -> np.ndarray:
    """For each sample of a clean phrase: does it belong to speech?"""
    energy = np.convolve(samples.astype(np.float64) ** 2, np.ones(WINDOW) / WINDOW, "same")
    return energy > energy.max(initial=1e-12) * 10 ** (SPEECH_FLOOR / 10)


def frame_labels(loud: np.ndarray) -> np.ndarray:
    """Speech per frame from speech per sample, with the hangover."""
    centres = np.arange(frame_count(loud)) * FRAME + WINDOW // 2
    frames = loud[centres].astype(np.float32)
    held = np.convolve(frames, np.ones(HANGOVER + 1))[: len(frames)]
    return (held > 0).astype(np.float32)


def draw_pause(rng: Generator) -> np.ndarray:
    """Silence or, now and then, a sound that is no speech."""
    seconds = rng.uniform(0.2, 2.5)
    if rng.random() < 0.75:
        return silence(seconds)
    sound = augment.SOUNDS[str(rng.choice(list(augment.SOUNDS)))](rng, int(seconds * SAMPLE_RATE))
    return augment.at_peak(sound, rng.uniform(-50, -6))


def draw_phrase(rng: Generator) -> np.ndarray:
    """Up to six words in the voices of the training corpus."""
    language = "zh" if rng.random() < VARIED.mandarin_share else "en"
    words = draw_words(rng, VARIED, language)[:6]
    return augment.at_peak(speak(rng, VARIED, language, words), rng.uniform(-6, 0))


def draw_phrases(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clean samples of pauses and up to four phrases, and which of the samples are speech."""
    parts = [draw_pause(rng)]
    truth = [np.zeros(len(parts[0]), bool)]
    for _ in range(rng.choice([0, 1, 2, 3, 4], p=[0.15, 0.2, 0.25, 0.25, 0.15])):
        phrase, pause = draw_phrase(rng), draw_pause(rng)
        parts += [phrase, pause]
        truth += [loud_samples(phrase), np.zeros(len(pause), bool)]
    return np.concatenate(parts), np.concatenate(truth)


def with_background(rng: Generator, samples: np.ndarray) -> np.ndarray:
    """Noise or hum under everything, well below the phrases."""
    peak = 20 * np.log10(max(np.abs(samples).max(), 1e-3))
    kind = rng.choice(["none", "noise", "hum"], p=[0.35, 0.5, 0.15])
    if kind == "noise":
        return augment.with_noise(rng, samples, min(rng.uniform(-85, -30), peak - 22))
    if kind == "hum":
        return samples + augment.at_peak(augment.hum(rng, len(samples)), min(rng.uniform(-60, -25), peak - 12))
    return samples


def draw_scene(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a recording and speech per frame."""
    rng = np.random.default_rng((77, number))
    samples, loud = draw_phrases(rng)
    samples = with_background(rng, samples * np.float32(augment.amplitude(rng.uniform(-32, 0))))
    recorded = augment.through_codec(rng, samples, str(rng.choice(list(ALL_CODECS), p=list(ALL_CODECS.values()))))
    # A codec may add some silence at the end.
    loud = np.concatenate([loud, np.zeros(max(0, len(recorded) - len(loud)), bool)])
    return recorded, frame_labels(loud[: len(recorded)])


def make_scene(number: int) -> Scene:
    """A scene as features, by FunASR's own extraction."""
    from funasr.frontends.wav_frontend import WavFrontend

    torch.set_num_threads(1)
    samples, speech = draw_scene(number)
    frontend = WavFrontend(window="hamming", n_mels=80, lfr_m=1, lfr_n=1, dither=0.0)
    mel = frontend(as_recorded(samples)[None], [len(samples)])[0][0].numpy()
    return Scene(mel.astype(np.float16), speech[: len(mel)])


def make_scenes(path: Path, count: int, processes: int) -> list[Scene]:
    """Make the scenes, or read them if they are there; our own file, so unpickling is safe."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(processes) as pool:
            torch.save(list(pool.map(make_scene, range(count), chunksize=20)), path)
    return torch.load(path, weights_only=False)
