"""Draws utterances, what is said, by which voice, how it was recorded, and speaks them with espeak-ng.

Training and evaluation draw from different `Style`s: the voices, speeds and noise levels of evaluation do not occur in
training. It knows nothing of features and models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from tests.support.speech import SAMPLE_RATE, say, silence
from tests.tools.demo_model import augment
from tests.tools.demo_model.words import DIGITS, WORDS, joined

Generator = np.random.Generator
Value = TypeVar("Value")

PLAIN_VOICES = ("en-us", "en-gb")
MANDARIN_VOICES = ("cmn",)
TRAINING_VOICES = ("en-us", "en-gb", "en-us", "en-gb", "en-gb-scotland", "en-us-nyc", "en-gb-x-gbcwmd", "en-029")
TRAINING_VARIANTS = (
    *("", "", "", "+m1", "+m2", "+m3", "+m4", "+m6", "+m8", "+f1", "+f2", "+f3"),
    *("+adam", "+Alex", "+Alicia", "+Andrea", "+Andy", "+belinda", "+benjamin", "+david", "+edward"),
    *("+john", "+linda", "+max", "+Michael", "+paul", "+robert", "+Annie", "+aunty", "+boris", "+caleb", "+Denis"),
    *("+Diogo", "+Gene", "+Henrique", "+Hugo", "+iven", "+Jacky", "+Lee", "+Marco", "+Mario", "+miguel", "+Mike"),
    *("+pablo", "+pedro", "+quincy", "+rob", "+steph", "+victor", "+zac"),
)
UNSEEN_VOICES = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan")
UNSEEN_VARIANTS = ("+m5", "+m7", "+f4", "+f5")

CHANNELS = ("direct", "telephone", "mp3", "opus", "aac")


@dataclass(frozen=True)
class Style:
    """Ranges that an utterance's voice and recording are drawn from; levels are in decibel, times in seconds."""

    voices: tuple[str, ...] = PLAIN_VOICES
    mandarin_share: float = 0.0
    variants: tuple[str, ...] = ("",)
    speeds: tuple[int, ...] = tuple(range(130, 171))
    pitches: tuple[int, ...] = (50,)
    words: tuple[int, int] = (4, 6)
    digits_only: bool = True
    gaps: tuple[int, ...] = (0,)
    peak: tuple[float, float] = (-6, -1)
    noise: tuple[float, ...] = ()
    clean_share: float = 1.0
    margin: tuple[float, float] = (0.05, 0.8)
    phrases: tuple[int, ...] = (1,)
    channels: dict[str, float] = field(default_factory=lambda: {"direct": 1.0})


@dataclass(frozen=True)
class Utterance:
    """What is in a recording; no words means that nobody speaks."""

    language: str
    words: tuple[str, ...]
    samples: np.ndarray
    musical: bool = False

    @property
    def text(self) -> str:
        """The words as the model should write them."""
        return joined(self.language, self.words)


def pick(rng: Generator, values: tuple[Value, ...]) -> Value:
    """One of the values; unlike rng.choice it keeps their types."""
    return values[rng.integers(len(values))]


def draw_words(rng: Generator, style: Style, language: str) -> tuple[str, ...]:
    """Random words; some utterances repeat words, since equal neighbours are the hardest case for CTC."""
    source = (DIGITS if style.digits_only or rng.random() < 0.3 else WORDS)[language]
    repeat = 0.4 if rng.random() < 0.2 else 0.0
    words: list[str] = []
    for _ in range(rng.integers(style.words[0], style.words[1] + 1)):
        again = bool(words) and rng.random() < repeat
        words.append(words[-1] if again else str(pick(rng, tuple(source))))
    return tuple(words)


def spoken_text(rng: Generator, style: Style, language: str, words: tuple[str, ...]) -> str:
    """The words as espeak-ng is given them: in a varied style with some commas, Mandarin also with spaces."""
    if style.digits_only:
        return joined(language, words)
    comma = 0.25 if rng.random() < 0.2 else 0.0
    space = " " if language == "en" or rng.random() < 0.5 else ""
    return "".join(word + ("," if rng.random() < comma else "") + space for word in words).strip()


def speak(rng: Generator, style: Style, language: str, words: tuple[str, ...]) -> np.ndarray:
    """One phrase in a random voice of the style."""
    voice = f"{pick(rng, style.voices if language == 'en' else MANDARIN_VOICES)}{pick(rng, style.variants)}"
    text = spoken_text(rng, style, language, words)
    return say(text, voice, pick(rng, style.speeds), pick(rng, style.pitches), pick(rng, style.gaps))


def draw_phrases(rng: Generator, style: Style, language: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The words and samples of one or more phrases with pauses between them."""
    words = draw_words(rng, style, language)
    samples = speak(rng, style, language, words)
    for _ in range(pick(rng, style.phrases) - 1):
        more = draw_words(rng, style, language)
        samples = np.concatenate([samples, silence(rng.uniform(0.3, 1.6)), speak(rng, style, language, more)])
        words += more
    return words, samples


def record(rng: Generator, style: Style, samples: np.ndarray) -> np.ndarray:
    """Margins, loudness, noise and codec of a recording."""
    samples = augment.padded(samples, rng.uniform(*style.margin), rng.uniform(*style.margin))
    samples = augment.at_peak(samples, rng.uniform(*style.peak))
    if rng.random() >= style.clean_share:
        # Noise stays well below the voice, which may itself be quiet.
        level = min(pick(rng, style.noise), 20 * np.log10(np.abs(samples).max()) - 24)
        samples = augment.with_noise(rng, samples, level)
    channel = rng.choice(list(style.channels), p=list(style.channels.values()))
    return augment.through_codec(rng, samples, str(channel))


def draw_speech(rng: Generator, style: Style) -> Utterance:
    """A spoken utterance."""
    language = "zh" if rng.random() < style.mandarin_share else "en"
    words, samples = draw_phrases(rng, style, language)
    return Utterance(language, words, record(rng, style, samples))


def draw_sound(rng: Generator) -> Utterance:
    """A recording without speech."""
    name = str(pick(rng, tuple(augment.SOUNDS)))
    count = int(rng.uniform(0.4, 6) * SAMPLE_RATE)
    loudest = -25 if name == "noise" else -3
    samples = augment.at_peak(augment.SOUNDS[name](rng, count), rng.uniform(-60, loudest))
    if rng.random() < 0.5:
        samples = augment.with_noise(rng, samples, rng.uniform(-80, -45))
    samples = augment.through_codec(rng, samples, CHANNELS[rng.integers(len(CHANNELS))])
    return Utterance("nospeech", (), samples, name in augment.MUSICAL)
