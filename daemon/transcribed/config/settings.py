"""The model of the configuration: every table and key, with its meaning, default and bounds.

Knows settings only; the spelling of values is in fields.py, the keys of an inbox in inbox.py.
"""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from transcribed.config.fields import RARELY_NEEDED, AbsolutePath, Device, Seconds, ShareOrSize, Table
from transcribed.config.inbox import Inbox, InboxSettings
from transcribed.config.operations import AlertSettings, HousekeepingSettings, LogSettings
from transcribed.pipeline.scheduling.gpu_policy import Policy, Schedule, ScheduledPolicy
from transcribed.recognition import public_models
from transcribed.recognition.model_store import DEMO, SILERO
from transcribed.system.cron import cron_trigger


def _cron(expression: str) -> str:
    cron_trigger(expression, UTC)
    return expression


def _bytes(text: str) -> str:
    if any(ord(character) > 255 for character in text):
        raise ValueError('each character must stand for one byte, as in "\\u0002#!SILK"')
    return text


Cron = Annotated[str, AfterValidator(_cron)]


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
    vad_model: str | None = Field(
        None,
        examples=[public_models.DETECTOR],
        description='Speech detector: "silero" (shipped; for calls with hold music, or without a download), "demo", a '
        'name, or an absolute path.  Default: the public FSMN-VAD, or "demo" if no inbox has another model than the '
        "demonstration's.",
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
    def detector(self) -> str:
        """The name or path of the speech detector: a model for people is not fed by one that knows synthetic voices."""
        demonstration = all(inbox.model == DEMO for inbox in self.inbox)
        return self.vad_model or (DEMO if demonstration else public_models.DETECTOR)

    @property
    def public_models(self) -> list[str]:
        """The names of the models that have to be downloaded: not the demonstration's, and none that is a path."""
        return sorted(name for name in self.named_models - {DEMO, SILERO} if not Path(name).is_absolute())

    @property
    def named_models(self) -> set[str]:
        """All models in use, as the configuration names them."""
        return {self.detector, *(name for inbox in self.inbox for name in (inbox.model, inbox.punctuation) if name)}

    @property
    def spool_dir(self) -> Path:
        return self.state_dir / "spool"


def log_folder(settings: Settings) -> Path | None:
    """Return the folder for JSON logs: as configured, or as set up by systemd; None without either."""
    return settings.log.folder or _directory("LOGS_DIRECTORY")
