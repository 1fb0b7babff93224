"""Draws scenes for the voice activity detector: phrases, pauses, noises and music, with the truth per 10 ms frame.

It knows nothing of the detector's model; a scene depends on its number and the recorded sounds alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tests.support.speech import SAMPLE_RATE, silence
from tests.tools import real_sounds
from tests.tools.demo_model import augment
from tests.tools.demo_model.corpus import ALL_CODECS, VARIED, as_recorded
from tests.tools.demo_model.utterances import draw_words, speak

FRAME = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 40
# A frame is speech if it is louder than this, relative to the loudest frame of its phrase.
SPEECH_FLOOR = -38
# Speech lasts this many frames longer, which closes the gaps inside words.
HANGOVER = 8

# A clip is taken if its background is this much softer than its loudest part: else it would be taken for speech.
QUIET_BACKGROUND = 45
REAL_VOICES = 0.4  # of the phrases
# How often a pause is one of these.
REAL_MUSIC = "real music"
PAUSES = {"silence": 0.55, REAL_MUSIC: 0.25, "another sound": 0.2}

Generator = np.random.Generator
Sounds = Mapping[str, Callable[[Generator, int], np.ndarray]]


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


@dataclass(frozen=True)
class Recorded:
    """Recorded sounds, int16: music one piece after the other, and the clips of each voice."""

    music: np.ndarray
    voices: list[list[np.ndarray]]

    def excerpt(self, rng: Generator, count: int) -> np.ndarray:
        """Some music, at its own loudness."""
        start = rng.integers(0, len(self.music) - count)
        return self.music[start : start + count].astype(np.float32) / 32768

    def phrase(self, rng: Generator) -> np.ndarray:
        """A few clips of one voice, close to each other."""
        clips = self.voices[rng.integers(len(self.voices))]
        parts: list[np.ndarray] = []
        for _ in range(rng.integers(1, 6)):
            parts += [clips[rng.integers(len(clips))], silence(rng.uniform(0.02, 0.25))]
        return np.concatenate(parts)


def gather(folder: Path, real_sounds_folder: Path) -> Path:
    """Write the recorded sounds that training uses into `folder`, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "music.npy").exists():
        packages = real_sounds.TRAINING_MUSIC
        np.save(
            folder / "music.npy",
            np.concatenate([p for n in packages for p in real_sounds.music(real_sounds_folder, n)]),
        )
    if not (folder / "voices.pt").exists():
        voices = [list(map(trimmed, filter(is_clean, clips))) for clips in real_sounds.voices(real_sounds_folder)]
        torch.save([clips for clips in voices if len(clips) > 3], folder / "voices.pt")
    return folder


@functools.cache
def read_recorded(folder: Path) -> Recorded:
    """What `gather` wrote; our own files, so unpickling is safe."""
    return Recorded(np.load(folder / "music.npy", mmap_mode="r"), torch.load(folder / "voices.pt", weights_only=False))


def is_clean(clip: np.ndarray) -> bool:
    """Is the background of an int16 clip quiet?"""
    power = (clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64) ** 2).mean(1) + 1
    return len(clip) > 0.3 * SAMPLE_RATE and power.max() > np.percentile(power, 10) * 10 ** (QUIET_BACKGROUND / 10)


def trimmed(clip: np.ndarray) -> np.ndarray:
    """The part of an int16 clip that is speech, as float32."""
    samples = clip.astype(np.float32) / 32768
    loud = np.flatnonzero(loud_samples(samples))
    return samples[loud[0] : loud[-1] + 1]


def draw_pause(rng: Generator, sounds: Sounds) -> np.ndarray:
    """Silence or, now and then, a sound that is no speech."""
    kind = str(rng.choice(list(PAUSES), p=list(PAUSES.values())))
    if kind == "silence":
        return silence(rng.uniform(0.2, 2.5))
    seconds = rng.uniform(1, 10) if kind == REAL_MUSIC else rng.uniform(0.2, 2.5)
    name = kind if kind == REAL_MUSIC else str(rng.choice([name for name in sounds if name != REAL_MUSIC]))
    return augment.at_peak(sounds[name](rng, int(seconds * SAMPLE_RATE)), rng.uniform(-50, -3))


