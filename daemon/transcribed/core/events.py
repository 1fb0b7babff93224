"""What may enter the mailbox: everything that happens elsewhere, as the one loop is told of it.

Frozen, like the nouns they carry.  Knows nothing but those.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcribed.core.telemetry import Footprint, Reading, WorkerProfile
from transcribed.core.types import Batch, Preparation, Recognition, Source


@dataclass(frozen=True, slots=True)
class Settled:
    source: Source


@dataclass(frozen=True, slots=True)
class Prepared:
    job_id: int
    preparation: Preparation


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job could not be prepared."""

    job_id: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class Recognized:
    batch: Batch
    slot: str
    recognition: Recognition


@dataclass(frozen=True, slots=True)
class MemoryReleased:
    """A worker has nothing in hand, and tells what it holds."""

    slot: str
    footprint: Footprint | None


@dataclass(frozen=True, slots=True)
class BatchFailed:
    batch: Batch
    slot: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class Delivered:
    job_id: int


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    job_id: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class SourceCleanedUp:
    """What was to become of a source has happened."""

    job_id: int


@dataclass(frozen=True, slots=True)
class SourceCleanupFailed:
    job_id: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has come up in a slot."""

    slot: str
    profile: WorkerProfile | None = None


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The worker of a slot is gone, whether it left, died or was ended."""

    slot: str
    lost: bool = False  # it was up, and did not leave by itself


@dataclass(frozen=True, slots=True)
class SlotUnavailable:
    """No worker can come up in a slot for now, or none can be ended; `error` is a sentence."""

    slot: str
    error: str


@dataclass(frozen=True, slots=True)
class Measured:
    """NVML has told of the cards."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class MeasuringFailed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """Somebody asks that a failed or waiting file be tried again now; or one that is done."""

    path: Path
    done: bool = False


@dataclass(frozen=True, slots=True)
class SpoolListed:
    """There is audio in the spool for these jobs; for those that are not in hand, it is left over."""

    job_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class RowsOutdated:
    """The ledger need not know these jobs any more, if they ended before a moment: their files are gone."""

    job_ids: tuple[int, ...]
    before: float


@dataclass(frozen=True, slots=True)
class CheckpointLedger:
    """Time to fold the ledger's write-ahead log into its file."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Something changed; look again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Take nothing new, end what is running, leave.  The second one means now."""


Event = (
    Settled
    | Prepared
    | JobFailed
    | Recognized
    | MemoryReleased
    | BatchFailed
    | Delivered
    | DeliveryFailed
    | SourceCleanedUp
    | SourceCleanupFailed
    | WorkerReady
    | WorkerExited
    | SlotUnavailable
    | Measured
    | MeasuringFailed
    | RetryRequested
    | SpoolListed
    | RowsOutdated
    | CheckpointLedger
    | Wake
    | Stop
)
