"""The model of the configuration: every table and key, with its meaning, default and bounds.

Knows settings only; the spelling of values is in fields.py, the keys of an inbox in inbox.py.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from transcribed.config.fields import RARELY_NEEDED, AbsolutePath, Device, Seconds, Share, ShareOrSize, Table, Url
from transcribed.config.inbox import Inbox, InboxSettings
from transcribed.pipeline.scheduling.gpu_policy import Policy, Schedule, ScheduledPolicy
from transcribed.system.cron import cron_trigger
from transcribed.system.log_rotation import Rotation


def _cron(expression: str) -> str:
    cron_trigger(expression, UTC)
    return expression


def _upkeep_cron(expression: str) -> str:
    if cron_trigger(expression, UTC).get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("no moment ever matches this expression")
    return expression


def _bytes(text: str) -> str:
    if any(ord(character) > 255 for character in text):
        raise ValueError('each character must stand for one byte, as in "\\u0002#!SILK"')
    return text


Cron = Annotated[str, AfterValidator(_cron)]
UpkeepCron = Annotated[str, AfterValidator(_upkeep_cron)]


class PrepareSettings(Table):
    processes: int = Field(
        1, ge=1, le=64, description="Number of processes that decode and detect speech; each needs one core and 0.5 GB."
    )
    max_hours: float = Field(12.0, gt=0, le=100, description="Longest recording accepted, in hours.")
    max_gib: float = Field(64.0, gt=0, description="Largest file accepted, in GiB.")
    min_free: ShareOrSize = Field(
        1.0 * 2**30,
        description='Start no new file when the spool\'s disk has less free space: a share, or a size such as "1 GiB".',
    )
    stall_seconds: Seconds = Field(
        60.0,
        description="Stop a file that makes no progress for this long; retry it later.",
        json_schema_extra=RARELY_NEEDED,
    )


class DecoderSettings(Table):
    """A program for formats that FFmpeg cannot decode.  It must write WAV to its standard output."""

    match: str = Field(min_length=1, description='File names it decodes, as a pattern such as "*.ds2".')
    command: tuple[str, ...] = Field(
        min_length=1,
        description='The program and its arguments.  "{file}" stands for the recording; without it, the recording '
        "arrives on standard input.",
    )
    starts_with: Annotated[str, AfterValidator(_bytes)] | None = Field(
        None, description="Bytes that the file must also begin with."
    )


class RecognizeSettings(Table):
    device: Device = Field(
        "auto",
        description='Where models run: "cuda" (all cards), "cuda:0", the UUID of a card or of a MIG instance, or '
        '"cpu".  "auto": all cards, or the CPU on a machine without NVIDIA hardware.',
    )
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Numeric type of matrix products.  auto: the fastest that gives the same words."
    )
    threads: int = Field(0, ge=0, description="Threads per recognizer on the CPU.  0: one per core.")
    batch_seconds: Seconds = Field(
        0.5,
        description="Target time per batch; work that arrives meanwhile waits behind it.",
        json_schema_extra=RARELY_NEEDED,
    )
    padded_seconds: Annotated[float, Field(ge=30)] | None = Field(
        None,
        examples=[120.0],
        description="Maximum audio per batch, in seconds with padding.  Default: 120 on a CPU, 6000 on a card.",
        json_schema_extra=RARELY_NEEDED,
    )
    max_segments: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None,
        examples=[64],
        description="Maximum segments per batch.  Default: 64 on a CPU, 512 on a card.",
        json_schema_extra=RARELY_NEEDED,
    )
    patience_seconds: Seconds = Field(
        120.0,
        description="Time a batch may take, plus ten times its audio, before its worker is replaced.",
        json_schema_extra=RARELY_NEEDED,
    )
    idle_exit_seconds: Annotated[float, Field(ge=0)] = Field(
        900.0,
        description="An idle recognizer exits after this time, freeing all its memory, and starts again when needed.  "
        "0: never exits.",
    )


class PolicySettings(Table):
    """The share of each card that the daemon may use."""

    vram_reserve: ShareOrSize = Field(
        0.1, description='Memory of each card left to others: a size such as "2 GiB", or a share such as 0.1 or "10%".'
    )
    max_share: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="Largest share of a card's memory to use.")
    pause: bool = Field(False, description="Use no card.")
    yield_to_others: bool = Field(False, description="Wait while another program computes on the card.")


class PolicyRule(PolicySettings):
    """A policy in force from when its `cron` matches until another rule's does; keys left out are taken from [gpu]."""

    cron: Cron = Field(description="Minute, hour, day, month, weekday; local time.")


class GpuSettings(PolicySettings):
    policy: tuple[PolicyRule, ...] = Field((), description="Policies for certain times of day.")

    @property
    def schedule(self) -> Schedule:
        return Schedule(_policy(self), [ScheduledPolicy(rule.cron, _policy(rule)) for rule in self.policy])


def _policy(settings: PolicySettings) -> Policy:
    return Policy(settings.vram_reserve, settings.max_share, settings.pause, settings.yield_to_others)


class LogSettings(Table):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    folder: AbsolutePath | None = Field(
        None,
        examples=["/var/log/transcribed"],
        description="Also log JSON lines to this folder.  Default: $LOGS_DIRECTORY under systemd.",
    )
    rotation: Literal["daily", "external"] = Field(
        "daily",
        description='Who rotates the log files: the service ("daily"), or another program such as logrotate '
        '("external").',
    )
    rotate: UpkeepCron = Field(
        "0 0 * * *", description="When log files are rotated and compressed; UTC.", json_schema_extra=RARELY_NEEDED
    )
    max_mib: float = Field(50.0, ge=0.1, description="Rotate a log file at once when it exceeds this size, in MiB.")
    keep: int = Field(7, ge=1, le=10_000, description="Number of rotated files to keep per log.")

    @property
    def rotated(self) -> Rotation:
        return Rotation(int(self.max_mib * 2**20), self.keep, external=self.rotation == "external")


