"""Spell hotwords in the tokens of a model, for contextual biasing.

FunASR fetches a hotword that begins with http, reads one that ends in .txt, and without a seg_dict treats each as one
unknown token.  Here a hotword is characters and nothing else.  Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

CONTINUED = "@@"  # a piece with this mark continues in the next one (Sennrich et al. 2016, arXiv 1508.07909)
MAX_CHARACTERS = 256  # of one hotword; the rest is ignored
MAX_TOKENS = 32  # of one hotword; models are trained with up to 8 (FunASR's AudioDatasetHotword)

_UNIT = re.compile(r"[a-zà-ɏ']*[a-zà-ɏ][a-zà-ɏ']*|\w")  # a word in Latin letters, or any other spoken character


class Speller:
    """A model's tokens by name, and its rules for cutting words into them (its seg_dict), if it has any."""

    def __init__(self, tokens: Sequence[str], cuts: Mapping[str, str]) -> None:
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._cuts = cuts

    def spell_all(self, hotwords: Iterable[str]) -> list[tuple[int, ...]]:
        """Return the tokens of all hotwords that the model can write, each once."""
        return [numbers for numbers in dict.fromkeys(map(self.spell, hotwords)) if numbers]

    def spell(self, hotword: str) -> tuple[int, ...]:
        """Return the token numbers of a hotword, or of its longest known stretch if the model lacks some characters.

        Return nothing if that stretch is a single token: half a name would be recognized where it is not meant.
        """
        units = _UNIT.findall(unicodedata.normalize("NFKC", hotword[:MAX_CHARACTERS]).lower())
        stretches: list[list[int]] = [[]]
        for numbers in map(self._unit, units):
            if numbers:
                stretches[-1] += numbers
            else:
                stretches.append([])
        longest = max(stretches, key=len)
        whole = len(stretches) == 1
        return tuple(longest[:MAX_TOKENS]) if whole or len(longest) > 1 else ()

    def _unit(self, unit: str) -> list[int] | None:
        """Return the token numbers of a unit; None if the model lacks it."""
        pieces = self._cuts.get(unit, unit).split()
        numbers = [self._numbers[piece] for piece in pieces if piece in self._numbers]
        return numbers if len(numbers) == len(pieces) else self._pieced(unit)

    def _pieced(self, word: str) -> list[int] | None:
        """Cut a word without a rule into tokens, always the longest piece first; None if that fails."""
        numbers = []
        while word:
            for size in range(len(word), 0, -1):
                piece = word if size == len(word) else word[:size] + CONTINUED
                if piece in self._numbers:
                    numbers.append(self._numbers[piece])
                    word = word[size:]
                    break
            else:
                return None
        return numbers
