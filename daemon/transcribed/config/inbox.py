"""The settings of an inbox: in [defaults] for all of them, in [[inbox]] for one.

Knows their spelling; nothing of files or of what the settings are for.
"""

from __future__ import annotations

import grp
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from transcribed.config import filename_patterns, hotword_file
from transcribed.config.fields import AbsolutePath, Mode, Seconds
from transcribed.config.recording import InboxDefaults, RecordingSettings, channel_names, with_hotwords
from transcribed.core.types import Options, Source
from transcribed.output.layout import Style
from transcribed.output.renderer import OutputSettings
from transcribed.system.safe_open import Permissions

QUIET_SECONDS = (20.0, 5.0)  # defaults: on a share, on a local disk
RESCAN_SECONDS = (10.0, 60.0)  # defaults: when polling, with events
_EXTENSION = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{1,4}$")  # of a media file; digits after a dot are a date


def _group(name: str) -> str:
    try:
        grp.getgrnam(name)
    except KeyError:
        raise ValueError("no such group exists on this machine") from None
    return name


def _pattern(text: str) -> str:
    filename_patterns.compile_pattern(text)
    return text


class InboxSettings(RecordingSettings):
    """The keys of every inbox: in [defaults] for all of them, in [[inbox]] for one."""

    model: str = Field(
        "demo",
        description='Recognition model: "demo" (shipped, a few dozen words), a name such as "iic/SenseVoiceSmall", or '
        "an absolute path.",
    )
    punctuation: str = Field(
        "",
        description="Punctuation model, for recognizers that add none (Paraformer): a name such as "
        '"iic/punc_ct-transformer_zh-cn-common-vocab272727-pytorch", or an absolute path.',
    )
    hotwords_file: AbsolutePath | None = Field(
        None,
        examples=["/etc/transcribed/hotwords.txt"],
        description="File of words to expect, one per line.  Default: hotwords.txt beside this file, if it exists.",
    )
    name_pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        None,
        examples=["freepbx"],
        description='How to read metadata from file names into the JSON: "freepbx", "freeswitch", "zoom", '
        '"whatsapp", "recorder", "dated", or a regular expression with named groups.',
    )
    min_coverage: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Share of the detected speech that must have words; below it, a transcript is suspicious."
    )
    output_names: Literal["full", "stem", "media"] = Field(
        "full",
        description='Names of transcripts, here of a.wav.  "full": a.wav.txt; "stem": a.txt; "media": a.txt, and '
        "subtitles as media players look for them: a.en.srt.",
    )
    output_mode: Mode = Field("0664", description="Mode of written files; folders also get the execute bits.")
    output_group: Annotated[str, AfterValidator(_group)] | None = Field(
        None,
        examples=["users"],
        description="Group of written files.  Default: the group of the folder or of the service.",
    )
    bom: bool = Field(False, description="Start txt, srt, tsv and lrc with a byte order mark, for old Windows editors.")
    time_marks: bool = Field(False, description="Show the start time of each paragraph in txt and md.")
    sdh: bool = Field(False, description="Show sounds in subtitles, such as [applause].")
    max_line_width: Annotated[int, Field(ge=16, le=200)] | None = Field(
        None,
        examples=[42],
        description="Maximum columns per subtitle line; a Chinese character takes two.  Default: by language.",
    )
    max_line_count: int = Field(2, ge=1, le=4, description="Maximum lines per subtitle.")
    after_success: Literal["keep", "move", "delete"] = Field(
        "keep",
        description="What to do with a whole recording once its transcript is safely on disk.",
    )
    move_to: AbsolutePath | None = Field(
        None,
        examples=["/srv/transcribed/done"],
        description='Where recordings are moved with after_success = "move"; must be on the inbox\'s file system.',
    )
    quiet_seconds: Seconds | None = Field(
        None,
        examples=[5.0],
        description="Seconds a file must stay unchanged before it is read.  Default: 5 on local disks, 20 on shares.",
    )
    watch: Literal["auto", "events", "poll"] = Field(
        "auto", description="How new files are noticed.  auto: events on local disks, polling elsewhere."
    )
    rescan_seconds: Annotated[float, Field(gt=0, le=60)] | None = Field(
        None,
        examples=[60.0],
        description="Seconds between full scans of the inbox.  Default: 60 with events, 10 when polling.",
    )
    ignore: tuple[str, ...] = Field(
        (), description='Name patterns to ignore, in addition to the built-in ones, such as "*.bak".'
    )
    hard_links: bool = Field(
        True,
        description="Read files that have another name elsewhere.  false: for an inbox of several users, one of whom "
        "could link to a file of another's, and read its transcript.",
    )
    priority: Literal["low", "normal", "high"] = Field(
        "normal", description="Each higher level counts as having arrived one hour earlier."
    )


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """The way an inbox is watched on its file system."""

    by_events: bool
    rescan_seconds: float
    quiet_seconds: float


class Inbox(InboxSettings):
    """A folder of recordings and the folder for their transcripts."""

    path: AbsolutePath = Field(description="Where recordings are dropped.")
    outbox: AbsolutePath = Field(description="Where transcripts appear.")

    @property
    def rank(self) -> int:
        return ("low", "normal", "high").index(self.priority) - 1

    @property
    def options(self) -> Options:
        """The options for its recordings, unless a file beside them overrides them."""
        options = Options(self.model, self.language, self.itn, self.punctuation)
        return with_hotwords(options, *hotword_file.parse(self.hotwords))

    def watch_plan(self, is_local: bool) -> WatchPlan:
        """Decide for a folder on a local disk or on a share, where events do not report changes by other machines."""
        by_events = is_local if self.watch == "auto" else self.watch == "events"
        return WatchPlan(
            by_events,
            self.rescan_seconds or RESCAN_SECONDS[by_events],
            self.quiet_seconds or QUIET_SECONDS[is_local],
        )

    @property
    def defaults(self) -> InboxDefaults:
        """Everything that a preparer needs of the inbox, except the version of the model."""
        return InboxDefaults(
            self.options,
            channel_names(self.channels),
            self.tracks,
            self.hotwords_file,
            self._pattern(),
            self.min_coverage,
            hard_links=self.hard_links,
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
        """Return the name of a source's transcripts, without the suffix of a format."""
        return source.name if self.output_names == "full" else _EXTENSION.sub("", source.name)

    @property
    def style(self) -> Style:
        return Style(self.time_marks, self.sdh, self.max_line_width, self.max_line_count)
