"""Whatever people record in opens; and what is joined, cut off or has a wrong header is read to its end."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.media import SAMPLE_RATE, Track, beeps, decoded, heard, media, onsets

BEEPS = (1.0, 3.0, 5.0)
SOUND = beeps(6, BEEPS)

# Container, codec, rate; with a picture where it takes none without.
FORMATS = [
    ("mxf", "pcm_s16le", 48_000, True),
    ("mxf_opatom", "pcm_s16le", 48_000, False),
    ("gxf", "pcm_s16le", 48_000, True),
    ("wtv", "mp2", 48_000, True),
    ("nut", "pcm_s16le", 16_000, False),
    ("spdif", "ac3", 48_000, False),
    ("rm", "ac3", 48_000, False),
    ("voc", "pcm_s16le", 16_000, False),
    ("sox", "pcm_s32le", 16_000, False),
    ("ircam", "pcm_s16le", 16_000, False),
    ("tta", "tta", 48_000, False),
    ("wv", "wavpack", 48_000, False),
    ("avi", "pcm_s16le", 16_000, True),
    ("caf", "pcm_s16le", 16_000, False),
    ("w64", "pcm_s24le", 48_000, False),
]


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: f"{case[0]} {case[1]}")
def test_formats_of_broadcast_discs_and_programs_open(case):
    format, codec, rate, pictures = case
    found, decoder = heard(media([Track(SOUND, codec, rate)], format, pictures=6 if pictures else None))
    assert found == pytest.approx(BEEPS, abs=0.06)
    assert decoder.damage() is None


def test_dv_opens():
    found, _ = heard(media([Track(np.stack([SOUND, SOUND]), "pcm_s16le", 48_000)], "dv", pictures=6))
    assert found == pytest.approx(BEEPS, abs=0.06)


# --- without a header, by suffix ---------------------------------------------------------------------


def encoded(codec, rate, **options):
    """The packets of an encoder, one after the other."""
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.time_base = rate, Fraction(1, rate)
    context.layout, context.format = "mono", context.codec.audio_formats[0]
    context.options = options
    resampler = av.AudioResampler(context.format, "mono", rate, context.frame_size or 800)
    frame = av.AudioFrame.from_ndarray(SOUND[None], "flt", "mono")
    frame.sample_rate = SAMPLE_RATE
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(packet) for frame in [*frames, None] for packet in context.encode(frame))


OKI_STEPS = [16 * 1.1**n for n in range(49)]


def dialogic(samples):
    """Dialogic ADPCM (Dialogic, 1988): 4 bits a sample, the first in the high ones; float samples at 8 kHz."""
    last, place, codes = 0, 0, []
    for sample in np.round(samples * 2047).astype(int):
        step = int(OKI_STEPS[place])
        left, code = abs(sample - last), 8 if sample < last else 0
        for bit, part in ((4, step), (2, step // 2), (1, step // 4)):
            if left >= part:
                left, code = left - part, code | bit
        moved = step // 8 + sum(part for bit, part in ((4, step), (2, step // 2), (1, step // 4)) if code & bit)
        last = max(-2048, min(2047, last - moved if code & 8 else last + moved))
        place = max(0, min(48, place + (-1, -1, -1, -1, 2, 4, 6, 8)[code & 7]))
        codes.append(code)
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))


def linear(rate):
    return encoded("pcm_s16le", rate)


HEADERLESS = {
    ".ulaw": lambda: encoded("pcm_mulaw", 8000),
    ".PCMU": lambda: encoded("pcm_mulaw", 8000),
    ".alaw": lambda: encoded("pcm_alaw", 8000),
    ".al": lambda: encoded("pcm_alaw", 8000),
    ".sln": lambda: linear(8000),
    ".sln12": lambda: linear(12_000),
    ".sln16": lambda: linear(16_000),
    ".sln44": lambda: linear(44_100),
    ".sln192": lambda: linear(192_000),
    ".g722": lambda: encoded("g722", 16_000),
    ".g726-16": lambda: encoded("g726le", 8000, code_size="2"),
    ".g726-32": lambda: encoded("g726le", 8000, code_size="4"),
    ".g726-40": lambda: encoded("g726le", 8000, code_size="5"),
    ".g723": lambda: encoded("g723_1", 8000),
    ".vox": lambda: dialogic(SOUND[::2]),
    ".sbc": lambda: encoded("sbc", 16_000),
    ".aptx": lambda: media([Track(np.stack([SOUND, SOUND]), "aptx", 48_000)], "aptx"),
}


@pytest.mark.parametrize("suffix", HEADERLESS)
def test_telephone_sound_without_a_header_is_known_by_its_suffix(suffix):
    found, decoder = heard(HEADERLESS[suffix](), f"call{suffix}")
    assert found == pytest.approx(BEEPS, abs=0.06)
    assert decoder.damage() is None


@pytest.mark.parametrize(("suffix", "frame", "seconds"), [(".g729", 10, 0.01), (".ilbc", 50, 0.03), (".gsm", 33, 0.02)])
def test_frames_of_other_telephone_codecs_last_as_long_as_they_should(suffix, frame, seconds):
    """No encoder for these is at hand."""
    data = (b"\xd2" + bytes(range(1, frame))) * 200
    (rows,), _ = decoded(data, f"call{suffix}")
    assert rows.shape[1] / SAMPLE_RATE == pytest.approx(200 * seconds, abs=0.05)


def test_a_header_counts_more_than_a_suffix():
    found, decoder = heard(media([Track(SOUND, "pcm_s16le", 48_000)], "wav"), "call.ulaw")
    assert found == pytest.approx(BEEPS, abs=0.01)
    assert decoder.media.tracks[0].description.startswith("wav (pcm_s16le), 48000 Hz")


@pytest.mark.parametrize("name", ["call.ulaw", "call.sln", "call.g722"])
def test_a_text_is_none_whatever_its_suffix(name):
    with pytest.raises(av.FFmpegError):
        decoded("Listen to this: 你好, please.\n".encode() * 100, name)


# --- joined, cut off, wrong sizes ----------------------------------------------------------------------

JOINABLE = [
    ("wav", "pcm_mulaw", 8000),
    ("aiff", "pcm_s16be", 16_000),
    ("au", "pcm_s16be", 16_000),
    ("caf", "pcm_s16le", 16_000),
    ("w64", "pcm_s16le", 16_000),
    ("avi", "pcm_s16le", 16_000),
    ("ogg", "libopus", 48_000),
    ("ogg", "flac", 44_100),
    ("matroska", "aac", 48_000),
    ("ipod", "aac", 44_100),
    ("flv", "aac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("adts", "aac", 44_100),
    ("flac", "flac", 44_100),
    ("wv", "wavpack", 44_100),
    ("tta", "tta", 44_100),
    ("voc", "pcm_s16le", 16_000),
    ("mpegts", "aac", 48_000),
]


@pytest.mark.parametrize("case", JOINABLE, ids=lambda case: f"{case[0]} {case[1]}")
def test_joined_files_are_all_heard(case):
    format, codec, rate = case
    data = media([Track(SOUND, codec, rate)], format)
    found, decoder = heard(data + data)
    assert found == pytest.approx([*BEEPS, *(beep + 6 for beep in BEEPS)], abs=0.25)
    assert decoder.damage() is None


CHAINS = {
    "mono, then stereo": (SOUND, 48_000, "libopus", np.stack([SOUND, SOUND]), 48_000, "libopus"),
    "two rates": (np.stack([SOUND] * 2), 44_100, "vorbis", np.stack([SOUND] * 2), 22_050, "vorbis"),
    "two codecs": (SOUND, 48_000, "libopus", SOUND, 16_000, "flac"),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_goes_on_whatever_its_next_link_is(chain):
    first, first_rate, first_codec, second, second_rate, second_codec = CHAINS[chain]
    links = [
        media([Track(first, first_codec, first_rate)], "ogg"),
        media([Track(second, second_codec, second_rate)], "ogg"),
    ]
    found, decoder = heard(b"".join(links))
    assert found == pytest.approx([*BEEPS, *(beep + 6 for beep in BEEPS)], abs=0.06)
    assert decoder.damage() is None


@pytest.mark.parametrize("case", [case for case in JOINABLE if case[0] in ("wav", "aiff", "au", "caf", "w64", "avi")])
def test_a_file_that_is_cut_off_is_told_to_be(case):
    format, codec, rate = case
    data = media([Track(SOUND, codec, rate)], format)
    found, decoder = heard(data[: len(data) * 6 // 10])
    assert found == pytest.approx(BEEPS[:2], abs=0.06)
    assert decoder.damage().cut_short
    assert "should be 6 s long" in decoder.damage().sentence


def test_what_was_decoded_before_a_break_is_given():
    """The second link is damaged from its first page on."""
    link = media([Track(SOUND, "libopus", 48_000)], "ogg")
    (rows,), decoder = decoded(link + link.replace(b"OpusHead", b"OpusHard") + link)
    assert onsets(rows[0], 0.2)[:3] == pytest.approx(BEEPS, abs=0.06)
    assert rows.shape[1] / SAMPLE_RATE > 11.9
    assert "breaks off at 0:00:06" in decoder.damage().sentence


def test_a_joined_part_without_sound_costs_the_others_nothing():
    sound, mute = media([Track(SOUND, "aac", 44_100)], "mp4"), media([], "mp4", pictures=2)
    found, decoder = heard(sound + mute + sound)
    assert found == pytest.approx([*BEEPS, *(beep + 6 for beep in BEEPS)], abs=0.1)
    assert "breaks off" in decoder.damage().sentence


def test_a_size_that_wrapped_at_four_gibibytes_costs_nothing():
    data = bytearray(media([Track(SOUND, "pcm_s16le", 16_000)], "wav"))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 100_000)
    found, decoder = heard(bytes(data))
    assert found == pytest.approx(BEEPS, abs=0.01)
    assert decoder.damage() is None


def test_an_aiff_of_a_recorder_that_crashed_is_read():
    data = bytearray(media([Track(SOUND, "pcm_s16be", 16_000)], "aiff"))
    for name, offset in ((b"SSND", 4), (b"COMM", 10), (b"FORM", 4)):
        place = data.index(name) + offset
        data[place : place + 4] = bytes(4)
    found, _ = heard(bytes(data))
    assert found == pytest.approx(BEEPS, abs=0.01)


def test_a_picture_that_lasts_longer_than_the_sound_is_no_damage():
    for format in ("mp4", "matroska", "mpegts", "avi"):
        found, decoder = heard(
            media([Track(SOUND, "aac" if format != "avi" else "libmp3lame", 44_100)], format, pictures=60)
        )
        assert found == pytest.approx(BEEPS, abs=0.1), format
        assert decoder.damage() is None, format


# --- very quiet, very loud ------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "codec"), [("wav", "pcm_s24le"), ("wav", "pcm_f32le"), ("flac", "flac")])
def test_what_is_very_quiet_is_raised_before_it_becomes_16_bits(format, codec):
    """At -66 dBFS, 16 bits have 16 steps left; with 24 there are 4,000."""
    data = media([Track(SOUND / 1000, codec, 16_000)], format)
    _, decoder = decoded(data)
    assert decoder.gain() == pytest.approx(100, rel=0.01)
    (rows,), again = decoded(data, gain=decoder.gain())
    assert onsets(rows[0], 0.02) == pytest.approx(BEEPS, abs=0.01)
    beep = rows[0, 16_000:17_600] / 32768
    np.testing.assert_allclose(beep, SOUND[16_000:17_600] / 10, atol=2e-4 if codec != "flac" else 2e-3)
    assert again.gain() == decoder.gain()


@pytest.mark.parametrize("level", [0.02, 0.1, 1.0])
def test_what_is_loud_enough_stays_as_it_is(level):
    assert decoded(media([Track(SOUND * 2 * level, "pcm_f32le", 16_000)], "wav"))[1].gain() == 1.0


def test_a_click_does_not_make_a_quiet_recording_loud():
    quiet = np.tile(SOUND / 1000, 40)
    quiet[100] = 0.9
    assert decoded(media([Track(quiet, "pcm_f32le", 16_000)], "wav"))[1].gain() > 50


def test_silence_is_not_raised():
    assert decoded(media([Track(SOUND * 0, "pcm_f32le", 16_000)], "wav"))[1].gain() == 1.0
