"""Find the recordings in a file made of chunks, and put right what their headers say of the size of the sound.

FFmpeg believes a header: it stops where the sound should end, though the size may have wrapped at 4 GiB, or never have
been written by a recorder that crashed.  Knows the chunks of RIFF and RF64 (Microsoft, Multimedia Programming Interface
1.0; EBU Tech 3306), Wave64 (Sony), AIFF (Apple, 1989), CAF (Apple) and the header of AU (Sun); nothing of the sound.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from transcribed.ingest.preparation.decoding.file_view import Part, Readable, read_at

MAX_CHUNKS = 10_000
_UNKNOWN = 0x7FFFF000  # 32-bit sizes from here on, and 0, come from programs that did not know the length
_WHOLE_FIELD = 0xFFFFFFFF
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")  # which some programs put behind any file
_METADATA = (b"LIST", b"id3 ", b"bext", b"iXML", b"JUNK", b"cue ", b"axml", b"_PMX")  # may themselves be cut off
_BLANK_SAMPLES, _BLANK_BYTES = 64, 4096  # places where zeros are looked for, and how many
_FOUR_LETTERS = re.compile(rb"[A-Za-z\xa9_][ -~]{3}")
_WAVE64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # the end of every GUID but that of the file


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a format writes its chunks."""

    magic: re.Pattern[bytes]  # the beginning of a recording
    first: int  # offset of the first chunk
    header: str  # struct of a chunk's name and size
    sound: bytes  # name of the chunk with the sound
    name: re.Pattern[bytes] = _FOUR_LETTERS
    align: int = 2
    counts_header: bool = False  # the size of a chunk includes its header
    trusts_first_size: bool = False  # FFmpeg stops where the file ends by its first size, too

    @property
    def header_bytes(self) -> int:
        return struct.calcsize(self.header)

    @property
    def size_format(self) -> str:
        return self.header[0] + self.header[-1]


GRAMMARS = (
    Grammar(re.compile(rb"(RIFF|RF64|BW64)....WAVE", re.DOTALL), 12, "<4sI", b"data"),
    Grammar(re.compile(rb"FORM....AIF[FC]", re.DOTALL), 12, ">4sI", b"SSND", trusts_first_size=True),
    Grammar(re.compile(rb"caff\0"), 8, ">4sq", b"data", align=1),
    Grammar(
        re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"),
        40,
        "<16sq",
        b"data" + _WAVE64,
        name=re.compile(rb"[a-z ]{4}" + re.escape(_WAVE64)),
        align=8,
        counts_header=True,
    ),
)


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    start: int  # offset of its header
    body: int  # offset of its content
    size: int  # of its content, as the header tells

    @property
    def end(self) -> int:
        return self.body + self.size


def chunked_part(file: Readable, start: int, stop: int, grammar: Grammar) -> Part:
    """Return the recording that begins at `start`, in a file of `stop` bytes."""
    before = {}
    for chunk in _chunks(file, start + grammar.first, stop, grammar):
        before[chunk.name] = chunk
        if chunk.name == grammar.sound:
            return _part(file, start, stop, grammar, before)
    return Part(start, stop)


def au_part(file: Readable, start: int, stop: int) -> Part:
    """Return the recording that begins at `start` with the header of an AU file."""
    offset, size = struct.unpack(">II", read_at(file, start + 4, 8).ljust(8, b"\0"))
    end, there = start + offset + size, stop - start - offset
    if size in (0, _WHOLE_FIELD) or there <= 0:
        return Part(start, stop, ((start + 8, struct.pack(">I", _WHOLE_FIELD)),))
    if end > stop:
        return Part(start, stop, told_share=size / there)
    if read_at(file, end, 4) == b".snd":
        return Part(start, end)
    return Part(start, stop, () if _is_end(file, end, stop) else ((start + 8, struct.pack(">I", _WHOLE_FIELD)),))


def avi_part(file: Readable, start: int, stop: int) -> Part:
    """Return the recording that begins at `start`: an AVI and its extensions of 1 GiB each, RIFFs in a row."""
    end = start
    while (head := read_at(file, end, 12))[:4] == b"RIFF" and (end == start or head[8:] == b"AVIX"):
        size = int.from_bytes(head[4:8], "little")
        if not 0 < size < _UNKNOWN:
            return Part(start, stop)
        end += 8 + size + size % 2
    if end > stop + 1:
        return Part(start, stop, told_share=(end - start) / (stop - start))
    return Part(start, end if head[:4] == b"RIFF" else stop)


def _part(file: Readable, start: int, stop: int, grammar: Grammar, chunks: dict[bytes, _Chunk]) -> Part:
    sound, place, form = chunks[grammar.sound], chunks[grammar.sound].body, grammar.size_format
    size, field = sound.size, place - struct.calcsize(form)
    if b"ds64" in chunks and size == _WHOLE_FIELD:  # RF64: the sizes of 64 bits are in a chunk of their own
        field, form = chunks[b"ds64"].body + 8, "<Q"
        (size,) = struct.unpack(form, read_at(file, field, 8).ljust(8, b"\0"))
    unknown = size <= 0 or (form[1] == "I" and size >= _UNKNOWN)
    if not unknown and place + size > stop:
        return Part(start, stop, told_share=size / max(1, stop - place))
    if not unknown and (end := _end_of(file, place + size, stop, grammar)):
        return Part(start, end)
    most = 2 ** (8 * struct.calcsize(form) - (form[1] == "q")) - 1
    right = min(most, stop - place + (grammar.header_bytes if grammar.counts_header else 0))
    whole = ((start + 4, struct.pack(form, min(most, stop - start - 8))),) if grammar.trusts_first_size else ()
    return Part(start, stop, (*whole, (field, struct.pack(form, right))))


def _end_of(file: Readable, start: int, stop: int, grammar: Grammar) -> int | None:
    """Return where a recording ends whose sound ends at `start`; None if what is behind makes no sense there."""
    for at in dict.fromkeys((start + -start % grammar.align, start)):
        if grammar.magic.match(read_at(file, at, 64)):
            return at
        if _is_end(file, at, stop):
            return stop
        for chunk in _chunks(file, at, stop, grammar):
            if chunk.name == grammar.sound or (chunk.end > stop and chunk.name not in _METADATA):
                break
            behind = chunk.end + -chunk.end % grammar.align
            if grammar.magic.match(read_at(file, behind, 64)):
                return behind
            if _is_end(file, behind, stop):
                return stop
    return None


def _chunks(file: Readable, start: int, stop: int, grammar: Grammar) -> Iterator[_Chunk]:
    """Yield the chunks from `start` on while their names are names; the last may be longer than the file."""
    length = grammar.header_bytes
    for _ in range(MAX_CHUNKS):
        head = read_at(file, start, length)
        if len(head) < length or start + length > stop or not grammar.name.match(head):
            return
        name, size = struct.unpack(grammar.header, head)
        chunk = _Chunk(name, start, start + length, size - length if grammar.counts_header else size)
        yield chunk
        if chunk.size < 0:
            return
        start = chunk.end + -chunk.end % grammar.align


def _is_end(file: Readable, start: int, stop: int) -> bool:
    """Return whether nothing of a recording lies behind: too little, a tag, or zeros."""
    if stop - start < 8 or read_at(file, start, 8).startswith(_TAGS):
        return True
    step = max(_BLANK_BYTES, (stop - start) // _BLANK_SAMPLES)
    return not any(any(read_at(file, at, _BLANK_BYTES)) for at in range(start, stop, step))
