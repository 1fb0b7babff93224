"""The TOML file -> frozen settings; and which folder wants what.  The only module that knows how settings are spelt.

Every fault is reported at once, with its place and a suggestion.  Knows folders and numbers; builds nothing.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from transcribed.errors import Misconfigured
from transcribed.formats import FORMATS, Format


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return Path(os.path.normpath(path))


def _octal(mode: str) -> str:
    if not 0 <= int(mode, 8) <= 0o777:
        raise ValueError("must be an octal file mode such as 0664")
    return mode


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Seconds = Annotated[float, Field(gt=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InboxSettings(_Model):
    """What may be said of every inbox, in [defaults] for all of them and in [[inbox]] for one."""

    model: str = Field(
        "demo",
        description='"demo" (shipped, a few dozen words), a name such as "iic/SenseVoiceSmall", or an absolute path.',
    )
    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field(
        "auto", description="The language spoken, or auto."
    )
    itn: bool = Field(True, description="Write numbers and punctuation as people do (inverse text normalization).")
    formats: tuple[Format, ...] = Field(FORMATS, min_length=1, description="The files written for each recording.")
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
    output_mode: Annotated[str, AfterValidator(_octal)] = Field("0664", description="Mode of the files written.")


class Inbox(InboxSettings):
    """A folder of recordings and the folder of its transcripts."""

    path: AbsolutePath = Field(description="Where recordings are dropped.")
    outbox: AbsolutePath = Field(description="Where transcripts appear.")


class PrepareSettings(_Model):
    processes: int = Field(
        1, ge=1, le=64, description="Processes that decode and find speech, each one core and 0.5 GB."
    )
    max_hours: float = Field(12.0, gt=0, le=100, description="Longer recordings are refused.")
    max_gib: float = Field(64.0, gt=0, description="Larger files are refused.")
    stall_seconds: Seconds = Field(60.0, description="A file that makes no progress for so long is given up for now.")


class RecognizeSettings(_Model):
    device: Literal["cpu"] = Field("cpu", description="Where models run.")
    threads: int = Field(0, ge=0, description="Threads of the recognizer; 0: one per core.")
    padded_seconds: float = Field(120.0, ge=30, description="Seconds of audio in one batch, padding included.")
    max_segments: int = Field(64, ge=1, description="Segments in one batch.")
    patience_seconds: Seconds = Field(
        120.0, description="A batch may take so long, plus ten times its audio, before its worker is replaced."
    )


class LogSettings(_Model):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    folder: AbsolutePath | None = Field(
        None,
        examples=["/var/log/transcribed"],
        description="Also log JSON lines to this folder.  Default: $LOGS_DIRECTORY under systemd.",
    )


def _directory(variable: str) -> Path | None:
    """What systemd made for us (systemd.exec(5)); the first, if there are several."""
    value = os.environ.get(variable, "").split(":")[0]
    return Path(value) if value else None


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="TRANSCRIBED_", env_nested_delimiter="__", validate_default=True
    )

    state_dir: AbsolutePath = Field(
        default_factory=lambda: _directory("STATE_DIRECTORY") or Path("/var/lib/transcribed"),
        description="The ledger and the spool; on a local disk.  Default: $STATE_DIRECTORY, or /var/lib/transcribed.",
    )
    models_dir: AbsolutePath = Field(
        default_factory=lambda: (_directory("CACHE_DIRECTORY") or Path("/var/cache/transcribed")) / "models",
        description="Where `transcribed models pull` puts models.  Default: $CACHE_DIRECTORY/models.",
    )
    vad_model: str = Field(
        "demo",
        description='Finds speech: "demo", a name such as "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch", or a path.',
    )
    defaults: InboxSettings = Field(InboxSettings(), description="For every inbox, unless it says otherwise.")
    inbox: tuple[Inbox, ...] = Field((), description="One table per inbox.")
    prepare: PrepareSettings = PrepareSettings()
    recognize: RecognizeSettings = RecognizeSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes over the file."""
        return env_settings, init_settings

    @property
    def spool_dir(self) -> Path:
        return self.state_dir / "spool"


