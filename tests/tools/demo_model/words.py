"""The vocabulary of the demonstration model: words, rich tokens, and the sentencepiece model file of both.

Piece numbers are positions in the model's output layer. It knows nothing of audio.
"""

from __future__ import annotations

import io
import string
from pathlib import Path

import sentencepiece

from tests.support.speech import ENGLISH_DIGITS, MANDARIN_DIGITS

ENGLISH = [*ENGLISH_DIGITS, "yes", "no", "start", "stop", "hello", "please", "call", "time", "today", "meeting"]
MANDARIN = [*MANDARIN_DIGITS, *"是不你好开会今天"]
WORDS = {"en": ENGLISH, "zh": MANDARIN}
DIGITS = {"en": list(ENGLISH_DIGITS), "zh": list(MANDARIN_DIGITS)}

LANGUAGES = ["<|zh|>", "<|en|>", "<|yue|>", "<|ja|>", "<|ko|>", "<|nospeech|>"]
EMOTIONS = ["<|HAPPY|>", "<|SAD|>", "<|ANGRY|>", "<|NEUTRAL|>", "<|FEARFUL|>", "<|DISGUSTED|>", "<|SURPRISED|>"]
EVENTS = ["<|Speech|>", "<|BGM|>", "<|Applause|>", "<|Laughter|>", "<|Cry|>", "<|Sneeze|>", "<|Breath|>", "<|Cough|>"]
UNKNOWN = ["<|EMO_UNKNOWN|>", "<|Event_UNK|>"]
STYLES = ["<|withitn|>", "<|woitn|>"]

# Sentencepiece marks the beginning of a word with this character.
WORD_START = "\u2581"
RICH_TOKENS = [*LANGUAGES, *EMOTIONS, *EVENTS, *UNKNOWN, *STYLES]
# The unknown piece has number 0, which is CTC's blank, as in the public model.
CONTROL = ["<unk>", "<s>", "</s>"]
PIECES = [*CONTROL, *RICH_TOKENS, *(WORD_START + word for word in ENGLISH), *MANDARIN]
PIECE_NUMBER = {piece: number for number, piece in enumerate(PIECES)}


def word_ids(language: str, words: tuple[str, ...]) -> list[int]:
    """Piece numbers of spoken words."""
    start = WORD_START if language == "en" else ""
    return [PIECE_NUMBER[start + word] for word in words]


def joined(language: str, words: tuple[str, ...]) -> str:
    """Words as text: English with spaces, Mandarin without."""
    return (" " if language == "en" else "").join(words)


def write_tokenizer(path: Path) -> int:
    """Write the sentencepiece model file and return its number of pieces.

    The pieces are given, not learned; letters follow them so that unknown text can be encoded too.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(string.ascii_lowercase)] * 10),
        model_writer=model,
        model_type="char",
        vocab_size=len(PIECES) + len(string.ascii_lowercase) + 1,
        user_defined_symbols=PIECES[len(CONTROL) :],
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return check_tokenizer(path)


def check_tokenizer(path: Path) -> int:
    """Every piece must have the number that the training uses."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [processor.id_to_piece(number) for number in range(len(PIECES))]
    if pieces != PIECES:
        raise ValueError("sentencepiece numbers the pieces otherwise than expected")
    return processor.get_piece_size()
