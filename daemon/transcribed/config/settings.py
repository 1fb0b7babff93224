"""The shape of the configuration: every table and key, with its meaning, default and bounds.

Knows settings; how values are spelt is in fields.py, what may be said of an inbox in inbox.py.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from transcribed.config.fields import AbsolutePath, Device, Seconds, Share, ShareOrSize, Table, Url
from transcribed.config.inbox import Inbox, InboxSettings
from transcribed.pipeline.scheduling.gpu_policy import Policy, Schedule, ScheduledPolicy
from transcribed.system.cron import cron_trigger
from transcribed.system.log_rotation import Rotation


def _cron(expression: str) -> str:
    cron_trigger(expression, UTC)
    return expression


def _upkeep_cron(expression: str) -> str:
    if cron_trigger(expression, UTC).get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("it never comes")
    return expression


def _bytes(text: str) -> str:
    if any(ord(character) > 255 for character in text):
        raise ValueError('each character stands for a byte, as in "\\u0002#!SILK"')
    return text


Cron = Annotated[str, AfterValidator(_cron)]
UpkeepCron = Annotated[str, AfterValidator(_upkeep_cron)]


class PrepareSettings(Table):
    processes: int = Field(
        1, ge=1, le=64, description="Processes that decode and find speech, each one core and 0.5 GB."
    )
    max_hours: float = Field(12.0, gt=0, le=100, description="Longer recordings are refused.")
    max_gib: float = Field(64.0, gt=0, description="Larger files are refused.")
    min_free: ShareOrSize = Field(
        1.0 * 2**30,
        description='Free space of the spool\'s disk below which no file is begun: a share, or a size such as "1 GiB".',
    )
    stall_seconds: Seconds = Field(60.0, description="A file that makes no progress for so long is given up for now.")


class DecoderSettings(Table):
    """A program for what FFmpeg cannot decode.  It must write WAV to its standard output."""

    match: str = Field(min_length=1, description="Names that it is for, as a pattern.")
    command: tuple[str, ...] = Field(
        min_length=1,
        description='The program and its arguments; "{file}" stands for the recording, else its input is it.',
    )
    starts_with: Annotated[str, AfterValidator(_bytes)] | None = Field(
        None, description="First bytes that such a file must have besides."
    )


class RecognizeSettings(Table):
    device: Device = Field(
        "auto",
        description='Where models run: "cuda" (all cards), "cuda:0", the UUID of a card or of a part of it, or "cpu".  '
        '"auto": all cards, or the CPU where nothing of NVIDIA is on the machine.',
    )
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Numeric type of large products; auto: the fastest that gives the same words."
    )
    threads: int = Field(0, ge=0, description="Threads of a recognizer on the CPU; 0: one per core.")
    batch_seconds: Seconds = Field(
        0.5, description="A batch is made no larger than what takes so long: what comes next waits behind it."
    )
    padded_seconds: Annotated[float, Field(ge=30)] | None = Field(
        None,
        examples=[120.0],
        description="Most audio in one batch, padding included, in seconds.  Default: 120 on a CPU, 6000 on a card.",
    )
    max_segments: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, examples=[64], description="Most segments in one batch.  Default: 64 on a CPU, 512 on a card."
    )
    patience_seconds: Seconds = Field(
        120.0, description="A batch may take so long, plus ten times its audio, before its worker is replaced."
    )
    idle_exit_seconds: Annotated[float, Field(ge=0)] = Field(
        900.0,
        description="A recognizer without work for so long leaves, with all its memory, and comes back by itself; "
        "0: never.",
    )


class PolicySettings(Table):
    """How much of a card is ours."""

    vram_reserve: ShareOrSize = Field(
        0.1, description='Memory of each card left to others: a size such as "2 GiB", or a share such as 0.1 or "10%".'
    )
    max_share: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="Most of a card's memory we may hold.")
    pause: bool = Field(False, description="Use no card at all.")
    yield_to_others: bool = Field(False, description="Wait while other programs compute on the card.")


class PolicyRule(PolicySettings):
    """Holds from when `cron` matches until the cron of another rule does; what it leaves out is as in [gpu]."""

    cron: Cron = Field(description="Minute, hour, day, month, weekday; local time.")


class GpuSettings(PolicySettings):
    policy: tuple[PolicyRule, ...] = Field((), description="What holds at which times.")

    @property
    def schedule(self) -> Schedule:
        return Schedule(_policy(self), [ScheduledPolicy(rule.cron, _policy(rule)) for rule in self.policy])


def _policy(settings: PolicySettings) -> Policy:
    return Policy(settings.vram_reserve, settings.max_share, settings.pause, settings.yield_to_others)


class LogSettings(Table):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    folder: AbsolutePath | None = Field(
        None,
        examples=["/var/log/transcribed"],
        description="Also log JSON lines to this folder.  Default: $LOGS_DIRECTORY under systemd.",
    )
    rotation: Literal["daily", "external"] = Field(
        "daily",
        description='Who rotates the files in the folder: the service, or others such as logrotate ("external").',
    )
    rotate: UpkeepCron = Field("0 0 * * *", description="When they are rotated and compressed; UTC.")
    max_mib: float = Field(50.0, ge=0.1, description="A larger file is rotated at once.")
    keep: int = Field(7, ge=1, le=10_000, description="Rotated files that are kept, of each.")

    @property
    def rotated(self) -> Rotation:
        return Rotation(int(self.max_mib * 2**20), self.keep, external=self.rotation == "external")


class HousekeepingSettings(Table):
    """When the service looks after itself; all times are UTC."""

    clean: UpkeepCron = Field("0 */2 * * *", description="When temporary files that nobody will finish are removed.")
    ledger: UpkeepCron = Field("30 3 * * sun", description="When the ledger is checked, and forgets what is old.")
    keep_days: float = Field(
        365.0,
        ge=1,
        description="The ledger forgets recordings that were done so long ago, and have left their inbox.",
    )
    heartbeat: UpkeepCron = Field("0 * * * *", description="When a line in the log says what was done and what waits.")
    ping_url: Url | None = Field(
        None,
        examples=["https://hc-ping.com/..."],
        description="Fetched every 5 minutes, with /fail behind it while something is wrong: a service elsewhere that "
        "misses it tells you.  Under systemd it needs the drop-in alerts-network.conf.",
    )


class AlertSettings(Table):
    """Who is told when something needs a hand, and from when on it does.  All of it is in alert.log, too."""

    urls: tuple[SecretStr, ...] = Field(
        (),
        description='Where alerts go, as URLs of Apprise: "mailtos://user:password@example.org", "dingtalk://...", '
        '"feishu://...", "wecombot://...", "slack://...", "ntfy://...".',
    )
    credentials: tuple[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], ...] = Field(
        (),
        description="Credentials of systemd (LoadCredential=) that hold such URLs, one per line: secrets stay out of "
        'this file.  Such as ["alerts"].',
    )
    repeat_hours: Annotated[float, Field(gt=0)] = Field(4.0, description="How often what stays bad is told of again.")
    vram_limit: Share = Field(0.9, description="Share of a card's memory in use, by whomever, above which it is full.")
    vram_readings: int = Field(3, ge=1, description="Readings in a row above it before an alert.")
    vram_every_minutes: Annotated[float, Field(gt=0)] = Field(15.0, description="How often it is read for this.")
    ram_available: ShareOrSize = Field(
        0.05, description='Least memory of the machine that must be available: a share, or a size such as "2 GiB".'
    )
    ram_ours: ShareOrSize = Field(0.8, description="Most memory that all our processes may hold together, likewise.")
    disk_free: ShareOrSize = Field(
        2.0 * 2**30, description="Least free space on the disks of state, spool and outboxes, likewise."
    )
    inodes_free: Share = Field(0.02, description="Least share of their inodes that must be free.")
    waiting_hours: Annotated[float, Field(gt=0)] = Field(24.0, description="How long a file may wait.")
    restarts: int = Field(5, ge=0, description="How many workers may die within an hour.")
    failed_files: int = Field(0, ge=0, description="How many files of an inbox may fail within 4 hours.")


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
    decoder: tuple[DecoderSettings, ...] = Field((), description="One table per program that decodes.")
    recognize: RecognizeSettings = RecognizeSettings()
    gpu: GpuSettings = GpuSettings()
    log: LogSettings = LogSettings()
    alerts: AlertSettings = Field(
        AlertSettings(), description="Who is told when something needs a hand.  All of it is in alert.log, too."
    )
    housekeeping: HousekeepingSettings = HousekeepingSettings()

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

    def inbox_of(self, path: Path) -> Inbox | None:
        """Return the inbox that a path lies in."""
        return next((inbox for inbox in self.inbox if inbox.path in path.parents), None)

    @property
    def spool_dir(self) -> Path:
        return self.state_dir / "spool"


def log_folder(settings: Settings) -> Path | None:
    """Where JSON logs go: as configured, or where systemd made a folder for them."""
    return settings.log.folder or _directory("LOGS_DIRECTORY")
