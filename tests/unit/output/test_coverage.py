import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import preparation, segments
from transcribed.core.types import Hypothesis, ModelFacts, Word
from transcribed.output.coverage import covered_seconds, is_lost, needs_second_pass, suspicion, untranscribed_seconds
from transcribed.pipeline.active_job import better_answer

MUTE = Hypothesis("", language="en")
NOISE = Hypothesis("", language="nospeech")


def heard(*spans):
    return Hypothesis("words", tuple(Word("word", start, stop, 0.9) for start, stop in spans), "en")


def evenly(seconds):
    return heard(*((n, n + 0.5) for n in range(int(seconds))))


def test_speech_without_any_word_is_told_from_silence():
    prepared = preparation(1, 2.0, 3.0)
    assert untranscribed_seconds(prepared, {0: MUTE, 1: MUTE}) == 5.0
    assert untranscribed_seconds(prepared, {0: MUTE, 1: heard((0, 1))}) == 0.0
    assert untranscribed_seconds(prepared, {0: NOISE, 1: NOISE}) == 0.0
    assert untranscribed_seconds(preparation(1), {}) == 0.0


def test_a_long_hole_between_words_is_speech_that_was_lost():
    (segment,) = segments(1, 20.0)
    assert covered_seconds(segment, evenly(20)) == 20.0
    assert covered_seconds(segment, heard((0, 2), (12, 20))) == 10.0
    assert covered_seconds(segment, heard((8, 20))) == 12.0  # at the beginning, too
    assert covered_seconds(segment, heard((0, 2))) == 2.0  # and at the end


def test_text_without_times_counts_as_all_of_it_and_silence_as_none():
    (segment,) = segments(1, 20.0)
    assert covered_seconds(segment, Hypothesis("words")) == 20.0
    assert covered_seconds(segment, MUTE) == 0.0
    assert covered_seconds(segment, NOISE) == 20.0


def test_only_what_is_worth_it_is_asked_again():
    (long,), (blip,) = segments(1, 20.0), segments(1, 0.4)
    assert needs_second_pass(long, MUTE)
    assert needs_second_pass(long, heard((0, 2)))
    assert not needs_second_pass(long, evenly(20))
    assert not needs_second_pass(blip, MUTE)
    assert not needs_second_pass(long, NOISE)


def test_a_recording_with_few_words_for_its_speech_is_suspicious():
    prepared = preparation(1, 20.0, 20.0)
    assert suspicion(prepared, {0: evenly(20), 1: evenly(20)}) is None
    told = suspicion(prepared, {0: heard((0, 4)), 1: MUTE})
    assert told == "Speech was detected in 40 seconds, but only 4 of them have words; some may be missing."


def test_how_few_is_agreed_per_inbox():
    prepared = preparation(1, 20.0)
    lenient = dataclasses.replace(prepared, requested=dataclasses.replace(prepared.requested, min_coverage=0.0))
    assert suspicion(prepared, {0: heard((0, 4))})
    assert suspicion(lenient, {0: heard((0, 4))}) is None


def test_sounds_without_words_are_suspicious_and_lost_only_if_they_are_most_of_it():
    ringing, speech = preparation(1, 1.0, 0.3), preparation(1, 20.0)
    assert suspicion(ringing, {0: MUTE, 1: MUTE}) == (
        "1.3 seconds sounded like speech, but no words were recognized in them."
    )
    assert suspicion(preparation(1, 0.4, 0.4), {0: MUTE, 1: MUTE}) is None  # blips, however many
    assert suspicion(ringing, {0: NOISE, 1: NOISE}) is None
    assert is_lost(speech, {0: MUTE})
    assert not is_lost(speech, {0: NOISE})
    assert not is_lost(speech, {0: heard((0, 1))})
    assert not is_lost(ringing, {0: MUTE, 1: MUTE})
    long = dataclasses.replace(speech, audio=dataclasses.replace(speech.audio, samples=16_000 * 60))
    assert not is_lost(long, {0: MUTE})


def test_words_that_the_recognizer_is_unsure_of_are_suspicious():
    """By the length of their segments; what has no words does not count."""
    prepared = preparation(1, 2.0, 8.0, 5.0)
    wanting = dataclasses.replace(
        prepared, requested=dataclasses.replace(prepared.requested, model=ModelFacts("", 0.8))
    )
    sure, unsure = (dataclasses.replace(evenly(8), confidence=confidence) for confidence in (0.95, 0.7))
    told = suspicion(wanting, {0: sure, 1: unsure, 2: dataclasses.replace(MUTE, confidence=0.1)})
    assert told == "The recognizer was unsure of these words (75% on average); many may be wrong."
    assert suspicion(wanting, {0: unsure, 1: sure, 2: NOISE}) is None
    assert suspicion(prepared, {0: unsure, 1: unsure, 2: NOISE}) is None
    assert suspicion(wanting, {0: evenly(2), 1: evenly(8), 2: evenly(5)}) is None  # of which nothing is known


def test_a_few_seconds_tell_nothing():
    assert suspicion(preparation(1, 5.0), {0: heard((0, 1))}) is None


def test_words_never_give_way_to_none_or_to_those_of_another_language():
    (segment,) = segments(1, 25.0)
    thin, full = heard((0, 2)), evenly(25)
    assert better_answer(segment, thin, NOISE) == thin
    assert better_answer(segment, thin, MUTE) == thin
    assert better_answer(segment, thin, dataclasses.replace(full, language="zh")) == thin
    assert better_answer(segment, thin, full) == full
    assert better_answer(segment, full, thin) == full
    assert better_answer(segment, MUTE, NOISE) == NOISE
    assert better_answer(segment, MUTE, dataclasses.replace(full, language="zh")).language == "zh"
    assert better_answer(segment, dataclasses.replace(MUTE, text="."), full) == full


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 5)), max_size=12), st.floats(0.1, 30), st.floats(0, 1))
def test_no_words_cover_more_speech_than_there_is(spans, seconds, speech):
    (segment,) = segments(1, seconds, speech=speech)
    words = heard(*sorted((min(start, seconds), min(start + length, seconds)) for start, length in spans))
    assert 0.0 <= covered_seconds(segment, words) <= segment.speech_seconds
