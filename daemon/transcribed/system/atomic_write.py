"""Replace small files atomically: readers see the old content or the new, never half of one.

Transcripts are written by output/outbox.py, which must not lose them.  Knows files; nothing of their content.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any, *, mode: int | None = None) -> None:
    """Replace a JSON file.  Raises OSError; readers never see half of one."""
    replace_text(path, json.dumps(document, indent=1) + "\n", mode=mode)


def replace_text(path: Path, text: str, *, mode: int | None = None, sync: bool = False) -> None:
    """Replace a file atomically; with `sync` its bytes are on disk first.  Raises OSError; the old file stays then."""
    draft = path.with_name(f".{path.name}")
    try:
        with draft.open("w") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
