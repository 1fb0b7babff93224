"""Where the recordings in a file begin and end, and what their headers should say."""

import io
import struct

import pytest

from transcribed.ingest.preparation.decoding.file_structure import parts_of
from transcribed.ingest.preparation.decoding.file_view import FileView

SOUND = bytes(range(1, 251)) * 40  # 10,000 bytes, none of them zero
W64_NAMES = {name: name + bytes.fromhex("f3acd3118cd100c04f8edb8a") for name in (b"wave", b"fmt ", b"data")}
W64_FILE = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


def chunk(name, content, size=None):
    return name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)


def wav(size=None, behind=b"", sound=SOUND, riff=b"RIFF", before=b""):
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
    body = b"WAVE" + before + form + chunk(b"data", sound, size) + behind
    return riff + struct.pack("<I", len(body)) + body


def rf64(size):
    return wav(0xFFFFFFFF, riff=b"RF64", before=b"ds64" + struct.pack("<IQQQI", 28, 0, size, 0, 0))


def aiff(size=None, behind=b""):
    common = b"COMM" + struct.pack(">IHIH", 18, 1, 5000, 16) + bytes.fromhex("400bfa00000000000000")
    sound = b"SSND" + struct.pack(">III", 8 + len(SOUND) if size is None else size, 0, 0) + SOUND
    return b"FORM" + struct.pack(">I", 4 + len(common + sound)) + b"AIFF" + common + sound + behind


def caf(size=None, behind=b""):
    form = b"desc" + struct.pack(">qd4sIIIII", 32, 8000.0, b"lpcm", 0, 2, 1, 1, 16)
    sound = b"data" + struct.pack(">qI", 4 + len(SOUND) if size is None else size, 0) + SOUND
    return b"caff\0\1\0\0" + form + sound + behind


def w64(size=None, behind=b""):
    form = W64_NAMES[b"fmt "] + struct.pack("<qHHIIHH", 40, 1, 1, 8000, 16000, 2, 16)
    sound = W64_NAMES[b"data"] + struct.pack("<q", 24 + len(SOUND) if size is None else size) + SOUND
    return W64_FILE + struct.pack("<q", 40 + len(form + sound)) + W64_NAMES[b"wave"] + form + sound + behind


def au(size=None, behind=b""):
    return b".snd" + struct.pack(">IIIII", 24, len(SOUND) if size is None else size, 3, 8000, 1) + SOUND + behind


def ogg_page(flags, content=b"x" * 100, serial=1):
    return b"OggS\0" + bytes([flags]) + struct.pack("<qIII", 0, serial, 0, 0) + bytes([1, len(content)]) + content


def link(serial=1):
    return ogg_page(2, serial=serial) + ogg_page(0, serial=serial) * 3 + ogg_page(4, serial=serial)


def box(name, content=b""):
    return struct.pack(">I4s", 8 + len(content), name) + content


MP4 = box(b"ftyp", b"M4A ") + box(b"moov", b"x" * 50) + box(b"mdat", SOUND)
MAKERS = {"wav": wav, "aiff": aiff, "caf": caf, "w64": w64, "au": au}
SIZES = {"wav": 0, "aiff": 8, "caf": 4, "w64": 24, "au": 0}  # what a size counts besides the sound


def parts(data):
    return parts_of(io.BytesIO(data), len(data))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_whole_file_is_one_part_as_it_is(make):
    (part,) = parts(make())
    assert (part.start, part.stop, part.corrections, part.told_share) == (0, len(make()), (), 1.0)


@pytest.mark.parametrize("format", MAKERS)
def test_a_file_that_is_cut_off_tells_how_long_it_was(format):
    whole = MAKERS[format]()
    (part,) = parts(whole[: len(whole) - 7500])
    assert part.told_share == pytest.approx(4.0, rel=0.01)
    assert part.corrections == ()


