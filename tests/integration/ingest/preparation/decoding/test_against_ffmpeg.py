"""Sound is where FFmpeg's own program puts it that follows the timestamps, over the formats that can be made here."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.support.media import Track, beeps, decoded, media, onsets
from tests.support.patience import patient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs FFmpeg's command line: apt-get install ffmpeg"),
]

BEEPS = (1.0, 3.0, 5.0, 7.0)
FOLLOW = "aresample=async=1600:first_pts=0"  # stretches as we do, by a tenth; with 1, it would part a beep by silence
FORMATS = [
    ("matroska", "aac", 48_000, 1),
    ("matroska", "flac", 44_100, 2),
    ("webm", "libopus", 48_000, 1),
    ("mp4", "aac", 44_100, 2),
    ("mov", "pcm_s16be", 16_000, 1),
    ("mpegts", "aac", 48_000, 2),
    ("mpegts", "mp2", 48_000, 1),
    ("flv", "aac", 44_100, 2),
    ("asf", "wmav2", 44_100, 2),
    ("avi", "libmp3lame", 44_100, 2),
    ("nut", "pcm_s16le", 16_000, 1),
    ("ogg", "flac", 44_100, 1),
    ("caf", "alac", 44_100, 1),
    ("mxf", "pcm_s16le", 48_000, 1),
    ("gxf", "pcm_s16le", 48_000, 1),
    ("wtv", "mp2", 48_000, 1),
    ("mpeg", "mp2", 48_000, 2),
    ("wav", "pcm_mulaw", 8_000, 1),
    ("mp3", "libmp3lame", 44_100, 2),
    ("adts", "aac", 44_100, 1),
    ("ac3", "ac3", 48_000, 2),
]
LATE = {"matroska", "mp4", "mov", "avi"}  # not MPEG-TS: of what is not mapped, FFmpeg 5.1 does not take the time there
RETIMED = {"matroska", "webm", "mp4", "mov", "mpegts", "flv", "nut"}


def track(case, start=0.0):
    _, codec, rate, channels = case
    bit_rate = 128_000 if codec == "wmav2" else None
    return Track(np.stack([beeps(8, BEEPS)] * channels), codec, rate, start, bit_rate)


def lossy(packet):
    at = float(packet.pts * packet.time_base)
    return not (at > 1 and (at - 1.4) % 2.0 < 0.3)


def slow(packet):
    packet.pts = packet.dts = round(packet.pts * 1.02)


def ffmpegs(path):
    command = ["ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-af", FOLLOW, "-ac", "1", "-ar", "16000"]
    done = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, timeout=patient(60), check=True)
    return np.frombuffer(done.stdout, "<i2")


def both(path, data):
    path.write_bytes(data)
    (rows,), _ = decoded(data)
    return onsets(rows[0], 0.2), onsets(ffmpegs(path), 0.2)


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: f"{case[0]} {case[1]}")
def test_a_plain_file_sounds_when_ffmpegs_does(tmp_path, case):
    pictures = 8 if case[0] in ("mxf", "gxf", "wtv") else None
    ours, theirs = both(tmp_path / "a", media([track(case)], case[0], pictures=pictures))
    assert ours == pytest.approx(theirs, abs=0.06)


@pytest.mark.parametrize(
    "case",
    [case for case in FORMATS if case[0] in LATE],
    ids=lambda case: f"{case[0]} {case[1]}",
)
def test_a_late_sound_begins_when_ffmpegs_does(tmp_path, case):
    ours, theirs = both(tmp_path / "a", media([track(case, start=4.0)], case[0], pictures=12))
    assert ours == pytest.approx(theirs, abs=0.1)


@pytest.mark.parametrize("edit", [lossy, slow])
@pytest.mark.parametrize(
    "case", [case for case in FORMATS if case[0] in RETIMED], ids=lambda case: f"{case[0]} {case[1]}"
)
def test_gaps_and_slow_clocks_are_followed_as_by_ffmpeg(tmp_path, case, edit):
    ours, theirs = both(tmp_path / "a", media([track(case)], case[0], edit))
    assert ours == pytest.approx(theirs, abs=0.15)
