"""Silero VAD in NumPy: as its own package computes it, without torch, and deaf to what is no speech."""

import importlib.metadata
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.support.hostile import ringing
from tests.support.patience import patient
from tests.support.speech import SAMPLE_RATE, pcm, say, silence
from transcribed.ingest.preparation.silero_vad import CONTEXT, UNITS, WINDOW, SileroVad
from transcribed.ingest.preparation.vad import Vad
from transcribed.recognition import model_store

FOLDER = model_store.locate_vad("silero", None)


@pytest.fixture(scope="module")
def silero():
    return Vad(FOLDER)


@pytest.fixture(scope="module")
def speech():
    """Two phrases, with three seconds of quiet around each, and noise under all of it."""
    parts = [silence(3), say("one two three four"), silence(3), say("please call today"), silence(3)]
    clean = np.concatenate(parts)
    return clean + np.random.default_rng(1).normal(0, 0.002, len(clean)).astype(np.float32)


def test_probabilities_are_those_of_its_own_package(speech):
    package = importlib.metadata.distribution("silero-vad")
    theirs = torch.jit.load(str(package.locate_file("silero_vad/data/silero_vad.jit")))
    theirs.reset_states()
    count = len(speech) // WINDOW
    windows = torch.from_numpy(speech[: count * WINDOW]).reshape(count, WINDOW)
    with torch.inference_mode():
        wanted = [float(theirs(window, SAMPLE_RATE)) for window in windows]
    padded = np.concatenate((np.zeros(CONTEXT, np.float32), speech[: count * WINDOW]))
    shown = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + WINDOW)[::WINDOW]
    state = np.zeros(UNITS, np.float32), np.zeros(UNITS, np.float32)
    found, _ = SileroVad(FOLDER / model_store.SILERO_WEIGHTS).probabilities(shown, state)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert max(wanted) > 0.9
    assert min(wanted) < 0.05


def test_blocks_change_nothing(silero, speech):
    """Fed in blocks of ten seconds, each frame is judged as if all were heard at once."""
    samples = pcm(np.tile(speech, 3))
    at_once, in_blocks = silero._begin(samples), silero._begin(samples)
    edges = [0, 1, 700, 1700, 2700, 3000]
    flags, levels = at_once.listen(0, edges[-1])
    parts = [in_blocks.listen(start, stop) for start, stop in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), flags)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), levels, rtol=1e-5)


def test_speech_is_found_where_it_is(silero, speech):
    beats = []
    first, second = silero.detect(pcm(speech), lambda: beats.append(1))
    phrases = len(say("one two three four")) / SAMPLE_RATE
    assert first.start / SAMPLE_RATE == pytest.approx(3.0, abs=0.35)
    assert first.stop / SAMPLE_RATE == pytest.approx(3.0 + phrases, abs=0.45)
    assert second.start / SAMPLE_RATE == pytest.approx(6.0 + phrases, abs=0.35)
    assert beats


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 511, 512, 513, 16_000])
def test_any_length_is_judged(silero, samples):
    assert silero.detect(np.zeros(samples, np.int16), lambda: None) == []


@pytest.mark.parametrize("cadence", [(440, 480, 2, 4), (425, 425, 1, 4), (400, 450, 0.4, 0.2)])
def test_a_call_that_nobody_answers_holds_no_speech(silero, cadence):
    assert silero.detect(pcm(ringing(*cadence)), lambda: None) == []


def test_no_process_that_uses_it_loads_torch(tmp_path):
    code = """
import sys
from pathlib import Path
from transcribed.ingest.preparation.preparer import PreparationLimits, make_preparer
from transcribed.recognition.model_store import locate_vad
make_preparer(Path(sys.argv[1]), locate_vad("silero", Path()), PreparationLimits(), {}, (), "test", lambda: None)
print(sorted(name for name in ("torch", "funasr") if name in sys.modules))
"""
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patient(60), check=True)
    assert done.stdout.strip() == "[]"
