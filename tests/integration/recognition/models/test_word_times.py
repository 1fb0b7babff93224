"""Words in synthetic speech whose beginnings are known, as both families of recognizers give them to the worker."""

import functools

import numpy as np
import pytest

from tests.support.speech import SAMPLE_RATE, pcm, say, silence
from tests.tools.demo_model.words import ENGLISH
from tests.tools.small_models import SEACO
from transcribed.core.types import Options
from transcribed.recognition import model_store
from transcribed.recognition.models.paraformer import Paraformer
from transcribed.recognition.models.sensevoice import SenseVoice
from transcribed.recognition.word_times import with_times_heard

SENSEVOICE = model_store.SHIPPED / "sensevoice"
HAN_DIGITS = tuple("零一二三四五六七八九")
MEAN_SECONDS, LATEST_SECONDS = 0.06, 0.15
UTTERANCES = 60


@functools.cache
def spoken(word, voice, speed):
    """A word alone, from where it is heard to where it no longer is."""
    samples = say(word, voice=voice, speed=speed)
    samples = samples / np.abs(samples).max() / 2
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]


def utterance(rng, words, voice):
    """Samples, and the words with the seconds at which they begin; close to each other, or with pauses."""
    parts, begun, speed = [silence(rng.uniform(0.2, 0.6))], [], int(rng.choice([140, 155, 170]))
    pauses = (0.02, 0.1) if rng.random() < 0.5 else (0.15, 0.6)
    for word in rng.choice(words, rng.integers(3, 7)):
        begun.append((str(word), sum(map(len, parts)) / SAMPLE_RATE))
        parts += [spoken(str(word), voice, speed), silence(rng.uniform(*pauses))]
    return pcm(np.concatenate([*parts, silence(0.3)])), begun


@pytest.mark.parametrize(
    ("family", "directory", "words", "voice", "language"),
    [
        (SenseVoice, SENSEVOICE, tuple(ENGLISH), "en-us", "en"),
        (SenseVoice, SENSEVOICE, HAN_DIGITS, "cmn", "zh"),
        (Paraformer, SEACO, HAN_DIGITS, "cmn", "zh"),
    ],
    ids=["SenseVoice English", "SenseVoice Mandarin", "Paraformer Mandarin"],
)
def test_words_begin_where_they_are_spoken(family, directory, words, voice, language):
    rng = np.random.default_rng(17)
    recognizer = family(directory, "cpu", threads=1)
    drawn = [utterance(rng, words, voice) for _ in range(UTTERANCES)]
    samples = [x for x, _ in drawn]
    heard = recognizer.recognize(samples, Options("a", language, itn=False))
    timed = with_times_heard(heard, samples, recognizer.word_lag_seconds)
    pairs = [
        (found.start, start)
        for hypothesis, (_, begun) in zip(timed, drawn, strict=True)
        if [w.text for w in hypothesis.words] == [word for word, _ in begun]
        for found, (_, start) in zip(hypothesis.words, begun, strict=True)
    ]
    errors = np.array([found - start for found, start in pairs])
    print(f"{len(errors)} words, {np.abs(errors).mean():.3f} s off on average, {errors.max():.3f} s late at most")
    assert len(errors) > 3 * UTTERANCES
    assert np.abs(errors).mean() <= MEAN_SECONDS
    assert errors.max() <= LATEST_SECONDS