class HousekeepingSettings(Table):
    """Schedules of the service's own maintenance; all times are UTC."""

    clean: UpkeepCron = Field(
        "0 */2 * * *", description="When abandoned temporary files are removed.", json_schema_extra=RARELY_NEEDED
    )
    ledger: UpkeepCron = Field(
        "30 3 * * sun",
        description="When the ledger is checked and old entries are removed.",
        json_schema_extra=RARELY_NEEDED,
    )
    keep_days: float = Field(
        365.0,
        ge=1,
        description="Days after which the ledger forgets finished recordings that are no longer in their inbox.",
    )
    heartbeat: UpkeepCron = Field(
        "0 * * * *",
        description="When a heartbeat line is logged: what is done and what waits.",
        json_schema_extra=RARELY_NEEDED,
    )
    ping_url: Url | None = Field(
        None,
        examples=["https://hc-ping.com/..."],
        description="URL fetched every 5 minutes, with /fail appended while something is wrong.  The monitoring "
        "service behind it notifies you when the requests stop.  Under systemd, needs the drop-in alerts-network.conf.",
    )


class AlertSettings(Table):
    """The destinations of alerts, and the thresholds that trigger them.  Every alert is also in alert.log."""

    urls: tuple[SecretStr, ...] = Field(
        (),
        description='Where alerts are sent, as Apprise URLs: "mailtos://user:password@example.org", "dingtalk://...", '
        '"feishu://...", "wecombot://...", "slack://...", "ntfy://...".',
    )
    credentials: tuple[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], ...] = Field(
        (),
        description="Names of systemd credentials (LoadCredential=) that hold such URLs, one per line, to keep "
        'secrets out of this file.  Example: ["alerts"].',
    )
    repeat_hours: Annotated[float, Field(gt=0)] = Field(
        4.0, description="Interval between reminders while an alert is active."
    )
    vram_limit: Share = Field(0.9, description="Alert when more than this share of a card's memory is in use.")
    vram_readings: int = Field(
        3, ge=1, description="Consecutive readings above `vram_limit` before an alert.", json_schema_extra=RARELY_NEEDED
    )
    vram_every_minutes: Annotated[float, Field(gt=0)] = Field(
        15.0, description="Minutes between these readings.", json_schema_extra=RARELY_NEEDED
    )
    ram_available: ShareOrSize = Field(
        0.05, description='Alert when available memory falls below this: a share, or a size such as "2 GiB".'
    )
    ram_ours: ShareOrSize = Field(0.8, description="Alert when the service's processes together hold more memory.")
    disk_free: ShareOrSize = Field(
        2.0 * 2**30, description="Alert when a disk of the state directory, spool or an outbox has less free space."
    )
    inodes_free: Share = Field(
        0.02,
        description="Alert when one of these disks has a smaller share of free inodes.",
        json_schema_extra=RARELY_NEEDED,
    )
    waiting_hours: Annotated[float, Field(gt=0)] = Field(24.0, description="Alert when a file waits longer.")
    restarts: int = Field(5, ge=0, description="Alert when more workers die within an hour.")
    failed_files: int = Field(0, ge=0, description="Alert when more files of an inbox fail within 4 hours.")


def _directory(variable: str) -> Path | None:
    """Return the directory that systemd set up (systemd.exec(5)); the first, if there are several."""
    value = os.environ.get(variable, "").split(":")[0]
    return Path(value) if value else None


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="TRANSCRIBED_", env_nested_delimiter="__", validate_default=True
    )

    state_dir: AbsolutePath = Field(
        default_factory=lambda: _directory("STATE_DIRECTORY") or Path("/var/lib/transcribed"),
        description="Directory of the ledger and the spool; must be on a local disk.  Default: $STATE_DIRECTORY, or "
        "/var/lib/transcribed.",
        json_schema_extra=RARELY_NEEDED,
    )
    models_dir: AbsolutePath = Field(
        default_factory=lambda: (_directory("CACHE_DIRECTORY") or Path("/var/cache/transcribed")) / "models",
        description="Directory where `transcribed models pull` stores models.  Default: $CACHE_DIRECTORY/models.",
        json_schema_extra=RARELY_NEEDED,
    )
    vad_model: str = Field(
        "demo",
        description='Speech detector: "demo", a name such as "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch" or a path.',
    )
    defaults: InboxSettings = Field(
        InboxSettings(), description="Defaults for every inbox; an [[inbox]] may override each key."
    )
    inbox: tuple[Inbox, ...] = Field((), description="One table per inbox.")
    prepare: PrepareSettings = PrepareSettings()
    decoder: tuple[DecoderSettings, ...] = Field((), description="One table per external decoder.")
    recognize: RecognizeSettings = RecognizeSettings()
    gpu: GpuSettings = GpuSettings()
    log: LogSettings = LogSettings()
    alerts: AlertSettings = Field(
        AlertSettings(), description="Where alerts are sent, and their thresholds.  Every alert is also in alert.log."
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
        """Let the environment take precedence over the file."""
        return env_settings, init_settings

    def inbox_of(self, path: Path) -> Inbox | None:
        """Return the inbox that a path lies in."""
        return next((inbox for inbox in self.inbox if inbox.path in path.parents), None)

    @property
    def spool_dir(self) -> Path:
        return self.state_dir / "spool"


def log_folder(settings: Settings) -> Path | None:
    """Return the folder for JSON logs: as configured, or as set up by systemd; None without either."""
    return settings.log.folder or _directory("LOGS_DIRECTORY")
