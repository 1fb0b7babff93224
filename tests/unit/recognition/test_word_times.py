import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.core.types import SAMPLE_RATE, Hypothesis, Word
from transcribed.recognition.word_times import with_times_heard

LAG = 0.45


def sound(seconds, *spans, level=8000.0, background=0.0):
    """Noise of this level within the spans, in seconds."""
    noise = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE))
    gain = np.full(len(noise), background)
    for start, stop in spans:
        gain[int(start * SAMPLE_RATE) : int(stop * SAMPLE_RATE)] = level
    return (noise * gain).clip(-32768, 32767).astype(np.int16)


def told(*times):
    return Hypothesis("words", tuple(Word(f"w{n}", start, stop, 0.9) for n, (start, stop) in enumerate(times)))


def times(hypothesis):
    return [(word.start, word.stop) for word in hypothesis.words]


def close(found, wanted):
    return np.allclose(found, wanted, atol=0.025)


def test_words_begin_and_end_where_they_are_heard():
    samples = sound(3.0, (0.5, 0.9), (1.3, 1.8), (2.0, 2.4))
    (found,) = with_times_heard([told((0.78, 0.85), (1.5, 1.6), (2.3, 2.35))], [samples], LAG)
    assert close(times(found), [(0.5, 0.9), (1.3, 1.8), (2.0, 2.4)])


def test_a_softer_moment_parts_words_without_a_pause():
    samples = sound(2.0, (0.5, 1.5))
    samples[int(0.98 * SAMPLE_RATE) : int(1.02 * SAMPLE_RATE)] //= 4
    (found,) = with_times_heard([told((0.7, 0.8), (1.3, 1.35))], [samples], LAG)
    assert close(times(found), [(0.5, 1.0), (1.02, 1.5)])


def test_where_the_sound_does_not_tell_words_begin_a_little_before_their_peaks():
    (found,) = with_times_heard([told((0.5, 0.6), (1.5, 1.6))], [sound(2.0, (0.0, 2.0))], LAG)
    assert close([start for start, _ in times(found)], [0.44, 1.44])


def test_a_gap_within_a_word_is_not_taken_for_its_beginning():
    """As in "meeting": of two gaps before a peak, the first is the one before the word."""
    samples = sound(3.0, (0.5, 0.9), (1.0, 1.25), (1.3, 1.6))
    (found,) = with_times_heard([told((0.8, 0.88), (1.38, 1.5))], [samples], LAG)
    assert close(times(found)[1], (1.0, 1.6))


def test_background_noise_hides_no_beginning():
    samples = sound(3.0, (0.5, 0.9), (1.3, 1.8), background=500.0)
    (found,) = with_times_heard([told((0.7, 0.8), (1.6, 1.7))], [samples], LAG)
    assert close([start for start, _ in times(found)], [0.5, 1.3])


def test_the_rows_of_a_batch_do_not_change_each_other():
    rows = [sound(3.0, (0.5, 0.9), (1.3, 1.8)), sound(0.005), sound(1.0, (0.1, 0.6))]
    heard = [told((0.7, 0.8), (1.6, 1.7)), Hypothesis(""), told((0.4, 0.5))]
    alone = [with_times_heard([h], [x], LAG)[0] for h, x in zip(heard, rows, strict=True)]
    assert with_times_heard(heard, rows, LAG) == alone
    assert with_times_heard([], [], LAG) == []


spans = st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.5)), max_size=20)


@settings(max_examples=200, deadline=None)
@given(spans, st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_words_stay_in_order_and_within_their_segment(steps, seed, lag):
    at, raw = 0.0, []
    for gap, length in steps:
        raw.append((round(at + gap, 3), round(at + gap + length, 3)))
        at += gap + length
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal(max(200, int(at * SAMPLE_RATE))) * rng.integers(0, 9000)).clip(-32768, 32767)
    (found,) = with_times_heard([told(*raw)], [samples.astype(np.int16)], lag)
    edges = [edge for span in times(found) for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(samples) / SAMPLE_RATE + 0.01 for edge in edges)
    assert [w.text for w in found.words] == [f"w{n}" for n in range(len(raw))]


def test_nothing_but_times_changes():
    heard = Hypothesis(
        "One, two.", (Word("One,", 0.5, 0.6, 0.4), Word("two.", 1.5, 1.6, 0.7)), "en", "happy", ("bgm",), 0.5
    )
    (found,) = with_times_heard([heard], [sound(2.0, (0.3, 0.7), (1.2, 1.7))], LAG)
    assert [(w.text, w.confidence) for w in found.words] == [("One,", 0.4), ("two.", 0.7)]
    assert (found.text, found.language, found.emotion, found.events) == (heard.text, "en", "happy", ("bgm",))


@pytest.mark.parametrize("samples", [np.zeros(16_000, np.int16), np.full(16_000, -32768, np.int16)])
def test_silence_and_a_stuck_converter_are_no_trouble(samples):
    (found,) = with_times_heard([told((0.2, 0.3), (0.6, 0.7))], [samples], LAG)
    assert len(found.words) == 2
