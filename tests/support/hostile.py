"""A corpus of hostile files: what strangers, broken recorders and attackers put into an inbox.

`build` makes every file by code, the same bytes each time, without a network; `plan` tells beforehand what it will
make. Each case says what a user would want to find in the outbox. The module knows media files and file systems; it
does not know how the product comes to its outcomes, nor where the outcomes lie.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import socket
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np

from tests.support.speech import SAMPLE_RATE, audio_frame, say, silence

Outcome = Literal["transcript", "silence", "partial", "note", "ignored"]

SPOKEN = "one two three four five"  # in every recording of the inbox that holds speech ...
BESIDE = "seven eight nine"  # ... but for another user's recording, which a playlist points at ...
OUTSIDE = "hello please meeting"  # ... and for what lies outside the inbox, which nobody may hear.

MAX_SECONDS = 72.0  # the corpus wants a product that refuses what is longer; the bombs are far longer
HUGE_BYTES = 2**40  # and one that refuses a file as large as this

PAUSED = "codecs/paused.mkv"  # the words are said twice: at the beginning ...
PAUSE_STOP = 10.0  # ... and from this second on, with nothing at all in between

# FAULTS C9: what a recording is never called, in the spellings that are met.
IGNORED_NAMES = (
    ".hidden.wav",
    ".talk.wav.Xy12aB",
    ".~tmp~/talk.wav",
    ".rsync-partial/talk.wav",
    ".syncthing.talk.wav.tmp",
    "~syncthing~talk.wav.tmp",
    "~syncthing~talk.wav",
    ".stversions/talk~20240101-120000.wav",
    ".stfolder/talk.wav",
    "talk.wav.partial",
    "talk.wav.1a2b3c4d.partial",
    "TALK.WAV.PARTIAL",
    "talk.wav.filepart",
    "talk.wav.part",
    "talk.wav.Part",
    "talk.wav.crdownload",
    "Unconfirmed 123456.crdownload",
    "talk.wav.download",
    "safari.wav.download/talk.wav",
    "talk.wav.tmp",
    "TALK.TMP",
    "talk.wav.aria2",
    ".in.talk.wav.",
    ".pureftpd-upload.5f1e2d3c.15.1a2b.3c4d",
    "._talk.wav",
    ".DS_Store",
    "@eaDir/talk.wav",
    "@EADIR/talk.wav",
    "deep/@eaDir/talk.wav/SYNOAUDIO.wav",
    "#recycle/talk.wav",
    "#Recycle/talk.wav",
    "@Recycle/talk.wav",
    "@recycle/talk.wav",
    ".nfs00000000004a1b2c00000001",
    ".smbdelete00012.4",
    "Thumbs.db",
    "thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "Desktop.ini",
    "talk.wav:Zone.Identifier",
    "talk.wav:zone.identifier",
    ".sync_a1b2c3d4e5f6.db",
    "lost+found/talk.wav",
    "LOST+FOUND/talk.wav",
    ".snapshot/hourly.0/talk.wav",
    ".transcribed-1-abc",
    "talk.wav.!qB",
    "talk.wav.!sync",
    "talk.wav.bc!",
    "talk.wav.opdownload",
    "talk.wav.fdmdownload",
    "talk.mp4.ytdl",
    "talk.mp4.part-Frag12",
    "_UNPACK_talk/talk.wav",
    "_FAILED_talk/talk.wav",
    "..wav",
    "...",
)

# Recordings, however much they look like the above.
WANTED_NAMES = (
    "talk.sync-conflict-20240101-120000-ABCDEFG.wav",
    "talk (conflicted copy).wav",
    "part.wav",
    "talk.part.wav",
    "talk.partial.wav",
    "talk.part1",
    "tmp.wav",
    "tmp/talk.wav",
    "download.wav",
    "download/talk.wav",
    "talk.tmp.mp3",
    "thumbs.db.wav",
    "desktop.ini.wav",
    "snapshot/talk.wav",
    "recycle/talk.wav",
    "eaDir/talk.wav",
    "lost+found.wav",
    "talk~1.wav",
    "_.talk.wav",
    "in.talk.wav.",
    "nfs0001",
    "Zone.Identifier",
    "unpack_talk/talk.wav",
    "qB.wav",
    "part-Frag.wav",
)


@dataclass(frozen=True, slots=True)
class Case:
    name: str  # the path below the inbox; holds surrogates where it is not UTF-8
    outcome: Outcome
    fragment: str = ""  # words that the note, or the sentence on the damage, must hold


@dataclass(frozen=True, slots=True)
class Around:
    """What a playlist can point at."""

    outside: Path  # a folder beside the inbox, with recordings that the product has no business with
    port: int  # of an HTTP server on this host


Make = Callable[[Path, Around], None]


@dataclass(frozen=True, slots=True)
class _Recipe:
    case: Case
    make: Make


def plan() -> list[Case]:
    """The cases that `build` makes on this machine; encoders that the local FFmpeg lacks are left out."""
    return [recipe.case for recipe in _recipes()]


def build(inbox: Path, port: int = 9) -> list[Case]:
    """Fill `inbox`, and a folder `outside` beside it. Playlists ask for things at `port` of this host."""
    around = Around(inbox.parent / "outside", port)
    _make_outside(around.outside)
    for recipe in _recipes():
        path = inbox / recipe.case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        recipe.make(path, around)
    return plan()


def _recipes() -> Iterator[_Recipe]:
    for group in (
        _playlists,
        _headers,
        _bombs,
        _cut,
        _damaged,
        _unfinished_headers,
        _tags,
        _codecs,
        _not_audio,
        _without_speech,
        _extensions,
        _names,
        _ignored_names,
        _wanted_names,
        _no_regular_files,
    ):
        yield from group()


def _is(name: str, outcome: Outcome, fragment: str, data: Callable[[], bytes]) -> _Recipe:
    """A regular file."""
    return _Recipe(Case(name, outcome, fragment), lambda path, _: _write(path, data()))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _make_outside(folder: Path) -> None:
    folder.mkdir()
    secret = _recording(OUTSIDE)
    for name, format, codec in (("wav", "wav", "pcm_s16le"), ("mp3", "mp3", "libmp3lame"), ("ts", "mpegts", "aac")):
        (folder / f"secret.{name}").write_bytes(_encoded(secret, format, codec))


# --- what points elsewhere (FAULTS D1) ---------------------------------------------------------------------

_HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n{}\n#EXT-X-ENDLIST\n"
_CONCAT = "ffconcat version 1.0\nfile '{}'\n"
_SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
_XSPF = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
    "<location>{}</location></track></trackList></playlist>\n"
)
_DASH = (
    '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>\n"
)
_EXTENSIONS = ("wav", "mp3", "m3u8", "txt")


def _playlists() -> Iterator[_Recipe]:
    yield _is("playlists/beside.wav", "transcript", "", lambda: _encoded(_recording(BESIDE), "wav", "pcm_s16le"))
    places = {
        "http": "http://127.0.0.1:{port}/secret.ts",
        "path": "{outside}/secret.ts",
        "path-mp3": "{outside}/secret.mp3",
        "beside": "beside.wav",
    }
    for place, target in places.items():
        for extension in _EXTENSIONS:
            yield _list(f"hls-{place}.{extension}", _HLS.format(target), "playlist")
            yield _list(f"concat-{place}.{extension}", _CONCAT.format(target), "playlist")
    for extension in _EXTENSIONS:
        yield _list(f"sdp.{extension}", _SDP, "playlist")
    yield _list("concat-protocol.mp3", _HLS.format("concat:{outside}/secret.ts|{outside}/secret.ts"), "playlist")
    yield _list("subfile.mp3", _HLS.format("subfile,,start,0,end,0,,:{outside}/secret.ts"), "playlist")
    yield _list("hls-after-mark.wav", "\ufeff" + _HLS.format("{outside}/secret.ts"), "not a recording")
    yield _list("pls.wav", "[playlist]\nNumberOfEntries=1\nFile1={outside}/secret.wav\n", "playlist")
    yield _list("xspf.wav", _XSPF.format("http://127.0.0.1:{port}/secret.ts"), "not a recording")
    yield _list("dash.mp3", _DASH.format("http://127.0.0.1:{port}/secret.mp3"), "not a recording")
    yield _list(
        "asx.wav", '<asx version="3.0"><entry><ref href="{outside}/secret.wav"/></entry></asx>', "not a recording"
    )
    yield _list(
        "cue.wav", 'FILE "{outside}/secret.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n', "not a recording"
    )
    yield _list("ram.mp3", "rtsp://127.0.0.1:{port}/secret.wav\n", "not a recording")
    yield _list("names.m3u", "{outside}/secret.wav\n", "not a recording")


def _list(name: str, text: str, fragment: str) -> _Recipe:
    def make(path: Path, around: Around) -> None:
        path.write_text(text.replace("{outside}", str(around.outside)).replace("{port}", str(around.port)))

    return _Recipe(Case(f"playlists/{name}", "note", fragment), make)


# --- headers that ask for too much (D2, D3) ---------------------------------------------------------------


def _headers() -> Iterator[_Recipe]:
    odd = {
        "rate-1.7GHz": {"rate": 0x68003E80},
        "rate-0": {"rate": 0},
        "rate-1": {"rate": 1},
        "rate-4e9": {"rate": 4_000_000_000},
        "rate-400k": {"rate": 400_000},
        "channels-0": {"channels": 0},
        "channels-33": {"channels": 33},
        "channels-255": {"channels": 255},
        "channels-65535": {"channels": 65535},
    }
    for name, header in odd.items():
        yield _is(f"headers/{name}.wav", "note", "damaged", functools.partial(_wav, **header))
    yield _is("headers/bits-0.wav", "note", "cannot be decoded", functools.partial(_wav, bits=0))
    yield _is("headers/unknown-codec.wav", "note", "cannot be decoded", functools.partial(_wav, tag=0x7777))
    yield _is("headers/only-30-bytes.wav", "note", "damaged", lambda: _wav()[:30])
    yield _is("headers/no-data.wav", "note", "no sound", lambda: _wav(b""))
    yield _is(
        "headers/channels-24.wav", "transcript", "", lambda: _encoded(_voice(), "wav", "pcm_s16le", 48000, "22.2")
    )


def _bombs() -> Iterator[_Recipe]:
    yield _is("bombs/hour.flac", "note", "longer than", lambda: _zeros(3600, "flac", "flac", {"frame_size": "65535"}))
    yield _is("bombs/minutes.opus", "note", "longer than", lambda: _zeros(90, "ogg", "libopus", {"b": "6000"}))


def _zeros(seconds: int, format: str, codec: str, options: dict[str, str]) -> bytes:
    buffer, second = io.BytesIO(), silence(10)
    with av.open(buffer, "w", format=format, options={"fflags": "+bitexact"}) as container:
        stream = cast(av.AudioStream, container.add_stream(codec, rate=8000, layout="mono"))
        stream.codec_context.options = {"flags": "+bitexact", **options}
        for place in range(0, seconds, 10):
            frame = audio_frame(second, SAMPLE_RATE)
            frame.pts = place * SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


# --- cut off, damaged (D11, C10, C11) -----------------------------------------------------------------------


_CUT: dict[str, tuple[Outcome, str]] = {
    "talk.wav": ("partial", "11 s"),  # its header tells how long it was
    "talk.flac": ("partial", "11 s"),
    "cbr.mp3": ("partial", "11 s"),  # its first frame does
    "flac.mkv": ("partial", "11 s"),
    "faststart.m4a": ("partial", "11 s"),
    "aac.aac": ("partial", "damaged"),  # its last frame is broken off
    "opus.ogg": ("transcript", ""),  # nothing in it tells; recordings of live streams look the same
    "moov-last.m4a": ("note", "damaged"),
}


def _cut() -> Iterator[_Recipe]:
    for name, outcome in _CUT.items():
        yield _is(f"cut/{name}", *outcome, functools.partial(_first, _LONG[name], 0.5))
    yield _is("cut/early.mp3", "note", "", functools.partial(_first, _LONG["cbr.mp3"], 0.001))
    yield _is("cut/early.flac", "note", "damaged", functools.partial(_first, _LONG["talk.flac"], 0.001))
    yield _is("cut/head.ogg", "note", "damaged", lambda: _LONG["opus.ogg"]()[:20])


def _first(make: Callable[[], bytes], share: float) -> bytes:
    data = make()
    return data[: int(len(data) * share)]


def _damaged() -> Iterator[_Recipe]:
    for name in ("cbr.mp3", "talk.flac", "opus.ogg", "aac.aac", "faststart.m4a", "flac.mkv"):
        yield _is(f"damaged/noise in {name}", "partial", "", functools.partial(_spoilt, _LONG[name], _noise_bytes))
        yield _is(f"damaged/zeros in {name}", "partial", "", functools.partial(_spoilt, _LONG[name], bytes))
    yield _is(
        "damaged/noise in talk.wav", "transcript", "", functools.partial(_spoilt, _LONG["talk.wav"], _noise_bytes)
    )


def _spoilt(make: Callable[[], bytes], stuff: Callable[[int], bytes]) -> bytes:
    """A tenth of the file, in its middle, is something else."""
    data = make()
    start, count = len(data) * 45 // 100, len(data) // 10
    return data[:start] + stuff(count) + data[start + count :]


def _noise_bytes(count: int) -> bytes:
    return random.Random(1).randbytes(count)


def _unfinished_headers() -> Iterator[_Recipe]:
    for name, size in (("0", 0), ("7fffffff", 0x7FFFFFFF), ("ffffffff", 0xFFFFFFFF), ("7ffff000", 0x7FFFF000)):
        yield _is(f"headers/size-{name}.wav", "transcript", "", functools.partial(_wav, size=size))
    yield _is("headers/rf64-zero-ds64.wav", "transcript", "", _rf64)
    yield _is("headers/odd-chunks.wav", "transcript", "", lambda: _wav(before=_chunk(b"JUNK", bytes(70_000))))


def _tags() -> Iterator[_Recipe]:
    title = "会议录音".encode("gbk")
    tagged = _chunk(b"LIST", b"INFO" + _chunk(b"INAM", title))
    yield _is("tags/gbk.wav", "transcript", "", lambda: _wav(before=tagged))
    yield _is("tags/gbk.mp3", "transcript", "", lambda: _id3(b"TIT2", b"\0" + title) + _mp3())
    yield _is("tags/escape.mp3", "transcript", "", lambda: _id3(b"TIT2", b"\0\x1b[2J\n<6>forged") + _mp3())
    yield _is("tags/picture.mp3", "transcript", "", lambda: _id3(b"APIC", b"\0image/png\0\3\0" + _png()) + _mp3())
    yield _is("tags/large.mp3", "transcript", "", lambda: _id3(b"PRIV", bytes(3_000_000)) + _mp3())
    yield _is("tags/lying-size.mp3", "note", "damaged", lambda: b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + _mp3())


def _id3(frame: bytes, content: bytes) -> bytes:
    body = frame + struct.pack(">I", len(content)) + b"\0\0" + content
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


# --- whatever people record in (D10) -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Coding:
    name: str
    format: str
    codec: str
    rate: int = SAMPLE_RATE
    layout: str = "mono"
    bit_rate: int | None = None


_CODINGS = (
    _Coding("mulaw.wav", "wav", "pcm_mulaw", 8000),
    _Coding("alaw.wav", "wav", "pcm_alaw", 8000),
    _Coding("adpcm-ms.wav", "wav", "adpcm_ms", 8000),
    _Coding("adpcm-ima.wav", "wav", "adpcm_ima_wav"),
    _Coding("g722.wav", "wav", "adpcm_g722"),
    _Coding("8kHz.wav", "wav", "pcm_s16le", 8000),
    _Coding("u8.wav", "wav", "pcm_u8"),
    _Coding("float.wav", "wav", "pcm_f32le"),
    _Coding("96kHz-24bit.wav", "wav", "pcm_s24le", 96000, "stereo"),
    _Coding("six-channels.wav", "wav", "pcm_s16le", 48000, "5.1"),
    _Coding("stereo.flac", "flac", "flac", 44100, "stereo"),
    _Coding("long-header.w64", "w64", "pcm_s16le"),
    _Coding("adts.aac", "adts", "aac"),
    _Coding("latm.loas", "latm", "aac"),
    _Coding("voice.amr", "amr", "libopencore_amrnb", 8000),
    _Coding("voice.3gp", "3gp", "libopencore_amrnb", 8000),
    _Coding("vorbis.ogg", "ogg", "vorbis", 44100, "stereo"),
    _Coding("flac.ogg", "ogg", "flac"),
    _Coding("opus.opus", "ogg", "libopus", 48000),
    _Coding("voice.wma", "asf", "wmav2", 44100, "stereo", 64000),
    _Coding("voice.mkv", "matroska", "flac"),
    _Coding("voice.webm", "webm", "libopus", 48000),
    _Coding("voice.ts", "mpegts", "aac"),
    _Coding("voice.mpg", "mpeg", "mp2"),
    _Coding("voice.mp2", "mp2", "mp2"),
    _Coding("voice.avi", "avi", "libmp3lame"),
    _Coding("voice.flv", "flv", "aac"),
    _Coding("voice.mov", "mov", "pcm_s16be"),
    _Coding("voice.m4a", "ipod", "aac"),
    _Coding("alac.m4a", "ipod", "alac"),
    _Coding("voice.ac3", "ac3", "ac3", 48000),
    _Coding("voice.aiff", "aiff", "pcm_s16be"),
    _Coding("voice.au", "au", "pcm_mulaw", 8000),
    _Coding("voice.caf", "caf", "pcm_s16le"),
    _Coding("voice.mp3", "mp3", "libmp3lame", 44100, "stereo"),
    _Coding("8kHz.mp3", "mp3", "libmp3lame", 8000),
)


def _codecs() -> Iterator[_Recipe]:
    for coding in _CODINGS:
        if coding.codec in av.codecs_available:
            yield _is(f"codecs/{coding.name}", "transcript", "", functools.partial(_coded, coding))
    yield _is("codecs/gsm.wav", "silence", "", lambda: _wav(bytes(65 * 50), rate=8000, bits=0, tag=0x31, align=65))
    yield _is("codecs/amr-by-hand.amr", "silence", "", lambda: b"#!AMR\n" + (b"\x04" + bytes(12)) * 100)
    yield _is("codecs/video.mp4", "transcript", "", lambda: _encoded(_voice(), "mp4", "aac", pictures=True))
    yield _is("codecs/video.mkv", "transcript", "", lambda: _encoded(_voice(), "matroska", "aac", pictures=True))
    yield _is("codecs/joined.mp3", "transcript", "", lambda: _mp3() + _mp3())  # the second one's tags in the middle
    yield _is("codecs/two-rates.mp3", "transcript", "", lambda: _mp3() + _without_tags(_other_mp3()))
    yield _is(PAUSED, "partial", "", _paused)  # a hole that is meant looks like one that is not
    yield _is("codecs/chained.ogg", "transcript", "", lambda: _LONG["opus.ogg"]() + _LONG["opus.ogg"]())
    yield _is("codecs/loud.wav", "transcript", "", lambda: _wav(_pcm(np.clip(_voice() * 20, -1, 1))))
    yield _is("codecs/32-channels.wav", "transcript", "", lambda: _wav(_on_channels(32), channels=32))
    yield _is("codecs/4th-of-8.wav", "transcript", "", lambda: _wav(_on_channels(8, 3), channels=8))
    yield _is("codecs/left-only.wav", "transcript", "", lambda: _wav(_one_side(), channels=2))
    yield _is("codecs/opposed.wav", "transcript", "", lambda: _wav(_opposed(), channels=2))
    yield _is("codecs/not-numbers.wav", "transcript", "", lambda: _wav(_not_numbers(), bits=32, tag=3))


def _coded(coding: _Coding) -> bytes:
    return _encoded(_voice(), coding.format, coding.codec, coding.rate, coding.layout, coding.bit_rate)


def _without_tags(mp3: bytes) -> bytes:
    return mp3[mp3.index(b"\xff\xfb") :]


def _other_mp3() -> bytes:
    return _encoded(_voice(), "mp3", "libmp3lame", 44100, "stereo")


def _paused() -> bytes:
    """A conference server's recording: while nobody speaks, nothing is sent, and only the time stamps go on."""
    buffer, voice = io.BytesIO(), audio_frame(_voice(), SAMPLE_RATE)
    with av.open(buffer, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = cast(av.AudioStream, container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono"))
        for start in (0, PAUSE_STOP):
            voice.pts = round(start * SAMPLE_RATE)
            container.mux(stream.encode(voice))
    return buffer.getvalue()


def _on_channels(count: int, only: int | None = None) -> bytes:
    """A recorder with a microphone on every channel; the speaker near all of them, or near one only."""
    samples = np.zeros((len(_voice()), count), np.int16)
    samples[:, slice(None) if only is None else only] = _samples16(_voice()).reshape(-1, *([1] if only is None else []))
    return samples.tobytes()


def _one_side() -> bytes:
    """One microphone of two was on."""
    return np.stack((_samples16(_voice()), np.zeros(len(_voice()), np.int16)), 1).tobytes()


def _opposed() -> bytes:
    """A cable was wired the wrong way round: both channels added give silence."""
    return np.stack((_samples16(_voice()), -_samples16(_voice())), 1).tobytes()


def _not_numbers() -> bytes:
    samples = _voice().copy()
    samples[100:200], samples[300:400] = np.nan, np.inf
    return samples.astype("<f4").tobytes()


# --- no audio at all (D9) ---------------------------------------------------------------------------------


def _not_audio() -> Iterator[_Recipe]:
    yield _is("other/empty.wav", "note", "empty", bytes)
    yield _is("other/one-zero.wav", "note", "zeros", lambda: b"\0")
    yield _is("other/one-letter.wav", "note", "text", lambda: b"R")
    yield _is("other/zeros.wav", "note", "zeros", lambda: bytes(1_000_000))
    yield _is("other/random.wav", "note", "damaged", lambda: _noise_bytes(100_000))
    yield _is("other/random.mp3", "note", "damaged", lambda: _noise_bytes(1000))
    yield _is("other/text.wav", "note", "text", lambda: b"hello world\n" * 100)
    yield _is("other/chinese.wav", "note", "text", lambda: "会议录音，请转写。\n".encode() * 100)
    yield _is("other/gbk.wav", "note", "text", lambda: "会议录音，请转写。\n".encode("gbk") * 100)
    yield _is("other/404.mp3", "note", "document", lambda: b"\n<!DOCTYPE html><html>404 not found</html>\n")
    yield _is("other/paper.wav", "note", "document", lambda: b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n")
    yield _is("other/sheet.wav", "note", "document", _zip)
    yield _is("other/photo.wav", "note", "picture", functools.partial(_picture, "mjpeg", "yuvj420p"))
    yield _is("other/photo.jpg", "note", "picture", functools.partial(_picture, "mjpeg", "yuvj420p"))
    yield _is("other/drawing.mp3", "note", "picture", lambda: _png())
    yield _is("other/program.wav", "note", "damaged", lambda: b"\x7fELF\2\1\1" + bytes(9) + _noise_bytes(5000))
    yield _is("other/archive.wav", "note", "archive", lambda: b"\x1f\x8b\x08\0" + _noise_bytes(5000))
    yield _is("other/mute-video.mp4", "note", "no audio track", lambda: _encoded(None, "mp4", None, pictures=True))
    yield _is("other/mute-video.mkv", "note", "no audio track", lambda: _encoded(None, "matroska", None, pictures=True))
    yield _is("other/one-sample.wav", "note", "only 0.00 s", lambda: _wav(b"\1\0"))
    yield _is("other/50ms.wav", "note", "only 0.05 s", lambda: _wav(_pcm(_voice()[8000:8800])))
    yield _is("other/50ms.mp3", "note", "only 0.", lambda: _encoded(_voice()[8000:8800], "mp3", "libmp3lame"))


def _without_speech() -> Iterator[_Recipe]:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(1).normal(0, 0.05, len(time)).astype(np.float32)
    clicks = (np.arange(len(time)) % 4000 == 0).astype(np.float32) * 0.8
    sounds = {
        "digital": np.zeros(len(time), np.float32),
        "150ms": np.zeros(2400, np.float32),
        "noise": noise,
        "loud-noise": np.clip(noise * 8, -1, 1),
        "tone": (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32),
        "hum": (0.3 * np.sin(2 * np.pi * 50 * time)).astype(np.float32),
        "beeps": (0.3 * np.sin(2 * np.pi * 1000 * time) * (time % 0.5 < 0.2)).astype(np.float32),
        "clicks": clicks,
        "full-scale": np.sign(np.sin(2 * np.pi * 100 * time)).astype(np.float32),
        "constant": np.full(len(time), 0.5, np.float32),
    }
    cadences = {
        "us": (440, 480, 2, 4),
        "europe": (425, 425, 1, 4),
        "uk": (400, 450, 0.4, 0.2),
    }  # hertz; seconds on, off
    sounds |= {f"ringing-{country}": ringing(*cadence) for country, cadence in cadences.items()}
    for name, samples in sounds.items():
        yield _is(f"no speech/{name}.wav", "silence", "", functools.partial(_wav, _pcm(samples)))


def ringing(one: float, other: float, on: float, off: float) -> np.ndarray:
    """What a caller hears while nobody answers, for 20 s: two tones in hertz, for so many seconds on and off."""
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.15 * (np.sin(2 * np.pi * one * time) + np.sin(2 * np.pi * other * time))
    return (tone * (time % (on + off) < on)).astype(np.float32)


def _extensions() -> Iterator[_Recipe]:
    for name in ("speech.txt", "speech.jpg", "speech", "speech.exe", "speech.html", "speech.m3u8", "speech.json"):
        yield _is(f"extensions/{name}", "transcript", "", _wav)
    yield _is("extensions/mp3.wav", "transcript", "", lambda: _mp3())
    yield _is("extensions/wav.mp3", "transcript", "", _wav)


# --- names (O9, O10, O11, C9) -----------------------------------------------------------------------------

_STRANGE = (
    "new\nline.wav",
    "return\r\tcolumn.wav",
    "escape\x1b[2J\x1b]0;owned\x07.wav",
    "bell\x07delete\x7f.wav",
    "inv\u202egpj.wav",
    "isolate\u2066\u200b\u200d\ufeff.wav",
    "line\u2028separator.wav",
    "-rf.wav",
    "--config=x.wav",
    "a..wav",
    "quote'\"`.wav",
    "$(touch x).wav",
    "`touch x`.wav",
    "; touch x;.wav",
    "%s%n%x{0}.wav",
    "back\\slash\\n.wav",
    "<b>&amp;.wav",
    " spaces at both ends ",
    "emoji 🎙️👩‍🎤.wav",
    "e\u0301.wav",
    "\u00e9.wav",
    "A.wav",
    "a.wav",
    "CON.wav",
    "a:b|c?*.wav",
    "'; DROP TABLE jobs;--.wav",
    "http:__127.0.0.1_x.wav",
    "*.wav",
    "[a-z].wav",
    os.fsdecode(b"\xc4\xe3\xba\xc3.wav"),
    os.fsdecode(b"half \xe5\xbd.wav"),
    os.fsdecode("latin-é.wav".encode("latin-1")),
)
_LONGEST = (
    "x" * 251 + ".wav",
    "x" * 250 + "y.wav",
    "录" * 83 + "aa.wav",
    "录" * 85,
    "🎙" * 62 + ".wav",
    "z" * 245 + ".wav",
)


def _names() -> Iterator[_Recipe]:
    for name in _STRANGE:
        yield _is(f"names/{name}", "transcript", "", _wav)
        yield _is(f"bad names/{name}", "note", "text", lambda: b"this is no recording\n")
    for name in _LONGEST:
        yield _is(f"names/{name}", "transcript", "", _wav)
        yield _is(f"bad names/{name}", "note", "text", lambda: b"this is no recording\n")
    yield _is("names/new\nfolder/-x/a.wav", "transcript", "", _wav)
    yield _is("names/clash.wav", "note", "text", lambda: b"this is no recording\n")
    yield _is("names/clash.wav.error", "transcript", "", _wav)
    yield _is("names/same.wav", "transcript", "", _wav)
    yield _is("names/same.mp3", "transcript", "", _mp3)
    yield _is("names/same.wav.json", "transcript", "", _wav)


def _ignored_names() -> Iterator[_Recipe]:
    for name in IGNORED_NAMES:
        yield _is(f"litter/{name}", "ignored", "", _wav)


def _wanted_names() -> Iterator[_Recipe]:
    for name in WANTED_NAMES:
        yield _is(f"no litter/{name}", "transcript", "", _wav)


# --- what is no plain file (O12) --------------------------------------------------------------------------


def _no_regular_files() -> Iterator[_Recipe]:
    yield _special("link.wav", "ignored", lambda path, around: path.symlink_to(around.outside / "secret.wav"))
    yield _special("link-beside.wav", "ignored", lambda path, _: path.symlink_to("../playlists/beside.wav"))
    yield _special("linked-folder", "ignored", lambda path, around: path.symlink_to(around.outside))
    yield _special("dangling.wav", "ignored", lambda path, _: path.symlink_to("nowhere.wav"))
    yield _special("loop.wav", "ignored", lambda path, _: path.symlink_to("loop.wav"))
    yield _special("loop", "ignored", lambda path, _: path.symlink_to("."))
    yield _special("fifo.wav", "ignored", lambda path, _: os.mkfifo(path))
    yield _special("socket.wav", "ignored", lambda path, _: _socket(path))
    yield _special("device.wav", "ignored", lambda path, _: _device(path))
    yield _special("folder.wav", "ignored", lambda path, _: path.mkdir())
    yield _is("special/full-folder.wav/inner.wav", "transcript", "", _wav)
    yield _special("hard-link.wav", "transcript", _hard_link)
    yield _special("huge.wav", "note", "larger than", _huge)
    yield _is("special/" + "deep/" * 20 + "inner.wav", "transcript", "", _wav)


def _special(name: str, outcome: Outcome, *rest: str | Make) -> _Recipe:
    *fragment, make = rest
    return _Recipe(Case(f"special/{name}", outcome, *cast(list[str], fragment)), cast(Make, make))


def _socket(path: Path) -> None:
    """Bound through a descriptor: a socket's address has room for 108 bytes only."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _device(path: Path) -> None:
    """/dev/zero by another name, where we may make one."""
    with contextlib.suppress(PermissionError):
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def _hard_link(path: Path, around: Around) -> None:
    other = around.outside.parent / "own.wav"
    other.write_bytes(_wav())
    os.link(other, path)


def _huge(path: Path, _: Around) -> None:
    """A terabyte by its size, nothing on the disk."""
    path.write_bytes(_wav())
    os.truncate(path, HUGE_BYTES)


# --- sounds and containers ----------------------------------------------------------------------------------


@functools.cache
def _recording(text: str) -> np.ndarray:
    return np.concatenate([silence(0.4), say(text), silence(0.4)])


def _voice() -> np.ndarray:
    return _recording(SPOKEN)


@functools.cache
def _long_voice() -> np.ndarray:
    """Said four times over, so that half of it is still something."""
    return np.concatenate([_voice()] * 4)


def _samples16(samples: np.ndarray) -> np.ndarray:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2")


def _pcm(samples: np.ndarray) -> bytes:
    return _samples16(samples).tobytes()


def _wav(
    pcm: bytes | None = None,
    *,
    rate: int = SAMPLE_RATE,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    align: int | None = None,
    size: int | None = None,
    before: bytes = b"",
) -> bytes:
    """A WAV file as written by hand: any number may be absurd. `before` are chunks before the samples."""
    pcm = _pcm(_voice()) if pcm is None else pcm
    align = channels * bits // 8 if align is None else align
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    size = len(pcm) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + before + b"data" + struct.pack("<I", size) + pcm
    return b"RIFF" + struct.pack("<I", min(0xFFFFFFFF, size + len(body) - len(pcm))) + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def _rf64() -> bytes:
    """What a recorder leaves that died before it wrote the sizes."""
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 0, 0, 0, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + _wav(size=0xFFFFFFFF)[12:]


@functools.cache
def _mp3() -> bytes:
    return _encoded(_voice(), "mp3", "libmp3lame")


def _encoded(
    samples: np.ndarray | None,
    format: str,
    codec: str | None,
    rate: int = SAMPLE_RATE,
    layout: str = "mono",
    bit_rate: int | None = None,
    *,
    pictures: bool = False,
) -> bytes:
    """Mono samples in any container and codec, with a moving picture if wanted."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format, options={"fflags": "+bitexact"}) as container:
        video = _video_stream(container) if pictures else None
        if codec:
            audio = cast(av.AudioStream, container.add_stream(codec, rate=rate, layout=layout))
            audio.codec_context.options = {"flags": "+bitexact", "strict": "experimental"}
            if bit_rate:
                audio.bit_rate = bit_rate
        if video:
            for shade in range(5):
                picture = np.full((32, 32, 3), 50 * shade, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(video.encode(None))
        if codec and samples is not None:
            container.mux(audio.encode(audio_frame(np.clip(samples, -1, 1), SAMPLE_RATE)))
            container.mux(audio.encode(None))
    return buffer.getvalue()


def _video_stream(container: av.container.OutputContainer) -> av.VideoStream:
    stream = cast(av.VideoStream, container.add_stream("mpeg4", rate=5))
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    return stream


def _picture(codec: str, pixels: str) -> bytes:
    encoder = cast(av.VideoCodecContext, av.CodecContext.create(codec, "w"))
    encoder.width = encoder.height = 64
    encoder.pix_fmt, encoder.time_base = pixels, av.time_base and 1
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _png() -> bytes:
    return _picture("png", "rgb24")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("talk.wav"), _wav())
    return buffer.getvalue()


def _index_first(m4a: bytes) -> bytes:
    """As players on the web want it: the index before the sound, and its offsets moved accordingly."""
    moov = m4a.rindex(b"moov") - 4
    before, sound, index = m4a[: m4a.index(b"mdat") - 4], m4a[m4a.index(b"mdat") - 4 : moov], bytearray(m4a[moov:])
    table = index.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", index, table)
    for place in range(table + 4, table + 4 + 4 * count, 4):
        struct.pack_into(">I", index, place, struct.unpack_from(">I", index, place)[0] + len(index))
    return before + bytes(index) + sound


def _kept(*arguments: object, **keywords: object) -> Callable[[], bytes]:
    return functools.cache(lambda: _encoded(_long_voice(), *arguments, **keywords))  # type: ignore[arg-type]


_LONG: dict[str, Callable[[], bytes]] = {
    "talk.wav": lambda: _wav(_pcm(_long_voice())),
    "talk.flac": _kept("flac", "flac"),
    "cbr.mp3": _kept("mp3", "libmp3lame"),
    "opus.ogg": _kept("ogg", "libopus", 48000),
    "aac.aac": _kept("adts", "aac"),
    "flac.mkv": _kept("matroska", "flac"),
    "faststart.m4a": lambda: _index_first(_LONG["moov-last.m4a"]()),
    "moov-last.m4a": _kept("ipod", "aac"),
}
"""About a quarter of a minute each."""
