"""The example configuration: every key with its meaning and default, generated from the model so it cannot drift."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from transcribed.config.fields import RARELY_NEEDED
from transcribed.config.inbox import Inbox, InboxSettings
from transcribed.config.operations import AlertSettings, HousekeepingSettings, LogSettings
from transcribed.config.settings import GpuSettings, PrepareSettings, RecognizeSettings, Settings

_HEAD = """\
# transcribed.toml - every key, its meaning and its default.
# A line with one `#` shows a default, or an example if the default is named above it.  Remove the `#` to change it.
# Check with: transcribed check-config
"""
_POLICY = """\
## More of the cards by night than by day.  A rule applies from when its cron expression (minute, hour, day, month,
## weekday) matches until another rule's does; it takes the keys of [gpu].
##     [[gpu.policy]]
##     cron = "0 8 * * mon-fri"
##     vram_reserve = "12 GiB"
##     [[gpu.policy]]
##     cron = "0 20 * * *"
##     vram_reserve = 0.05
"""
_DECODER = """\
## External programs for formats that FFmpeg cannot decode, such as DS2 dictation or SILK voice messages.  They write
## WAV to their standard output.  `{file}` stands for the recording; without it, the recording arrives on standard
## input.  They run without network access, within the limits of [prepare].
##     [[decoder]]
##     match = "*.ds2"
##     command = ["dss-codec", "decode", "{file}", "-"]
##     [[decoder]]
##     match = "*.amr"
##     starts_with = "\\u0002#!SILK_V3"
##     command = ["silk-to-wav"]
"""
_SHOWN_DEFAULTS = {
    "state_dir": "/var/lib/transcribed",
    "models_dir": "/var/cache/transcribed/models",
    "disk_free": "2 GiB",
}


_RARELY = """\
## --- Rarely needed ---------------------------------------------------------------------------------------------------
## The program chooses these well by itself.  To change one, add its line to the table named here.
"""
_TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("defaults", InboxSettings),
    ("prepare", PrepareSettings),
    ("recognize", RecognizeSettings),
    ("gpu", GpuSettings),
    ("log", LogSettings),
    ("housekeeping", HousekeepingSettings),
    ("alerts", AlertSettings),
)


def example() -> str:
    """Return the text of config/transcribed.toml."""
    parts = [_HEAD, "\n".join(_keys(Settings)), _inbox()]
    for name, model in _TABLES:
        about = Settings.model_fields[name].description
        parts.append("\n".join([*([f"## {about}"] if about else []), f"[{name}]", *_keys(model)]))
    parts += [_POLICY, _DECODER, "\n".join([_RARELY.rstrip(), *_rarely_needed()])]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in _plain(model):
        if field.json_schema_extra != RARELY_NEEDED:
            yield from _wrapped(field.description or "", "## ")
            yield f"# {name} = {_value(name, field)}"


def _rarely_needed() -> Iterator[str]:
    tables: tuple[tuple[str, type[BaseModel]], ...] = (("", Settings), *_TABLES)
    for table, model in tables:
        fields = [(name, field) for name, field in _plain(model) if field.json_schema_extra == RARELY_NEEDED]
        if fields:
            yield f"## [{table}]" if table else "## At the top of this file:"
        for name, field in fields:
            yield f"##     {name} = {_value(name, field)}"
            yield from _wrapped(field.description or "", "##         ")


def _plain(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a table that are no tables themselves."""
    for name, field in model.model_fields.items():
        is_table = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if not is_table and name not in ("inbox", "policy", "decoder"):
            yield name, field


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent=indent, subsequent_indent=indent)


def _inbox() -> str:
    lines = ["## One table per inbox.  Any key of [defaults] is allowed here too.", "[[inbox]]"]
    for name, value in (("path", "/srv/transcribed/inbox"), ("outbox", "/srv/transcribed/outbox")):
        lines += [f"## {Inbox.model_fields[name].description}", f'{name} = "{value}"']
    return "\n".join(lines)


def _value(name: str, field: FieldInfo) -> str:
    default: Any = _SHOWN_DEFAULTS.get(name) or field.get_default(call_default_factory=True)
    if default is None:
        (default,) = field.examples or [""]
    return json.dumps(str(default) if isinstance(default, Path) else default)
