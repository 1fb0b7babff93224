"""Hotwords in the tokens of a model: what it can be told to expect.

FunASR fetches a hotword that begins with http, reads one that ends in .txt, and without a seg_dict takes each for one
unknown token.  Here a hotword is characters and nothing else.  Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

CONTINUED = "@@"  # a piece with this mark goes on in the next one (Sennrich et al. 2016, arXiv 1508.07909)
MAX_CHARACTERS = 256  # of one hotword that are looked at
MAX_TOKENS = 32  # of one hotword; models are trained with up to 8 (FunASR's AudioDatasetHotword)

_UNIT = re.compile(r"[a-zà-ɏ']*[a-zà-ɏ][a-zà-ɏ']*|\w")  # a word in Latin letters, or any other character that is said


class Speller:
    """A model's tokens by name, and how it cuts words into them (its seg_dict), where it tells."""

    def __init__(self, tokens: Sequence[str], cuts: Mapping[str, str]) -> None:
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._cuts = cuts

    def spell_all(self, hotwords: Iterable[str]) -> list[tuple[int, ...]]:
        """Those that the model can write, each once."""
        return [numbers for numbers in dict.fromkeys(map(self.spell, hotwords)) if numbers]

    def spell(self, hotword: str) -> tuple[int, ...]:
        """The numbers of its tokens; of a hotword with characters that the model lacks, its longest stretch without.

        Nothing if that is one token only: half a name would be heard where it is not meant.
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
        """None if the model lacks it."""
        pieces = self._cuts.get(unit, unit).split()
        numbers = [self._numbers[piece] for piece in pieces if piece in self._numbers]
        return numbers if len(numbers) == len(pieces) else self._pieced(unit)

    def _pieced(self, word: str) -> list[int] | None:
        """A word that the model was not told how to cut: the longest piece first, again and again."""
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
