"""Set up logging, once per process: structlog over the standard library, plain text on a terminal, JSON in files.

A record that cannot be written is dropped: no daemon dies of logging.  Knows no jobs; no transcript text is ever
logged.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import structlog

from transcribed.core.errors import Misconfigured, Unavailable, is_lasting
from transcribed.core.text import printable
from transcribed.system import log_rotation
from transcribed.system.log_rotation import Rotation

Processor = structlog.typing.Processor

FILE = "transcribed.log"
_PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # syslog(3), read by journald as `<N>`

_shared: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def set_up(level: str, folder: Path | None, rotated: Rotation = Rotation()) -> None:  # noqa: B008  it is frozen
    """Log to stderr, and as JSON lines to `folder` if one is given.  Raises Misconfigured, Unavailable."""
    logging.raiseExceptions = False  # a broken pipe must not flood stderr
    handlers: list[logging.Handler] = [_stream(sys.stderr)]
    if folder:
        handlers.append(_file(folder, rotated))
    logging.basicConfig(handlers=handlers, level=level.upper(), force=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def reopen() -> None:
    """Close log files, so that the next line reopens them: after an external rotation."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()


def rotate() -> None:
    """Start new log files if the old ones are not empty.  Does nothing if rotation is external.

    Raises OSError if the old ones stay in use.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _RotatingHandler):
            handler.begin_anew()


def dropped() -> int:
    """Return how many records could not be written since logging was set up."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, _Dropping))


class _Dropping:
    """Handler mixin: a record that cannot be written is dropped and counted, never raised."""

    dropped = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        self.dropped += 1  # under the handler's lock


class _StreamHandler(_Dropping, logging.StreamHandler[TextIO]):
    pass


class _FollowingHandler(_Dropping, logging.handlers.WatchedFileHandler):
    """File handler that reopens the file after an external rotation."""


class _RotatingHandler(_Dropping, logging.handlers.BaseRotatingHandler):
    def __init__(self, path: Path, rotated: Rotation) -> None:
        super().__init__(path, "a", encoding="utf-8")
        self._rotated = rotated

    def begin_anew(self, at_least_bytes: int = 1) -> None:
        with self.lock or contextlib.nullcontext():
            stream, self.stream = self.stream, None
            try:
                log_rotation.rotate(Path(self.baseFilename), self._rotated.keep, at_least_bytes)
            finally:
                if stream:
                    with contextlib.suppress(OSError):  # records left in its buffer have been counted
                        stream.close()
                with contextlib.suppress(OSError):  # on a full disk, the next record tries again
                    self.stream = self._open()

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        return self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self._rotated.max_bytes

    def doRollover(self) -> None:  # noqa: N802
        with contextlib.suppress(OSError):  # the old file stays in use then
            self.begin_anew(self._rotated.max_bytes)


def _stream(stream: TextIO) -> logging.Handler:
    handler = _StreamHandler(stream)
    on_terminal = stream.isatty()
    last: list[Processor] = [structlog.dev.ConsoleRenderer(colors=on_terminal)]
    if not on_terminal:  # journald keeps the time, and reads the priority
        last = [
            _forget_time,
            structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True),
            _with_priority,
        ]
    handler.setFormatter(_formatter([_printable, _note_priority, *last] if not on_terminal else [_printable, *last]))
    return handler


def _file(folder: Path, rotated: Rotation) -> logging.Handler:
    path = folder / FILE
    handler: logging.Handler
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _FollowingHandler(path, encoding="utf-8") if rotated.external else _RotatingHandler(path, rotated)
    except OSError as error:
        kind = Misconfigured if is_lasting(error) else Unavailable
        raise kind(
            f"The log folder {folder} cannot be used: {error.strerror}.", "Repair its disk, or correct its permissions."
        ) from error
    handler.setFormatter(_formatter([structlog.processors.JSONRenderer()]))  # ASCII: lone surrogates cannot break it
    return handler


def _formatter(last: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def _printable(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters and undecodable bytes: file names are untrusted text."""
    return {key: printable(value, keep="\n") if isinstance(value, str) else value for key, value in event.items()}


def _forget_time(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("timestamp", None)
    return event


def _note_priority(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["priority"] = f"<{_PRIORITY.get(str(event.pop('level', 'info')), 6)}>"
    return event


def _with_priority(_: Any, __: str, line: Any) -> str:
    """Turn `event=... priority=<6>` into `<6>event=...`, as sd-daemon(3) requires."""
    head, _mark, rest = str(line).rpartition(" priority=")  # ours is the last; a file name may contain another
    number, _space, tail = rest.partition(" ")
    return f"{number}{head}{' ' + tail if tail else ''}".replace("\n", " ")