def load(path: Path) -> Settings:
    """Read and check a configuration file.  Raises Misconfigured with one line per fault."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.", "Name another with --config.") from error
    except ValueError as error:
        raise Misconfigured(f"{path} is not TOML: {error}.") from error
    try:
        settings = Settings(**_with_defaults(document))
    except ValidationError as error:
        raise Misconfigured("\n".join(f"{path.name}: {line}" for line in _explained(error))) from error
    if faults := list(check_folders(settings)):
        raise Misconfigured("\n".join(f"{path.name}: {fault}" for fault in faults))
    return settings


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Each inbox completed by [defaults]; faults in either are found where they are written."""
    defaults = document.get("defaults", {})
    inboxes = document.get("inbox", [])
    if not isinstance(defaults, dict) or not isinstance(inboxes, list):
        return document
    known = {key: value for key, value in defaults.items() if key in InboxSettings.model_fields}
    return document | {"inbox": [known | inbox if isinstance(inbox, dict) else inbox for inbox in inboxes]}


def _explained(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        if fault["type"] == "extra_forbidden":
            yield f"{place}: unknown key{_suggestion(fault['loc'])}"
        else:
            given = "" if fault["type"] == "missing" else f" (it is {fault['input']!r})"
            yield f"{place}: {fault['msg'].removeprefix('Value error, ')}{given}"


def _suggestion(place: tuple[int | str, ...]) -> str:
    tables: dict[str, type[BaseModel]] = {
        "inbox": Inbox,
        "defaults": InboxSettings,
        "prepare": PrepareSettings,
        "recognize": RecognizeSettings,
        "log": LogSettings,
    }
    table = tables.get(str(place[0]), Settings) if len(place) > 1 else Settings
    near = difflib.get_close_matches(str(place[-1]), table.model_fields, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def check_folders(settings: Settings) -> Iterator[str]:
    """A sentence per folder that cannot serve.  A folder that is missing may be a share that is away, and passes."""
    if not settings.inbox:
        yield "there is no [[inbox]]; name at least one folder with `path` and `outbox`"
    for inbox in settings.inbox:
        yield from _check_places(inbox, settings)
        yield from _check_rights(inbox)
    for one, other in _pairs(settings.inbox):
        if _within(one.path, other.path) or _within(other.path, one.path):
            yield f"the inboxes {one.path} and {other.path} lie in each other; every file would be found twice"
        if _within(one.outbox, other.outbox) or _within(other.outbox, one.outbox):
            yield f"{one.path} and {other.path} share the outbox {one.outbox}; give each its own, or equal names meet"


def _check_places(inbox: Inbox, settings: Settings) -> Iterator[str]:
    for what, folder in (("outbox", inbox.outbox), ("state_dir", settings.state_dir), ("move_to", inbox.move_to)):
        if folder and any(_within(folder, other.path) for other in settings.inbox):
            yield f"the {what} {folder} lies in an inbox; what is written there would be taken for recordings"
    if inbox.after_success == "move" and not inbox.move_to:
        yield f'the inbox {inbox.path} has after_success = "move" but no move_to'
    if inbox.move_to and _on_two_file_systems(inbox.move_to, inbox.path):
        yield f"move_to {inbox.move_to} is on another file system than the inbox {inbox.path}"


def _on_two_file_systems(one: Path, other: Path) -> bool:
    return os.path.exists(one) and os.path.exists(other) and one.stat().st_dev != other.stat().st_dev


def _check_rights(inbox: Inbox) -> Iterator[str]:
    moves = inbox.after_success != "keep"
    yield from _check_access(inbox.path, os.R_OK | os.X_OK | (os.W_OK if moves else 0))
    yield from _check_access(inbox.outbox, os.W_OK | os.X_OK)


def _check_access(folder: Path, rights: int) -> Iterator[str]:
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{folder} cannot be reached by this user (uid {os.getuid()}): {error.strerror}"
        return
    if not is_folder:
        yield f"{folder} is not a folder"
    elif not os.access(folder, rights):
        verb = "written" if rights & os.W_OK else "read"
        advice = "grant the right, or add the user to its group"
        yield f"{folder} cannot be {verb} by this user (uid {os.getuid()}); {advice}"


def _pairs(inboxes: Sequence[Inbox]) -> Iterator[tuple[Inbox, Inbox]]:
    return ((one, other) for place, one in enumerate(inboxes) for other in inboxes[place + 1 :])


def _within(path: Path, folder: Path) -> bool:
    path, folder = path.resolve(), folder.resolve()
    return path == folder or folder in path.parents


def log_folder(settings: Settings) -> Path | None:
    """Where JSON logs go: as configured, or where systemd made a folder for them."""
    return settings.log.folder or _directory("LOGS_DIRECTORY")
