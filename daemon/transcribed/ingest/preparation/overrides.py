"""Resolve the options of one recording: from its inbox, from the folders it is in, and from a file beside it; the
nearest counts.

The files are read by the process that decodes the recording, and are confined to the inbox like it: a folder file
`.transcribed.toml`, the sidecar `NAME.transcribe.toml`, and `hotwords.txt` in the root of the inbox.  None of their
contents can name a path.  Knows files and settings; nothing of how they are used.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from pydantic import ValidationError

from transcribed.config import hotword_file
from transcribed.config.fields import explain_errors
from transcribed.config.hotword_file import HotwordList
from transcribed.config.recording import InboxDefaults, RecordingOverrides, channel_names, with_hotwords
from transcribed.core.errors import Incomplete, Permanent, TranscribedError, Unavailable, is_lasting
from transcribed.core.text import bounded
from transcribed.core.types import HOTWORDS, SIDECAR, RecordingOptions, Source
from transcribed.system import safe_open

FOLDER = ".transcribed.toml"
MAX_BYTES = 16 * 1024  # of TOML
MAX_DOTS = 500  # tomllib takes time with the square of the parts of a key: 8 s for 40 KiB of `a.a.a`
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)  # no file can have so long a name

log = logging.getLogger("transcribed.hotwords")  # in a child: its records go to the daemon's log

_MEND = "Correct the file; the README has examples."


def hotword_faults(inbox: Path, usual: Path | None) -> list[str]:
    """Return a sentence per entry of the hotword files that is passed over, and if a file is missing."""
    missing = [f"{usual} does not exist."] if usual and not os.path.exists(usual) else []
    return [*missing, *(f"{name}: {fault}" for name, found in _hotwords_files(inbox, usual) for fault in found.faults)]


def resolve_options(source: Source, defaults: InboxDefaults) -> RecordingOptions:
    """Return all options of a recording.

    Raise Incomplete if its own sidecar is invalid, and Unavailable if a folder file is, which it shares with other
    recordings: none of them is to blame, and all of them wait until it is corrected.  What is wrong in a hotword file
    is logged, once in each process, and passed over.
    """
    inbox, name = source.inbox, PurePath(source.name)
    asked = RecordingOptions(defaults.options, defaults.channels, defaults.tracks)
    asked = replace(asked, min_coverage=defaults.min_coverage, model=defaults.model)
    links = defaults.hard_links
    for name_of_list, found in _hotwords_files(inbox, defaults.hotwords_file, links):
        _log_once(inbox, name_of_list, found.faults)
        asked = replace(asked, options=with_hotwords(asked.options, found.hotwords, found.corrections))
    for folder in reversed(name.parents):
        asked = _apply(asked, _read_overrides(inbox, str(folder / FOLDER), Unavailable, links))
    return _apply(asked, _read_overrides(inbox, f"{name}{SIDECAR}", Incomplete, links))


def _apply(asked: RecordingOptions, said: RecordingOverrides | None) -> RecordingOptions:
    """Return `asked`, replaced by `said` where that sets an option."""
    if said is None:
        return asked
    named = said.model_fields_set
    options = with_hotwords(asked.options, *hotword_file.parse(said.hotwords))
    return replace(
        asked,
        options=replace(options, **{key: getattr(said, key) for key in ("language", "itn") if key in named}),
        channels=channel_names(said.channels) if "channels" in named else asked.channels,
        tracks=said.tracks if "tracks" in named else asked.tracks,
        formats=said.formats if "formats" in named else asked.formats,
        title=said.title or asked.title,
    )


def _read_overrides(
    inbox: Path, name: str, fault: type[TranscribedError], hard_links: bool
) -> RecordingOverrides | None:
    data = _read(inbox, name, fault, MAX_BYTES, hard_links)
    if data is None:
        return None
    if data.count(b".") > MAX_DOTS:
        raise fault(f"{name} has more than {MAX_DOTS} dots.", _MEND)
    try:
        return RecordingOverrides(**tomllib.loads(data.decode("utf-8-sig")))
    except ValidationError as error:
        raise fault(f"{name}: {'; '.join(explain_errors(error, lambda place: RecordingOverrides))}.", _MEND) from error
    except (ValueError, RecursionError) as error:
        raise fault(f"{name} is not TOML: {error}.", _MEND) from error


def _hotwords_files(inbox: Path, usual: Path | None, hard_links: bool = True) -> Iterator[tuple[str, HotwordList]]:
    """Yield the name of each hotword file with what it holds.  Raises Unavailable if its disk or share fails."""
    if usual:
        usual = Path(os.path.realpath(usual))  # the operator's own file may be a link
    for folder, name in (*([(usual.parent, usual.name)] if usual else []), (inbox, HOTWORDS)):
        try:
            data = _read(folder, name, Permanent, hotword_file.MAX_BYTES, hard_links or folder != inbox)
        except Permanent as error:
            yield name, HotwordList(faults=(str(error),))
            continue
        if data is not None:
            yield name, hotword_file.read(data)


@functools.lru_cache(maxsize=64)  # what was logged is not logged again
def _log_once(inbox: Path, name: str, faults: tuple[str, ...]) -> None:
    if faults:
        told = "; ".join(hotword_file.first_of(faults, 3))
        log.warning("entries of a hotword file are passed over: %s in %s: %s", name, inbox, bounded(told))


def _read(folder: Path, name: str, fault: type[TranscribedError], most: int, hard_links: bool) -> bytes | None:
    """Return the content of a file of at most `most` bytes below a folder, None without such a file; follow no link."""
    try:
        fd = safe_open.open_file(folder, name)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        kind = fault if is_lasting(error) else Unavailable
        raise kind(f"{name} cannot be read: {error.strerror}.", "Give the service read access to it.") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise fault(f"{name} is not a regular file of at most {most // 1024} KiB.", "Shorten or remove it.")
        if found.st_nlink > 1 and not hard_links:
            raise fault(f"{name} has another name elsewhere, and this inbox takes none such.", "Copy it instead.")
        with open(fd, "rb", closefd=False) as file:
            return file.read(most)
    except OSError as error:
        raise Unavailable(f"{name} cannot be read now: {error.strerror}.", "Check the disk or share.") from error
    finally:
        os.close(fd)
