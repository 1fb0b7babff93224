"""Set up logging, once per process: structlog over the standard library, people on a terminal, JSON in files.

A log that cannot be written is dropped: no daemon dies of logging.  Knows no jobs; and no transcript text
is ever given to it.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any, TextIO

import structlog

from transcribed.errors import Misconfigured
from transcribed.printable import printable

Processor = structlog.typing.Processor

FILE = "transcribed.log"
MAX_FILE_BYTES = 50 * 2**20
KEPT_FILES = 7
_PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # syslog(3), read by journald as `<N>`

_shared: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def set_up(level: str, folder: Path | None) -> None:
    """Log to stderr, and as JSON lines to `folder` if one is given.  Raises Misconfigured if that cannot be used."""
    logging.raiseExceptions = False  # a broken pipe must not flood stderr
    handlers: list[logging.Handler] = [_stream(sys.stderr)]
    if folder:
        handlers.append(_file(folder))
    logging.basicConfig(handlers=handlers, level=level.upper(), force=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def reopen() -> None:
    """Close log files, so that the next line opens them anew: after somebody else has rotated them."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()


class _Dropping:
    """Mixed into a handler: a record that cannot be written is dropped, never raised."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        pass


class _StreamHandler(_Dropping, logging.StreamHandler[TextIO]):
    pass


class _FileHandler(_Dropping, logging.handlers.RotatingFileHandler):
    pass


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


def _file(folder: Path) -> logging.Handler:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _FileHandler(folder / FILE, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"The log folder {folder} cannot be used: {error.strerror}.") from error
    handler.setFormatter(_formatter([structlog.processors.JSONRenderer()]))  # ASCII: lone surrogates cannot break it
    return handler


def _formatter(last: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def _printable(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """File names are strangers' text: control characters and undecodable bytes are escaped."""
    return {key: printable(value, keep="\n") if isinstance(value, str) else value for key, value in event.items()}


def _forget_time(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("timestamp", None)
    return event


def _note_priority(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["priority"] = f"<{_PRIORITY.get(str(event.pop('level', 'info')), 6)}>"
    return event


def _with_priority(_: Any, __: str, line: Any) -> str:
    """`event=... priority=<6>` -> `<6>event=...`, as sd-daemon(3) wants it."""
    head, _mark, rest = str(line).rpartition(" priority=")  # ours is the last; a file's name may hold another
    number, _space, tail = rest.partition(" ")
    return f"{number}{head}{' ' + tail if tail else ''}".replace("\n", " ")