@pytest.mark.parametrize("size", [8, 1000, 5001])
@pytest.mark.parametrize("format", MAKERS)
def test_a_size_that_is_too_small_is_corrected(format, size):
    """It wrapped at 4 GiB, or was never written again: what is behind it is no chunk, but more sound."""
    data = MAKERS[format](size + SIZES[format])
    (part,) = parts(data)
    assert (part.start, part.stop) == (0, len(data))
    shown = FileView(io.BytesIO(data), part).read()
    assert shown == MAKERS[format]() or (format in ("wav", "au") and shown == MAKERS[format](0xFFFFFFFF))


@pytest.mark.parametrize("format", MAKERS)
@pytest.mark.parametrize("size", [0, "open"])
def test_a_size_that_was_never_known_is_corrected(format, size):
    data = MAKERS[format](size if size == 0 else -1 if format in ("caf", "w64") else 0xFFFFFFFF)
    (part,) = parts(data)
    assert (part.start, part.stop, part.told_share) == (0, len(data), 1.0)
    assert part.corrections


@pytest.mark.parametrize("size", [0, 100])
def test_the_long_size_of_an_rf64_is_corrected(size):
    (part,) = parts(rf64(size))
    assert FileView(io.BytesIO(rf64(size)), part).read() == rf64(len(SOUND))


@pytest.mark.parametrize(
    "behind",
    [
        chunk(b"LIST", b"INFOINAM"),
        chunk(b"LIST", b"odd") + chunk(b"iXML", b"<xml/>" * 100),
        chunk(b"LIST", b"cut off", 5000),
        b"TAG" + bytes(125),
        b"ID3\x03" + SOUND,
        b"\0" * 50_000,
        b"\0",
        b"short",
    ],
    ids=["list", "two", "cut", "id3v1", "id3v2", "zeros", "padding", "rest"],
)
def test_what_is_behind_the_sound_is_no_sound(behind):
    (part,) = parts(wav(behind=behind))
    assert part.corrections == ()
    assert part.told_share == 1.0


@pytest.mark.parametrize("format", MAKERS)
def test_joined_files_are_a_part_each(format):
    first, second = MAKERS[format](), MAKERS[format]()
    found = parts(first + second + first)
    assert [(part.start, part.stop) for part in found] == [
        (0, len(first)),
        (len(first), 2 * len(first)),
        (2 * len(first), 3 * len(first)),
    ]


def test_a_second_chunk_with_sound_is_read_with_the_first():
    data = wav(behind=chunk(b"data", SOUND))
    (part,) = parts(data)
    assert part.corrections


def test_joined_movies_are_a_part_each():
    assert [part.start for part in parts(MP4 + MP4)] == [0, len(MP4)]
    assert [part.start for part in parts(MP4[: len(MP4) // 2])] == [0]


def test_a_movie_in_fragments_is_one_part():
    fragments = box(b"ftyp") + box(b"moov", b"x" * 50) + (box(b"moof") + box(b"mdat", b"y" * 20)) * 5
    assert len(parts(fragments)) == 1


def test_each_link_of_a_chain_is_a_part():
    chain = link() + link(2) + link(1)
    assert [part.start for part in parts(chain)] == [0, len(link()), 2 * len(link())]


def test_streams_that_begin_together_are_one_link():
    both = ogg_page(2, serial=1) + ogg_page(2, serial=2) + ogg_page(0) * 3
    assert len(parts(both)) == 1


def test_a_chain_is_followed_past_damage():
    damaged = link() + b"noise" * 1000 + link(2)
    assert len(parts(damaged)) == 2


@pytest.mark.parametrize(
    "data", [b"", b"R", b"RIFF", b"RIFF\0\0\0\0WAVE", b"caff\0\1\0\0", b".snd", b"OggS", b"\0" * 99]
)
def test_what_has_no_structure_is_one_part(data):
    assert [(part.start, part.stop) for part in parts(data)] == [(0, len(data))]


def test_a_file_of_nothing_but_headers_has_a_bounded_number_of_parts():
    assert len(parts(wav(sound=b"") * 5000)) <= 1001
    assert len(parts(link() * 5000)) <= 1001
