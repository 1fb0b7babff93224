"""Recognize segments with SenseVoiceSmall: text, word times, language, emotion, audio events.

The encoder, tokenizer and weights are FunASR's; batching and decoding are ours: FunASR decodes one item at a time and
drops or shifts results.  Knows samples and options; nothing of files, jobs or devices other than its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from transcribed.core.frames import HOP
from transcribed.core.text import UNSPACED
from transcribed.core.types import SAMPLE_RATE, Hypothesis, Options, Word
from transcribed.recognition.models.encoder import Encoder
from transcribed.recognition.models.frontend import Frontend, Samples
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.precision import Precision, dtype_for, name_of

QUERIES = 4  # language, emotion, event, itn: one frame each before the audio, one tag each in the answer
SECONDS_PER_FRAME = 6 * HOP / SAMPLE_RATE  # low frame rate
_SPACE = "▁"  # SentencePiece's mark for a space before a piece
_TAG = re.compile(r"<\|([^|]*)\|>")
_STANDS_ALONE = re.compile(f"[{UNSPACED}]")  # a character of such a script is a word
_UNMARKED = {"EMO_UNKNOWN", "NEUTRAL", "Speech", "Event_UNK", "nospeech", "withitn", "woitn"}


@dataclass(frozen=True, slots=True)
class _Token:
    id: int
    first: int  # frame, counted without the queries
    last: int
    confidence: float


class SenseVoice:
    """A SenseVoiceSmall model.  Not thread-safe, like every FunASR model: one per process, one call at a time."""

    dtype: str  # "fp32", "bf16" or "fp16": the type of its matrix products
    word_lag_seconds = 0.45  # the peaks of CTC may lie at the end of a word

    def __init__(self, directory: Path, device: str, threads: int, dtype: Precision = "auto") -> None:
        model, kwargs = load(directory, device, threads)
        self._tokenizer = kwargs["tokenizer"]
        self._pieces = _pieces(self._tokenizer.sp)
        self._device = torch.device(kwargs["device"])
        self._frontend = Frontend(kwargs["frontend"], self._device)
        self._embed, self._blank = model.embed, model.blank_id
        self._languages, self._norms = model.lid_dict, model.textnorm_dict
        chosen = dtype_for(dtype, self._device)
        self._encoder, self.dtype = Encoder(model, chosen), name_of(chosen)

    @torch.inference_mode()
    def recognize(self, samples: Sequence[Samples], options: Options) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order.  Segments are int16 mono at 16 kHz."""
        features, lengths = self._frontend(samples)
        frames = torch.cat((self._queries(options, len(samples)), features), 1)
        counts = [QUERIES + n for n in lengths]
        ids, scores = self._encoder(frames, counts).cpu().numpy()
        rows = zip(ids.astype(np.int64), scores, counts, samples, strict=True)
        return [self._hypothesis(ids[:n], scores[:n], len(x) / SAMPLE_RATE) for ids, scores, n, x in rows]

    def _queries(self, options: Options, rows: int) -> Tensor:
        language = self._languages.get(options.language, 0)
        itn = self._norms["withitn" if options.itn else "woitn"]
        ids = torch.tensor([language, 1, 2, itn], device=self._device)  # 1 and 2 ask for emotion and event
        queries: Tensor = self._embed(ids)
        return queries.expand(rows, -1, -1)

    def _hypothesis(self, ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], seconds: float) -> Hypothesis:
        if not np.isfinite(scores).all():
            raise FloatingPointError("the model returned numbers that are not finite")
        tags = self._tokenizer.decode([int(i) for i in ids[:QUERIES]])
        tokens = collapse(ids[QUERIES:], scores[QUERIES:], blank=self._blank)
        spoken = [t for t in tokens if self._pieces[t.id] is not None]
        text, raw = (self._tokenizer.decode([t.id for t in part]) if part else "" for part in (spoken, tokens))
        language, emotion, events = parse_tags(tags)
        confidence = _mean([t.confidence for t in tokens]) if tokens else None
        words = words_of([(self._pieces[t.id] or "", t) for t in spoken], seconds)
        return Hypothesis(text.strip(), words, language, emotion, events, confidence, raw=f"{tags}{raw}")


def _pieces(sp: Any) -> list[str | None]:
    """Return the text of every token by its number; None for those that nobody says: tags, `<s>`, `</s>`, `<unk>`."""
    return [None if _is_unsaid(sp, id) else str(sp.IdToPiece(id)) for id in range(sp.GetPieceSize())]


def _is_unsaid(sp: Any, id: int) -> bool:
    return bool(sp.IsControl(id) or sp.IsUnknown(id) or sp.IsUnused(id) or _TAG.fullmatch(sp.IdToPiece(id)))


def collapse(ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], blank: int) -> list[_Token]:
    """Decode CTC output greedily (Graves et al. 2006, section 3.2): runs of one token become one, blanks vanish.

    A token's confidence is the highest posterior within its run.
    """
    if not len(ids):
        return []
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
    stops = np.append(starts[1:], len(ids))
    peaks = np.maximum.reduceat(scores, starts)
    said = ids[starts] != blank
    runs = (array[said].tolist() for array in (ids[starts], starts, stops - 1, peaks))
    return [_Token(*run) for run in zip(*runs, strict=True)]


def parse_tags(tags: str) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Parse `<|en|><|HAPPY|><|Laughter|><|woitn|>` to language, emotion, events; tags without meaning are left out.

    The fixed vocabulary is FunASR's (utils/postprocess_utils.py).
    """
    language, emotion, event, *_ = [*_TAG.findall(tags), "", "", ""]
    return language or None, _marked(emotion), tuple(e for e in [_marked(event)] if e)


def _marked(tag: str) -> str | None:
    return None if not tag or tag in _UNMARKED else tag.lower()


def words_of(pieces: Sequence[tuple[str, _Token]], seconds: float) -> tuple[Word, ...]:
    """Join SentencePiece pieces into words, with times from the CTC peaks.

    A word begins where its first peak does and ends where the next word begins, or one frame after its last peak if a
    pause follows.
    """
    groups: list[list[tuple[str, _Token]]] = []
    for piece, token in pieces:
        if not groups or _begins_word(piece, groups[-1][-1][0]):
            groups.append([])
        groups[-1].append((piece, token))
    starts = [min(seconds, group[0][1].first * SECONDS_PER_FRAME) for group in groups] + [seconds]
    words = (_word(group, starts[i], starts[i + 1]) for i, group in enumerate(groups))
    return tuple(word for word in words if word.text)


def _word(group: Sequence[tuple[str, _Token]], start: float, following: float) -> Word:
    stop = min(following, max(start, (group[-1][1].last + 2) * SECONDS_PER_FRAME))
    confidence = _mean([token.confidence for _, token in group])
    text = "".join([piece for piece, _ in group]).replace(_SPACE, "")
    return Word(text, round(start, 3), round(stop, 3), round(confidence, 4))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)  # for a few values, NumPy takes twenty times as long


def _begins_word(piece: str, previous: str) -> bool:
    """Return whether a piece begins a word.

    Latin and Hangul words begin at a marked space; Han and kana characters are words themselves; marks never are.
    """
    bare = piece.removeprefix(_SPACE)
    if bare and not bare.isalnum() and not any(c.isalnum() for c in bare):
        return False
    return piece.startswith(_SPACE) or any(_STANDS_ALONE.match(c) for c in (bare[:1], previous[-1:]))
