"""Parser of hotword files: text with one entry per line -> hotwords and corrections.  Pure.

    # names in the company; this line is a comment
    张三丰
    阿里巴巴 20          FunASR's form, with a weight of 1 to 100, which is ignored
    夏为 => 华为          frequent misrecognition => intended word; -> and → work too

Anyone with write access to a share can write such a file, and FunASR treats some text as more than words: it fetches
what begins with `http` and opens what ends in `.txt` (seaco_paraformer/model.py, auto/auto_model.py of 1.4.16).
Entries that look like an address or a path are therefore refused.  Knows no folder, model or language.
"""

from __future__ import annotations

import re
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transcribed.core.text import printable

MAX_ENTRIES = 1000  # FunASR's own advice for its models; each entry also costs memory and time in every batch
MAX_CHARACTERS = 60  # per word: FunASR advises 10; anything longer is a sentence, which no model takes for one word
MAX_BYTES = 2**20  # per file: room for twice 1,000 corrections of the longest words
MAX_LINE = 1000  # characters; normalizing a hostile line takes time quadratic in its length
MAX_FAULTS_TOLD = 20

_ARROW = re.compile("=>|->|→")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)
_WEIGHTS = frozenset(str(n) for n in range(1, 101))
_ADDRESS = re.compile(r"http|(?i:https?:|[a-z][a-z0-9+.-]*://)")
_FILE_SUFFIXES = (".txt", ".jsonl", ".json", ".scp", ".text")  # FunASR reads these as lists of further words

Corrections = tuple[tuple[str, str], ...]


def decode(data: bytes) -> str:
    """Decode a file: UTF-8, UTF-16 with a byte order mark, or GB18030, as Notepad writes on Chinese Windows.

    Western text in a legacy code page may come out as Han characters: the bytes do not tell them apart.  Raise
    ValueError, with a sentence, for data that is not text.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    encodings = ("utf-16",) if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ValueError("the file is not text; save it as UTF-8")


@dataclass(frozen=True, slots=True)
class HotwordList:
    """The valid entries of a list, in order, without duplicates, in NFC; and a sentence for each of the others."""

    hotwords: tuple[str, ...] = ()
    corrections: Corrections = ()  # misrecognized, intended
    faults: tuple[str, ...] = ()


def read(data: bytes) -> HotwordList:
    """Return the valid entries of a file: who shares it with others must not be stopped by their mistakes."""
    try:
        return scan(decode(data).splitlines())
    except ValueError as error:
        return HotwordList(faults=(str(error),))


def parse(lines: Iterable[str]) -> tuple[tuple[str, ...], Corrections]:
    """Return hotwords and corrections.  Raise ValueError with all faults at once, a line each."""
    found = scan(lines)
    if found.faults:
        raise ValueError("\n".join(first_of(found.faults)))
    return found.hotwords, found.corrections


def scan(lines: Iterable[str]) -> HotwordList:
    """Sort the entries of a list into hotwords, corrections and faults, these with the line number of the entry."""
    hotwords: dict[str, None] = {}
    corrections: dict[str, tuple[str, str]] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        entry = _entry(line)
        if not entry:
            continue
        heard, *meant = (part.strip() for part in _ARROW.split(entry))
        hotword = "" if meant else _without_weight(entry)
        if len(entry) > MAX_LINE:
            found = [f"the line is longer than {MAX_LINE} characters"]
        elif meant:
            found = _faults_of_correction(heard, meant, corrections)
        else:
            found = _faults_of_word(hotword)
        faults += (f"line {number}: {fault}" for fault in found)
        if not found and meant:
            corrections.setdefault(heard.casefold(), (heard, meant[0]))
        elif not found:
            hotwords[hotword] = None
    if (entries := len(hotwords) + len(corrections)) > MAX_ENTRIES:
        faults.append(f"the list has {entries} entries; at most {MAX_ENTRIES} are allowed")
    first = tuple(hotwords)[:MAX_ENTRIES]
    return HotwordList(first, tuple(corrections.values())[: MAX_ENTRIES - len(first)], tuple(faults))


def _entry(line: str) -> str:
    text = _COMMENT.sub("", line.removeprefix("\ufeff")).strip()
    return unicodedata.normalize("NFC", text) if len(text) <= MAX_LINE else text


def _without_weight(entry: str) -> str:
    word, *last = entry.rsplit(maxsplit=1)
    return word if last and last[0] in _WEIGHTS else entry


def _faults_of_correction(heard: str, meant: list[str], others: dict[str, tuple[str, str]]) -> list[str]:
    if len(meant) > 1:
        return ["the line has more than one arrow; write one correction per line"]
    if not heard or not meant[0]:
        return ["one side of the arrow is empty; write: wrong => right"]
    if heard == meant[0]:
        return [f"{_shown(heard)} would be replaced by itself"]
    other = others.get(heard.casefold(), (heard, meant[0]))[1]
    if other != meant[0]:
        return [f"{_shown(heard)} already has a correction, {_shown(other)}"]
    return _faults_of_word(heard) + _faults_of_text(meant[0])


def _faults_of_word(word: str) -> list[str]:
    if not any(c.isalnum() for c in word):
        return [f"{_shown(word)} contains no letter or digit"]
    return _faults_of_text(word)


def _faults_of_text(text: str) -> list[str]:
    if len(text) > MAX_CHARACTERS:
        return [f"{_shown(text)} is longer than {MAX_CHARACTERS} characters"]
    if not text.isprintable():
        return [f"{_shown(text)} contains an invisible character"]
    if _ADDRESS.match(text):
        return [f"{_shown(text)} looks like a web address"]
    if "/" in text or "\\" in text or text.casefold().endswith(_FILE_SUFFIXES):
        return [f"{_shown(text)} looks like a file name"]
    return []


def _shown(text: str) -> str:
    cut = text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS // 2]}..."
    return f'"{printable(cut)}"'


def first_of(faults: Sequence[str], count: int = MAX_FAULTS_TOLD) -> list[str]:
    """Return the first faults, and how many more there are."""
    more = len(faults) - count
    return [*faults] if more <= 0 else [*faults[:count], f"and {more} more"]
