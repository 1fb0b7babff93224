"""Speech that never pauses: it has to be cut all the same, and no word may be lost or doubled there."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.fakes import job
from tests.support.speech import SAMPLE_RATE, pcm, say
from transcribed.core.types import Audio, Options, Preparation, RecordingOptions, Segment
from transcribed.ingest.preparation.vad import Vad
from transcribed.output.transcript import assemble
from transcribed.recognition import model_store
from transcribed.recognition.models.sensevoice import SenseVoice

SECONDS = 95


@pytest.fixture(scope="module")
def detector():
    return Vad(model_store.SHIPPED / "vad")


@pytest.fixture(scope="module")
def recognizer():
    return SenseVoice(model_store.SHIPPED / "sensevoice", "cpu", threads=1)


@pytest.mark.parametrize(("phrase", "speed"), [("nine one seven", 180), ("seven zero four two", 150)])
def test_words_at_a_cut_without_a_pause_are_kept_once(detector, recognizer, phrase, speed):
    spoken = say(phrase, speed=speed)
    loud = np.flatnonzero(np.abs(spoken) > 0.02)
    once = spoken[loud[0] : loud[-1]]
    count = int(SECONDS * SAMPLE_RATE / len(once))
    samples = pcm(np.tile(once, count))
    regions = detector.detect(samples, lambda: None)
    assert len(regions) > 3
    audio = Audio(Path("a.pcm"), len(samples))
    segments = tuple(Segment(1, n, audio, r.start, r.stop, r.speech_samples) for n, r in enumerate(regions))
    heard = recognizer.recognize([samples[r.start : r.stop] for r in regions], Options("demo", itn=False))
    prepared = Preparation(audio, segments, "", "", RecordingOptions(Options("demo")))
    made = assemble(job(), prepared, dict(enumerate(heard)))
    assert " ".join(u.hypothesis.text for u in made.utterances).split() == phrase.split() * count
