"""What may be said of an inbox: in [defaults] for all of them, in [[inbox]] for one.

Knows how it is spelt; nothing of files or of what it is for.
"""

from __future__ import annotations

import grp
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from transcribed.config import filename_patterns
from transcribed.config.fields import AbsolutePath, Mode, Seconds
from transcribed.config.recording import InboxDefaults, RecordingSettings, channel_names, with_hotwords
from transcribed.core.types import Options, Source
from transcribed.output.layout import Style
from transcribed.output.renderer import OutputSettings
from transcribed.system.safe_open import Permissions

QUIET_SECONDS = (20.0, 5.0)  # by default on a share, on a local disk
RESCAN_SECONDS = (10.0, 60.0)  # by default where an inbox is polled, where events arrive
_EXTENSION = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{1,4}$")  # of media: what follows a dot in a date is none


def _group(name: str) -> str:
    try:
        grp.getgrnam(name)
    except KeyError:
        raise ValueError("there is no such group on this machine") from None
    return name


def _pattern(text: str) -> str:
    filename_patterns.compile_pattern(text)
    return text


class InboxSettings(RecordingSettings):
    """What may be said of every inbox, in [defaults] for all of them and in [[inbox]] for one."""

    model: str = Field(
        "demo",
        description='"demo" (shipped, a few dozen words), a name such as "iic/SenseVoiceSmall", or an absolute path.',
    )
    punctuation: str = Field(
        "",
        description="A model that puts marks, for recognizers that put none (Paraformer): a name such as "
        '"iic/punc_ct-transformer_zh-cn-common-vocab272727-pytorch", or an absolute path.',
    )
    hotwords_file: AbsolutePath | None = Field(
        None,
        examples=["/etc/transcribed/hotwords.txt"],
        description="Words to expect, one per line.  Default: hotwords.txt beside this file, if it is there.",
    )
    name_pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        None,
        examples=["freepbx"],
        description='What names of recordings tell, for the JSON: "freepbx", "freeswitch", "zoom", "whatsapp", '
        '"dated", or a regular expression with named groups.',
    )
    min_coverage: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Share of the speech heard that should become words; below it, a transcript is suspicious."
    )
    output_names: Literal["full", "stem", "media"] = Field(
        "full",
        description='Of a.wav: "full": a.wav.txt, "stem": a.txt, "media": a.txt, and subtitles as players seek them: '
        "a.en.srt.",
    )
    output_mode: Mode = Field("0664", description="Mode of the files written; folders can be entered besides.")
    output_group: Annotated[str, AfterValidator(_group)] | None = Field(
        None, examples=["users"], description="Group of the files written.  Default: that of the folder or the service."
    )
    bom: bool = Field(False, description="Begin txt, srt, tsv and lrc with a byte order mark, for old Windows editors.")
    time_marks: bool = Field(False, description="Say in txt and md when each paragraph begins.")
    sdh: bool = Field(False, description="Subtitles tell of sounds, too, as [applause].")
    max_line_width: Annotated[int, Field(ge=16, le=200)] | None = Field(
        None,
        examples=[42],
        description="Columns of a subtitle's line; a Chinese character takes two.  Default: by language.",
    )
    max_line_count: int = Field(2, ge=1, le=4, description="Lines of a subtitle.")
    after_success: Literal["keep", "move", "delete"] = Field(
        "keep", description="What becomes of a recording once its transcript is safe."
    )
    move_to: AbsolutePath | None = Field(
        None,
        examples=["/srv/transcribed/done"],
        description='Where recordings go with after_success = "move"; on the file system of the inbox.',
    )
    quiet_seconds: Seconds | None = Field(
        None,
        examples=[5.0],
        description="How long a file must not change before it is read.  Default: 5 on local disks, 20 on shares.",
    )
    watch: Literal["auto", "events", "poll"] = Field(
        "auto", description="How new files are noticed; auto: events on local disks, polling elsewhere."
    )
    rescan_seconds: Annotated[float, Field(gt=0, le=60)] | None = Field(
        None, examples=[60.0], description="How often the inbox is walked.  Default: 60 with events, 10 when polling."
    )
    ignore: tuple[str, ...] = Field(
        (), description='Name patterns to pass over, besides the built-in ones, such as "*.bak".'
    )
    priority: Literal["low", "normal", "high"] = Field(
        "normal", description="Files of a higher priority leave as if they had come an hour earlier."
    )


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """How an inbox is watched on the file system it lies on."""

    by_events: bool
    rescan_seconds: float
    quiet_seconds: float


class Inbox(InboxSettings):
    """A folder of recordings and the folder of its transcripts."""

    path: AbsolutePath = Field(description="Where recordings are dropped.")
    outbox: AbsolutePath = Field(description="Where transcripts appear.")

    @property
    def rank(self) -> int:
        return ("low", "normal", "high").index(self.priority) - 1

    @property
    def options(self) -> Options:
        """What its recordings are recognized with, unless they say otherwise."""
        return with_hotwords(Options(self.model, self.language, self.itn, self.punctuation), self.hotwords)

    def watch_plan(self, is_local: bool) -> WatchPlan:
        """Decide for a folder on a local disk or on a share, where events do not tell what others change."""
        by_events = is_local if self.watch == "auto" else self.watch == "events"
        return WatchPlan(
            by_events,
            self.rescan_seconds or RESCAN_SECONDS[by_events],
            self.quiet_seconds or QUIET_SECONDS[is_local],
        )

    @property
    def defaults(self) -> InboxDefaults:
        """What a preparer must know of it, but for the version of the model."""
        return InboxDefaults(
            self.options, channel_names(self.channels), self.hotwords_file, self._pattern(), self.min_coverage
        )

    def _pattern(self) -> re.Pattern[str] | None:
        return filename_patterns.compile_pattern(self.name_pattern) if self.name_pattern else None

    @property
    def output_settings(self) -> OutputSettings:
        return OutputSettings(self.formats, self.style, self.output_names, self.bom)

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            int(self.output_mode, 8), grp.getgrnam(self.output_group).gr_gid if self.output_group else -1
        )

    def output_name(self, source: Source) -> str:
        """What its transcripts are called, without the suffix of a format."""
        return source.name if self.output_names == "full" else _EXTENSION.sub("", source.name)

    @property
    def style(self) -> Style:
        return Style(self.time_marks, self.sdh, self.max_line_width, self.max_line_count)