def draw_phrase(rng: Generator, sounds: Recorded) -> np.ndarray:
    """Up to six words in the voices of the training corpus, or some syllables of a person."""
    if rng.random() < REAL_VOICES:
        return augment.at_peak(sounds.phrase(rng), rng.uniform(-6, 0))
    language = "zh" if rng.random() < VARIED.mandarin_share else "en"
    words = draw_words(rng, VARIED, language)[:6]
    return augment.at_peak(speak(rng, VARIED, language, words), rng.uniform(-6, 0))


def draw_phrases(rng: Generator, real: Recorded, sounds: Sounds) -> tuple[np.ndarray, np.ndarray]:
    """Clean samples of pauses and up to four phrases, and which of the samples are speech."""
    parts = [draw_pause(rng, sounds)]
    truth = [np.zeros(len(parts[0]), bool)]
    for _ in range(rng.choice([0, 1, 2, 3, 4], p=[0.15, 0.2, 0.25, 0.25, 0.15])):
        phrase, pause = draw_phrase(rng, real), draw_pause(rng, sounds)
        parts += [phrase, pause]
        truth += [loud_samples(phrase), np.zeros(len(pause), bool)]
    return np.concatenate(parts), np.concatenate(truth)


def with_background(rng: Generator, samples: np.ndarray, sounds: Sounds) -> np.ndarray:
    """Noise, hum or music under everything, well below the phrases."""
    peak = 20 * np.log10(max(np.abs(samples).max(), 1e-3))
    kind = rng.choice(["none", "noise", "hum", "music"], p=[0.3, 0.4, 0.1, 0.2])
    if kind == "music":
        return samples + augment.at_peak(sounds[REAL_MUSIC](rng, len(samples)), peak - rng.uniform(10, 30))
    if kind == "noise":
        return augment.with_noise(rng, samples, min(rng.uniform(-85, -30), peak - 22))
    if kind == "hum":
        return samples + augment.at_peak(augment.hum(rng, len(samples)), min(rng.uniform(-60, -25), peak - 12))
    return samples


def draw_scene(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a recording and speech per frame; `folder` is what `gather` wrote."""
    rng, real = np.random.default_rng((77, number)), read_recorded(folder)
    sounds = {**augment.SOUNDS, **augment.TELEPHONE_SOUNDS, REAL_MUSIC: real.excerpt}
    samples, loud = draw_phrases(rng, real, sounds)
    samples = with_background(rng, samples * np.float32(augment.amplitude(rng.uniform(-32, 0))), sounds)
    recorded = augment.through_codec(rng, samples, str(rng.choice(list(ALL_CODECS), p=list(ALL_CODECS.values()))))
    # A codec may add some silence at the end.
    loud = np.concatenate([loud, np.zeros(max(0, len(recorded) - len(loud)), bool)])
    return recorded, frame_labels(loud[: len(recorded)])


def make_scene(folder: Path, number: int) -> Scene:
    """A scene as features, by FunASR's own extraction."""
    from funasr.frontends.wav_frontend import WavFrontend

    torch.set_num_threads(1)
    samples, speech = draw_scene(folder, number)
    frontend = WavFrontend(window="hamming", n_mels=80, lfr_m=1, lfr_n=1, dither=0.0)
    mel = frontend(as_recorded(samples)[None], [len(samples)])[0][0].numpy()
    return Scene(mel.astype(np.float16), speech[: len(mel)])


def make_scenes(path: Path, folder: Path, count: int, processes: int) -> list[Scene]:
    """Make the scenes, or read them if they are there; our own file, so unpickling is safe."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(processes) as pool:
            torch.save(list(pool.map(partial(make_scene, folder), range(count), chunksize=20)), path)
    return torch.load(path, weights_only=False)
