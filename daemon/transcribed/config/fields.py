"""The types of configuration values: paths, modes, shares and sizes, URLs.

Knows their spelling and meaning; nothing of what they are used for.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

RARELY_NEEDED: dict[str, JsonValue] = {"advanced": True}
"""Of a field that nobody sets better than the program: the example shows it last."""

_SMALLEST_RESERVE = 2**20  # bytes; a smaller number is a mistyped share, or lacks its unit


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return Path(os.path.normpath(path))


def _octal(mode: str) -> str:
    if not 0 <= int(mode, 8) <= 0o777:
        raise ValueError("must be an octal file mode, such as 0664")
    return mode


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d+|(GPU|MIG)-[0-9a-fA-F-]+", name):
        raise ValueError('must be "auto", "cpu", "cuda", "cuda:0" and so on, or the UUID of a card')
    return name


def _share_or_size(value: object) -> float:
    """Parse a share (0.1, "10%") or a size ("2 GiB", 2147483648); the environment gives shares as text, "0.1"."""
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        if 0 <= share < 1:
            return share
    size = float(TypeAdapter(ByteSize).validate_python(value))
    if isinstance(value, bool) or size < _SMALLEST_RESERVE:
        raise ValueError('must be a share such as 0.1 or "10%", or a size such as "2 GiB"')
    return size


def _url(url: str) -> str:
    if not re.match(r"https?://[^/\s]", url):
        raise ValueError("must begin with http:// or https://")
    return url


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
ShareOrSize = Annotated[float, BeforeValidator(_share_or_size)]
Mode = Annotated[str, AfterValidator(_octal)]
Device = Annotated[str, AfterValidator(_device)]
Url = Annotated[str, AfterValidator(_url)]


class Table(BaseModel):
    """A table of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Place = tuple[int | str, ...]


def explain_errors(
    error: ValidationError, table_of: Callable[[Place], type[BaseModel]], secret: Collection[Place] = ()
) -> Iterator[str]:
    """Yield a line per fault: its place, the error, and a suggestion.

    `table_of` returns the table that contains a place.  Values at a `secret` place are not repeated.
    """
    for fault in error.errors():
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        if fault["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(fault["loc"][-1]), table_of(fault["loc"]).model_fields, 1, 0.6)
            yield f"{place}: unknown key{f'; did you mean {near[0]}?' if near else ''}"
        else:
            untold = fault["type"] == "missing" or fault["loc"][:2] in secret
            given = "" if untold else f" (got {fault['input']!r})"
            yield f"{place}: {fault['msg'].removeprefix('Value error, ')}{given}"
