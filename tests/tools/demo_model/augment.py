"""Makes samples sound recorded: loudness, pauses, noise, telephone band, codecs; and sounds that are no speech.

All randomness comes from the generator that is passed in. It knows nothing of words and models.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.speech import SAMPLE_RATE, load, save, silence

Generator = np.random.Generator

# File suffix, bit rates and sample rates of the codecs that occur in training.
CODECS = {
    "mp3": (".mp3", (32000, 48000, 64000, 96000), (16000, 44100)),
    "opus": (".ogg", (16000, 24000, 32000), (16000, 48000)),
    "aac": (".m4a", (48000, 64000, 96000), (16000, 44100)),
}


def amplitude(decibel: float) -> float:
    """Decibel relative to full scale as a factor."""
    return float(10 ** (decibel / 20))


def at_peak(samples: np.ndarray, decibel: float) -> np.ndarray:
    """Scale so that the loudest sample has the level `decibel`."""
    peak = np.abs(samples).max(initial=1e-6)
    return (samples * (amplitude(decibel) / peak)).astype(np.float32)


def padded(samples: np.ndarray, before: float, after: float) -> np.ndarray:
    """Add seconds of digital silence before and after."""
    return np.concatenate([silence(before), samples, silence(after)])


def coloured_noise(rng: Generator, count: int, slope: float) -> np.ndarray:
    """Noise of standard deviation 1 whose amplitude falls with frequency to the power `slope`."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1 + count // 400) ** slope
    noise = np.fft.irfft(spectrum, count)
    return (noise / max(noise.std(), 1e-9)).astype(np.float32)


def with_noise(rng: Generator, samples: np.ndarray, decibel: float, slope: float | None = None) -> np.ndarray:
    """Add stationary noise of the level `decibel`, from white (0) to brown (1)."""
    slope = rng.uniform(0, 1) if slope is None else slope
    return samples + amplitude(decibel) * coloured_noise(rng, len(samples), slope)


def telephone_band(samples: np.ndarray) -> np.ndarray:
    """Keep 300 to 3400 Hz."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain = 1 / (1 + (300 / np.maximum(frequency, 1)) ** 8) / (1 + (frequency / 3400) ** 24)
    return np.fft.irfft(spectrum * gain, len(samples)).astype(np.float32)


def through_file(samples: np.ndarray, suffix: str, **options: Any) -> np.ndarray:
    """Encode to a file and decode it again."""
    with tempfile.TemporaryDirectory() as folder:
        return load(save(Path(folder) / f"round_trip{suffix}", samples, **options))


def telephone(samples: np.ndarray, band: bool = True) -> np.ndarray:
    """An 8 kHz mu-law telephone call."""
    return through_file(telephone_band(samples) if band else samples, ".wav", codec="pcm_mulaw", rate=8000)


def through_codec(rng: Generator, samples: np.ndarray, name: str) -> np.ndarray:
    """A round trip through "direct", "telephone", "mp3", "opus" or "aac" with random settings."""
    if name == "direct":
        return samples
    if name == "telephone":
        return telephone(samples, band=rng.random() < 0.6)
    suffix, bit_rates, rates = CODECS[name]
    return through_file(samples, suffix, bit_rate=int(rng.choice(bit_rates)), rate=int(rng.choice(rates)))


def envelope(count: int) -> np.ndarray:
    """Fade in and out within 20 ms."""
    ramp = np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.02 * SAMPLE_RATE)
    return np.clip(ramp, 0, 1).astype(np.float32)


def harmonics(rng: Generator, count: int, pitch: float) -> np.ndarray:
    """A steady tone with a few overtones of random strength."""
    phase = 2 * np.pi * pitch * np.arange(count) / SAMPLE_RATE
    strengths = rng.uniform(0, 1, 5) / np.arange(1, 6)
    strengths[0] = 1
    return sum(level * np.sin((order + 1) * phase) for order, level in enumerate(strengths)).astype(np.float32)


def hum(rng: Generator, count: int) -> np.ndarray:
    """Mains hum."""
    return harmonics(rng, count, float(rng.choice([50, 60])))


def tone(rng: Generator, count: int) -> np.ndarray:
    """One steady sine or tone with overtones."""
    return harmonics(rng, count, float(np.exp(rng.uniform(np.log(110), np.log(2000)))))


def music(rng: Generator, count: int) -> np.ndarray:
    """Chords one after the other."""
    sound = np.zeros(count, np.float32)
    start = 0
    while start < count:
        length = min(int(rng.uniform(0.2, 1.2) * SAMPLE_RATE), count - start)
        notes = 220 * 2 ** (rng.integers(-12, 25, int(rng.integers(1, 5))) / 12)
        sound[start : start + length] = sum(harmonics(rng, length, float(note)) for note in notes) * envelope(length)
        start += length
    return sound


def clicks(rng: Generator, count: int) -> np.ndarray:
    """Short impulses with a fast decay."""
    sound = np.zeros(count + 800, np.float32)
    decay = np.exp(-np.arange(800) / rng.uniform(10, 120))
    for start in rng.integers(0, count, max(1, int(count / SAMPLE_RATE * rng.uniform(0.5, 6)))):
        sound[start : start + 800] += rng.uniform(0.3, 1) * decay * rng.standard_normal(800)
    return sound[:count]


def noise(rng: Generator, count: int) -> np.ndarray:
    """Stationary noise of random colour."""
    return coloured_noise(rng, count, rng.uniform(0, 1.2))


def signal_tones(rng: Generator, count: int) -> np.ndarray:
    """One or two steady tones, on and off by turns: the signals of some telephone."""
    at = np.arange(count) / SAMPLE_RATE
    on, off = rng.uniform(0.05, 2), rng.uniform(0.05, 3)
    hertz = rng.uniform(300, 1800, int(rng.integers(1, 3)))
    return (np.sin(2 * np.pi * hertz[:, None] * at).sum(0) * ((at % (on + off)) < on)).astype(np.float32)


def claps(rng: Generator, count: int) -> np.ndarray:
    """Many hands: impulses so dense that they become a noise."""
    decay = np.exp(-np.arange(1600) / rng.uniform(40, 400))
    impulses = rng.standard_normal(count) * (rng.random(count) < 10 ** rng.uniform(-3, -1.5))
    return np.convolve(impulses, decay)[:count].astype(np.float32)


SOUNDS: dict[str, Callable[[Generator, int], np.ndarray]] = {
    "noise": noise,
    "hum": hum,
    "tone": tone,
    "music": music,
    "clicks": clicks,
}
TELEPHONE_SOUNDS: dict[str, Callable[[Generator, int], np.ndarray]] = {"signal tones": signal_tones, "claps": claps}
MUSICAL = {"tone", "music"}
