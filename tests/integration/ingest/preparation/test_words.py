"""Words that were lost, or stood at the wrong time, in files that people really have: decoded, and recognized."""

import io
import struct
import wave

import numpy as np
import pytest

from tests.support.media import SAMPLE_RATE, Track, media
from tests.support.speech import ENGLISH_DIGITS, say, silence
from transcribed.core.types import Options
from transcribed.recognition import model_store
from transcribed.recognition.models.sensevoice import SenseVoice

PHRASE = "hello please call today"
OTHER = "seven zero four two"


@pytest.fixture(scope="module")
def recognizer():
    return SenseVoice(model_store.SHIPPED / "sensevoice", "cpu", threads=2)


@pytest.fixture
def heard(prepare, recognizer):
    """The words of a file, and when each begins; all of it goes through the real preparer."""

    def heard(data, name):
        (prepare.inbox / name).write_bytes(data)
        made = prepare(name)
        words = []
        for segment in made.segments:
            pcm = np.fromfile(segment.audio.path, "<i2")[segment.start : segment.stop]
            (hypothesis,) = recognizer.recognize([pcm], Options("demo"))
            words += [(word.text, segment.start / SAMPLE_RATE + word.start) for word in hypothesis.words]
        return " ".join(text for text, _ in words), [start for _, start in words], made

    return heard


def padded(*texts, pause=0.5):
    return np.concatenate([silence(pause), *(part for text in texts for part in (say(text), silence(pause)))])


def digits_every(seconds):
    """The ten digits, one each so many seconds, the first after half a second."""
    samples = silence(seconds * 10 + 1)
    for number, word in enumerate(ENGLISH_DIGITS):
        start = round((0.5 + seconds * number) * SAMPLE_RATE)
        voice = say(word)
        samples[start : start + len(voice)] += voice[: len(samples) - start]
    return samples


DIGITS = " ".join(ENGLISH_DIGITS)


def test_one_damaged_packet_costs_no_word_behind_it(heard):
    def edit(packet):
        if 5.1 < float(packet.pts * packet.time_base) < 5.13:
            packet.update(bytes(range(7, 7 + packet.size % 200)).ljust(packet.size, b"\xa5"))

    data = media([Track(digits_every(2.0), "aac", 44_100)], "ipod", edit)
    text, starts, made = heard(data, "a.m4a")
    assert text == DIGITS
    assert starts[-1] == pytest.approx(18.6, abs=0.4)
    assert made.damage == "1 damaged place was skipped; words may be missing there."


@pytest.mark.parametrize(("channels", "softer"), [(4, 0.7), (6, 0.5), (8, 0.3), (8, 0.7)])
def test_speakers_who_take_turns_on_many_microphones_are_all_heard(heard, channels, softer):
    """A word each, the second speaker softer, on microphones far from each other."""
    rows = np.zeros((channels, 5 * SAMPLE_RATE), np.float32)
    words = ENGLISH_DIGITS[1:9]
    for number, word in enumerate(words):
        voice, start = say(word, speed=160), round((0.3 + 0.55 * number) * SAMPLE_RATE)
        rows[(0, channels // 2)[number % 2], start : start + len(voice)] += voice * (softer if number % 2 else 1)
    text, _, _ = heard(wav(rows), "a.wav")
    assert text == " ".join(words)


def wav(rows):
    """16-bit WAV of any number of channels."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((len(rows), 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((rows.T.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def test_dialogue_in_the_centre_of_a_film_is_heard_under_louder_surround(heard):
    voice = padded(PHRASE)
    power = np.sqrt(np.square(say(PHRASE)).mean())
    rows = np.random.default_rng(1).normal(0, power * 10 ** (-7 / 20), (6, len(voice))).astype(np.float32)
    rows[2] = voice
    text, _, _ = heard(media([Track(rows, "ac3", 48_000, bit_rate=448_000)], "matroska"), "film.mkv")
    assert text == PHRASE


@pytest.mark.parametrize("format", ["matroska", "mpegts", "mp4"])
def test_words_of_a_late_sound_stand_where_it_is_played(heard, format):
    data = media([Track(padded(PHRASE), "aac", 48_000, start=4.0)], format, pictures=10)
    text, starts, made = heard(data, "late.mkv")
    assert text == PHRASE
    assert starts[0] == pytest.approx(4.6, abs=0.4)
    assert made.damage is None


@pytest.mark.parametrize("lost", [0.2, 0.4])
def test_lost_packets_move_no_word(heard, lost):
    def edit(packet):
        at = float(packet.pts * packet.time_base)
        return not (at > 1 and (at - 1.5) % 2.0 < lost)

    text, starts, _ = heard(media([Track(digits_every(2.0), "libopus", 48_000)], "webm", edit), "a.webm")
    assert text == DIGITS
    assert starts == pytest.approx([0.6 + 2 * n for n in range(10)], abs=0.4)


def test_both_links_of_a_chain_of_other_channels_are_heard(heard):
    links = [Track(padded(PHRASE), "libopus", 48_000), Track(np.stack([padded(OTHER)] * 2), "libopus", 48_000)]
    text, _, made = heard(b"".join(media([link], "ogg") for link in links), "a.opus")
    assert text == f"{PHRASE} {OTHER}"
    assert made.damage is None


def test_a_header_that_tells_less_than_there_is_costs_no_word(heard):
    data = bytearray(media([Track(padded(PHRASE, OTHER), "pcm_mulaw", 8000)], "wav"))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 8000)
    text, _, made = heard(bytes(data), "a.wav")
    assert text == f"{PHRASE} {OTHER}"
    assert made.damage is None


def test_joined_files_are_one_recording(heard):
    text, _, _ = heard(b"".join(media([Track(padded(t), "pcm_mulaw", 8000)], "wav") for t in (PHRASE, OTHER)), "a.wav")
    assert text == f"{PHRASE} {OTHER}"
