"""Define what may be configured of logs, tasks at their times, and alerts.

Knows settings; nothing of what becomes of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from transcribed.config.fields import RARELY_NEEDED, AbsolutePath, Share, ShareOrSize, Table, Url
from transcribed.system.cron import cron_trigger
from transcribed.system.log_rotation import Rotation


def _task_cron(expression: str) -> str:
    if cron_trigger(expression, UTC).get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("no moment ever matches this expression")
    return expression


TaskCron = Annotated[str, AfterValidator(_task_cron)]


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
    rotate: TaskCron = Field(
        "0 0 * * *", description="When log files are rotated and compressed; UTC.", json_schema_extra=RARELY_NEEDED
    )
    max_mib: float = Field(50.0, ge=0.1, description="Rotate a log file at once when it exceeds this size, in MiB.")
    keep: int = Field(7, ge=1, le=10_000, description="Number of rotated files to keep per log.")

    @property
    def rotated(self) -> Rotation:
        return Rotation(int(self.max_mib * 2**20), self.keep, external=self.rotation == "external")


class HousekeepingSettings(Table):
    """Schedules of the service's own maintenance; all times are UTC."""

    clean: TaskCron = Field(
        "0 */2 * * *", description="When abandoned temporary files are removed.", json_schema_extra=RARELY_NEEDED
    )
    ledger: TaskCron = Field(
        "30 3 * * sun",
        description="When the ledger is checked and old entries are removed.",
        json_schema_extra=RARELY_NEEDED,
    )
    keep_days: float = Field(
        365.0,
        ge=1,
        description="Days after which the ledger forgets finished recordings that are no longer in their inbox.",
    )
    heartbeat: TaskCron = Field(
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
