"""Punctuate text that has no marks, with CT-Transformer (FunASR's ct-punc); change nothing else.

A mark is predicted for every token, a Han character or a Latin word, from all tokens around it (Chen et al. 2020, arXiv
2003.01309).  Network and tokens are FunASR's; all texts of a batch go through it at once.  Knows hypotheses; nothing of
audio.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from transcribed.core.text import spans_of
from transcribed.core.types import Hypothesis, Word
from transcribed.recognition.model_files import EVERY_MODELS_FILES
from transcribed.recognition.models.encoder import without_plans
from transcribed.recognition.models.loading import load

WINDOW = 200  # tokens processed together; FunASR's inference goes no further without the end of a sentence
_ENDS = "。？！"  # of sentences
_MARKS = re.compile(r"[，。？！、；：…,.?!;:]")
_TOKEN = re.compile(r"[!-~]+|[^\s!-~]")  # a run of ASCII, or any other character
_ASCII = str.maketrans("，。？！；：", ",.?!;:")
_WIDE = str.maketrans(",.?!;:", "，。？！；：")

Marks = list[tuple[int, str]]
"""The marks of a text, each with its place."""


class Punctuation:
    """A punctuation model.  Not thread-safe, like every FunASR model: one per process, one call at a time."""

    def __init__(self, directory: Path, device: str, threads: int) -> None:
        model, kwargs = load(directory, device, threads, needed=EVERY_MODELS_FILES)
        self._model, self._device = model, torch.device(kwargs["device"])
        self._cut = _cutter(model.jieba_usr_dict)
        tokenizer = kwargs["tokenizer"]
        self._numbers: dict[str, int] = tokenizer.token2id
        self._unknown: int = tokenizer.unk_id
        self._marks = [str(mark).translate(_WIDE) if _MARKS.fullmatch(mark) else "" for mark in model.punc_list]

    def punctuate(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return the hypotheses with marks in their texts and after their words.

        A text that already has marks, or in which they cannot be placed without other changes, stays unchanged.
        """
        texts = {h.text for h in hypotheses if h.text and not _MARKS.search(h.text)}
        spans = {text: found for text in sorted(texts) if (found := spans_of(text, self._cut(text)))}
        marks = self._decide([[text[a:b] for a, b in found] for text, found in spans.items()])
        placed = {text: _placed(text, spans[text], row) for text, row in zip(spans, marks, strict=True)}
        return [marked(h, placed[h.text]) if h.text in placed else h for h in hypotheses]

    def _decide(self, rows: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the mark after each token, or ""; the end of a row is the end of a sentence."""
        marks: list[list[str]] = [[] for _ in rows]
        while open_rows := [n for n, row in enumerate(rows) if len(marks[n]) < len(row)]:
            windows = [rows[n][len(marks[n]) : len(marks[n]) + WINDOW] for n in open_rows]
            for n, found in zip(open_rows, self._forward(windows), strict=True):
                rest = len(rows[n]) - len(marks[n]) - len(found)
                marks[n] += settled(found) if rest else [*found[:-1], ended(found[-1])]
        return marks

    @torch.inference_mode()
    def _forward(self, windows: Sequence[Sequence[str]]) -> list[list[str]]:
        numbers = [torch.tensor([self._number(token) for token in window]) for window in windows]
        lengths = [len(window) for window in windows]
        padded = pad_sequence(numbers, batch_first=True).to(self._device)
        with without_plans():
            odds: Tensor = self._model.punc_forward(padded, torch.tensor(lengths, device=self._device))[0]
        if not torch.isfinite(odds).all():
            raise FloatingPointError("the model returned numbers that are not finite")
        best = odds.argmax(-1).tolist()
        return [[self._marks[i] for i in row[:n]] for row, n in zip(best, lengths, strict=True)]

    def _number(self, token: str) -> int:
        numbers = self._numbers
        return numbers.get(token, numbers.get(token.lower(), self._unknown))


def settled(marks: list[str]) -> list[str]:
    """Return the reliable marks of a window with more text after it: up to its last end of a sentence, else its last
    mark, else all of it.

    The mark after its last token is unreliable without the following text.
    """
    sure = marks[:-1]
    ends = [n for n, mark in enumerate(sure) if mark and mark in _ENDS]
    places = ends or [n for n, mark in enumerate(sure) if mark]
    return marks[: places[-1] + 1] if places else marks


def ended(mark: str) -> str:
    """Return the mark after the last token of an utterance, which always ends a sentence, as in FunASR."""
    return mark if mark and mark in _ENDS else "。"


def marked(hypothesis: Hypothesis, marks: Marks) -> Hypothesis:
    """Add marks to the text, and each to the word before it; no change if the words do not spell the text."""
    text, words = hypothesis.text, hypothesis.words
    ends = [stop for _, stop in spans_of(text, [word.text for word in words])] if words else []
    if words and not ends:
        return hypothesis
    behind = {place: mark for place, mark in marks if not words or place in ends}
    written = "".join(character + behind.get(n, "") for n, character in enumerate(text, 1))
    found = [replace(word, text=word.text + behind.get(end, "")) for word, end in zip(words, ends, strict=True)]
    return replace(hypothesis, text=written, words=tuple[Word, ...](found))


def _placed(text: str, spans: Sequence[tuple[int, int]], marks: Sequence[str]) -> Marks:
    """Return the marks with their places; after ASCII text, marks are ASCII too."""
    pairs = ((stop, mark, text[start]) for (start, stop), mark in zip(spans, marks, strict=True) if mark)
    return [(stop, mark.translate(_ASCII) if first.isascii() else mark) for stop, mark, first in pairs]


def _cutter(jieba: Any) -> Callable[[str], list[str]]:
    """Return a tokenizer: by words if the model has a dictionary, which FunASR gives to jieba; else by characters."""
    if jieba is None:
        return _TOKEN.findall
    return lambda text: [token for part in text.split() for token in jieba.cut(part, HMM=False)]
