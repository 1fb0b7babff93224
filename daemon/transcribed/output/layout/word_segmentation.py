"""Split Chinese text into words, by jieba's dictionary.

The dictionary is loaded when a text must first be broken, and only into memory: jieba itself would cache it in a file
of a well-known name in the temporary folder, which anybody could place there first for `marshal` to load, and would
write to stderr about it.  It stays in memory: some 65 MB, loaded in half a second.
"""

from __future__ import annotations

import warnings
from functools import cache
from threading import Lock
from typing import Any

_loading = Lock()


def words(text: str) -> list[str]:
    """Return the text in pieces: words, and single marks and spaces between them.  Nothing is dropped."""
    with _loading:
        tokenizer = _tokenizer()
    return [str(word) for word in tokenizer.cut(text)]


@cache
def _tokenizer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its regular expressions, and pkg_resources where that still exists
        import jieba
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
