"""Words of Chinese text, by the dictionary of jieba.

The dictionary is loaded when a text first has to be broken, into memory alone: jieba itself would keep a copy in a
file of well-known name in the temporary folder, which anybody may put there first and `marshal` would load, and would
write to stderr about it.  It stays: some 65 MB, loaded in half a second.
"""

from __future__ import annotations

import warnings
from functools import cache
from threading import Lock
from typing import Any

_loading = Lock()


def words(text: str) -> list[str]:
    """The text in pieces: words, and single marks and spaces between them.  Nothing is left out."""
    with _loading:
        tokenizer = _tokenizer()
    return [str(word) for word in tokenizer.cut(text)]


@cache
def _tokenizer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its regular expressions, and of pkg_resources where that still exists
        import jieba
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
