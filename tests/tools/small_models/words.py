"""What the small recogniser writes: Mandarin characters, rare ones that sound like frequent ones, some English pieces.

Token numbers are positions in the model's output layer. It knows nothing of audio.
"""

from __future__ import annotations

from tests.tools.demo_model.words import MANDARIN

# Written only where a hotword asks for them: espeak-ng says them as it says the frequent ones.
SOUND_ALIKE = {"一": "医", "五": "舞", "七": "期", "九": "久", "今": "金", "天": "添", "会": "惠", "是": "事"}
ENGLISH = {"hello": ("hel@@", "lo"), "meeting": ("meet@@", "ing"), "stop": ("stop",)}
FREQUENT = {rare: frequent for frequent, rare in SOUND_ALIKE.items()}

BLANK, START, END, NO_HOTWORD, UNKNOWN = "<blank>", "<s>", "</s>", "<none>", "<unk>"
PIECES = [piece for pieces in ENGLISH.values() for piece in pieces]
TOKENS = [BLANK, START, END, *MANDARIN, *SOUND_ALIKE.values(), *PIECES, NO_HOTWORD, UNKNOWN]
NUMBER = {token: number for number, token in enumerate(TOKENS)}


def tokens_of(word: str) -> tuple[str, ...]:
    """A character is itself, an English word its pieces."""
    return ENGLISH.get(word, (word,))


def seg_dict() -> str:
    """How words are cut, in the form of the public model's file of this name."""
    characters = [*MANDARIN, *SOUND_ALIKE.values()]
    return "".join(f"{word} {' '.join(tokens_of(word))}\n" for word in [*characters, *ENGLISH])
