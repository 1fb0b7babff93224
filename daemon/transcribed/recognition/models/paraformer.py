"""Recognize segments with Paraformer, above all Seaco-Paraformer: text, word times, confidence, biased by hotwords.

It is non-autoregressive: the predictor counts the tokens of a row of frames and extracts the acoustic embedding of
each, the decoder writes all of them at once (Gao et al. 2022, arXiv 2206.08317); a second decoder rewrites tokens that
sound like a hotword (Shi et al. 2023, arXiv 2308.03266).  Encoder, decoders, tokenizer and weights are FunASR's;
batching and decoding are ours: FunASR drops or shifts results, and keeps the hotwords of one call for the next.  Knows
samples and options; nothing of files, jobs or devices other than its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from transcribed.core.errors import Misconfigured
from transcribed.core.text import is_han, join
from transcribed.core.types import SAMPLE_RATE, Hypothesis, Options, Word
from transcribed.recognition.models.cif import Predictor
from transcribed.recognition.models.encoder import Sanm, likeliest, without_plans
from transcribed.recognition.models.families import PARAFORMER
from transcribed.recognition.models.frontend import Frontend, Samples
from transcribed.recognition.models.hotword_bias import CONTINUED, Speller
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.precision import Precision, dtype_for, fast_products, name_of

LONGEST_SECONDS = 0.24  # of a token; the rest until the next one is a pause (FunASR's utils/timestamp_tools.py)
HOTWORDS_AT_ONCE = 50  # if there are more, those that a row attends to most (FunASR's nfilter)
KEPT_HOTWORDS = 16  # encoded sets of hotwords, one per inbox that has some
_UNSAID = re.compile("<[^<>]+>")
_LETTER = re.compile("[a-z]")


@dataclass(frozen=True, slots=True)
class Token:
    text: str  # followed by CONTINUED if the next token continues the word
    start: float  # seconds
    stop: float
    confidence: float


class Paraformer:
    """A Paraformer model.  Not thread-safe, like every FunASR model: one per process, one call at a time."""

    dtype: str  # "fp32", "bf16" or "fp16": the type of its encoder's matrix products; all others are float32
    word_lag_seconds = 0.26  # its predictor places most words well, and some after a pause this late
    language: str  # its only language: "zh" or "en"

    def __init__(self, directory: Path, device: str, threads: int, dtype: Precision = "auto") -> None:
        model, kwargs = load(directory, device, threads)
        _check(model, directory)
        self._device = torch.device(kwargs["device"])
        self._frontend = Frontend(kwargs["frontend"], self._device)
        encoder, chosen = model.encoder, dtype_for(dtype, self._device)
        self._encoder = Sanm([((*encoder.encoders0, *encoder.encoders), encoder.after_norm)], chosen)
        self.dtype = name_of(chosen)
        self._predictor = Predictor(model.predictor)
        tokenizer = kwargs["tokenizer"]
        speller = Speller(tokenizer.token_list, getattr(tokenizer, "seg_dict", None) or {})
        self._writer = _DECODERS.get(type(model).__name__, _TokenDecoder)(model, speller)
        self._said = [None if _UNSAID.fullmatch(token) else str(token) for token in tokenizer.token_list]
        self.language = "zh" if any(map(is_han, tokenizer.token_list)) else "en"

    @torch.inference_mode()
    def recognize(self, samples: Sequence[Samples], options: Options) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order.  Segments are int16 mono at 16 kHz."""
        frames, lengths = self._frontend(samples)
        with fast_products(self._device, self._encoder.dtype):
            with without_plans():
                encoded = self._encoder(frames, lengths)
            sounds, counts, starts = self._predictor(encoded, lengths)
            answers = torch.stack((*self._write(encoded, lengths, sounds, counts, options), starts))
        rows = zip(answers.cpu().numpy().swapaxes(0, 1), counts.tolist(), samples, strict=True)
        return [self._hypothesis(row[:, :count], len(x) / SAMPLE_RATE) for row, count, x in rows]

    def _write(
        self, encoded: Tensor, lengths: Sequence[int], sounds: Tensor, counts: Tensor, options: Options
    ) -> Tensor:
        """Return the likeliest token of every acoustic embedding and its posterior, float32 (2, rows, tokens)."""
        if not sounds.shape[1]:  # no speech
            return sounds.new_empty(2, len(sounds), 0)
        with without_plans():
            return self._writer(encoded, torch.tensor(lengths, device=self._device), sounds, counts, options.hotwords)

    def _hypothesis(self, row: npt.NDArray[np.float32], seconds: float) -> Hypothesis:
        """Build a hypothesis from `row`, float32 (3, tokens): token numbers, posteriors, steps."""
        if not np.isfinite(row).all():
            raise FloatingPointError("the model returned numbers that are not finite")
        tokens = self._tokens(row, seconds)
        words = words_of(tokens)
        confidence = sum(t.confidence for t in tokens) / len(tokens) if tokens else None
        raw = " ".join(token.text for token in tokens)
        return Hypothesis(join(w.text for w in words), words, self.language, confidence=confidence, raw=raw)

    def _tokens(self, row: npt.NDArray[np.float32], seconds: float) -> list[Token]:
        """Return the tokens with their times; each lasts until the next one, the end of speech included."""
        step = self._frontend.seconds_per_frame / self._predictor.steps_per_frame
        starts = (row[2].astype(float) * step).clip(0, seconds).tolist()
        following = [*starts, seconds][1:]
        stops = [min(stop, start + LONGEST_SECONDS) for start, stop in zip(starts, following, strict=True)]
        texts = [self._said[int(number)] for number in row[0]]
        every = zip(texts, starts, stops, row[1].tolist(), strict=True)
        return [Token(text, *facts) for text, *facts in every if text is not None]


