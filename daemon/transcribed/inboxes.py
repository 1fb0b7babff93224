"""What may be said of an inbox: in [defaults] for all of them, in [[inbox]] for one.

Knows how it is spelt; nothing of files or of what it is for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from transcribed.formats import USUAL, Format
from transcribed.values import AbsolutePath, Mode, Seconds, Table


class InboxSettings(Table):
    """What may be said of every inbox, in [defaults] for all of them and in [[inbox]] for one."""

    model: str = Field(
        "demo",
        description='"demo" (shipped, a few dozen words), a name such as "iic/SenseVoiceSmall", or an absolute path.',
    )
    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field(
        "auto", description="The language spoken, or auto."
    )
    itn: bool = Field(True, description="Write numbers and punctuation as people do (inverse text normalization).")
    formats: tuple[Format, ...] = Field(USUAL, min_length=1, description="The files written for each recording.")
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
    output_mode: Mode = Field("0664", description="Mode of the files written.")


class Inbox(InboxSettings):
    """A folder of recordings and the folder of its transcripts."""

    path: AbsolutePath = Field(description="Where recordings are dropped.")
    outbox: AbsolutePath = Field(description="Where transcripts appear.")

    @property
    def rank(self) -> int:
        return ("low", "normal", "high").index(self.priority) - 1