class _TokenDecoder:
    """Writes tokens with a model without hotwords."""

    def __init__(self, model: Any, speller: Speller) -> None:
        self._model, self._speller = model, speller
        self._device = next(model.parameters()).device
        self._embeddings = lru_cache(KEPT_HOTWORDS)(self._spelled)

    def __call__(
        self, encoded: Tensor, lengths: Tensor, sounds: Tensor, counts: Tensor, hotwords: tuple[str, ...]
    ) -> Tensor:
        """Return the likeliest token of every acoustic embedding and its posterior, float32 (2, rows, tokens)."""
        decoder = self._model.decoder
        return likeliest(decoder.output_layer, decoder(encoded, lengths, sounds, counts, return_hidden=True)[0])

    def _spelled(self, hotwords: tuple[str, ...]) -> Tensor:
        """Return the embeddings of hotwords, float32 (hotwords + 1, size); the last one stands for no hotword."""
        rows = [torch.tensor(numbers) for numbers in (*self._speller.spell_all(hotwords), (self._model.sos,))]
        lengths = torch.tensor([len(row) for row in rows])
        return self._encoded(pad_sequence(rows, batch_first=True).to(self._device), lengths)

    def _encoded(self, numbers: Tensor, lengths: Tensor) -> Tensor:
        raise NotImplementedError


class _Seaco(_TokenDecoder):
    """Writes hotwords with a second decoder, which also marks tokens that are none."""

    def __call__(
        self, encoded: Tensor, lengths: Tensor, sounds: Tensor, counts: Tensor, hotwords: tuple[str, ...]
    ) -> Tensor:
        model, meanings = self._model, self._embeddings(hotwords)
        heard, _ = model.decoder(encoded, lengths, sounds, counts, return_hidden=True)
        plain = likeliest(model.decoder.output_layer, heard)
        if len(meanings) == 1:
            return plain
        context = self._attended(meanings.expand(len(heard), -1, -1), heard, counts)
        sizes = torch.full_like(counts, context.shape[1])
        by_sound, by_sense = (model.seaco_decoder(context, sizes, x, counts)[0] for x in (sounds, heard))
        asked = likeliest(model.hotword_output_layer, by_sound + by_sense)
        return torch.where(asked[:1] == model.NO_BIAS, plain, asked)

    def _encoded(self, numbers: Tensor, lengths: Tensor) -> Tensor:
        meanings: Tensor = self._model._hotword_representation(numbers, lengths)
        return meanings

    def _attended(self, meanings: Tensor, heard: Tensor, counts: Tensor) -> Tensor:
        """Select from many hotwords those that each row attends to most; FunASR uses the first row's for all.

        float32 (rows, hotwords + 1, size) -> the same, with HOTWORDS_AT_ONCE of them.
        """
        none = meanings.shape[1] - 1
        if none <= HOTWORDS_AT_ONCE:
            return meanings
        said = (torch.arange(heard.shape[1], device=heard.device) < counts[:, None]).float()[:, :, None]
        all_of_them = meanings.new_ones(len(heard), 1, none + 1)
        *before, last = self._model.seaco_decoder.decoders
        for layer in before:
            heard = layer(heard, said, meanings, all_of_them)[0]
        attention = last.get_attn_mat(heard, said, meanings, all_of_them)  # (rows, heads, tokens, hotwords + 1)
        scores = (attention * said[:, None]).sum((1, 2))[:, :none]
        best = scores.topk(HOTWORDS_AT_ONCE).indices.sort().values
        kept = torch.cat((best, best.new_full((len(best), 1), none)), 1)
        return meanings.gather(1, kept[:, :, None].expand(-1, -1, meanings.shape[2]))


class _Contextual(_TokenDecoder):
    """Writes tokens with a decoder that itself attends to the hotwords."""

    def __call__(
        self, encoded: Tensor, lengths: Tensor, sounds: Tensor, counts: Tensor, hotwords: tuple[str, ...]
    ) -> Tensor:
        decoder, meanings = self._model.decoder, self._embeddings(hotwords).expand(len(sounds), -1, -1)
        heard, _ = decoder(encoded, lengths, sounds, counts, contextual_info=meanings, return_hidden=True)
        return likeliest(decoder.output_layer, heard)

    def _encoded(self, numbers: Tensor, lengths: Tensor) -> Tensor:
        model = self._model
        embedded = (model.decoder.embed if model.use_decoder_embedding else model.bias_embed)(numbers)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = model.bias_encoder(packed)
        meanings: Tensor = last[-1]
        return meanings


_DECODERS = {"SeacoParaformer": _Seaco, "ContextualParaformer": _Contextual}


def words_of(tokens: Sequence[Token]) -> tuple[Word, ...]:
    """Join pieces into words: marked ones with the next piece, single letters into abbreviations ("c p u": CPU)."""
    groups: list[list[Token]] = []
    for token in tokens:
        if groups and _goes_on(groups[-1], token):
            groups[-1].append(token)
        else:
            groups.append([token])
    return tuple(map(_word, groups))


def _goes_on(group: Sequence[Token], token: Token) -> bool:
    if group[-1].text.endswith(CONTINUED):
        return not is_han(token.text)
    return all(_LETTER.fullmatch(one.text) for one in (*group, token))


def _word(group: Sequence[Token]) -> Word:
    text = "".join(token.text.removesuffix(CONTINUED) for token in group)
    letters = len(group) > 1 and all(_LETTER.fullmatch(token.text) for token in group)
    confidence = sum(token.confidence for token in group) / len(group)
    start, stop = group[0].start, group[-1].stop
    return Word(text.upper() if letters else text, round(start, 3), round(stop, 3), round(confidence, 4))


def _check(model: Any, directory: Path) -> None:
    """Raise Misconfigured unless all parts of the model are of kinds that this module supports."""
    encoder: Any = getattr(model, "encoder", None)
    predictor: Any = getattr(model, "predictor", None)
    known = (
        type(model).__name__ in PARAFORMER
        and (type(encoder).__name__, type(getattr(encoder, "embed", None)).__name__)
        == ("SANMEncoder", "SinusoidalPositionEncoder")
        and encoder.normalize_before
        and type(predictor).__name__ in ("CifPredictorV2", "CifPredictorV3")
        and not hasattr(predictor, "self_attn")
    )
    if not known:
        raise Misconfigured(
            f"The Paraformer in {directory} has parts that are not supported.",
            "Use a model such as iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch.",
        )
