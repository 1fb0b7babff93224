"""The events of the mailbox: everything that happens outside the run loop, as reported to it.

Frozen, like the value types they carry.  Knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcribed.core.telemetry import Footprint, Reading, WorkerProfile
from transcribed.core.types import Batch, Preparation, Recognition, Source


@dataclass(frozen=True, slots=True)
class Settled:
    """A file has settled; `returned` if it had been gone, so that it is tried again even if this version is known."""

    source: Source
    returned: bool = False


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
    """An idle worker has released its cached memory and reports its footprint."""

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
    """The inbox's after-success action on a source is complete."""

    job_id: int


@dataclass(frozen=True, slots=True)
class SourceCleanupPending:
    """The action must go on later: somebody still writes the file, or it waits for a second look."""

    job_id: int


@dataclass(frozen=True, slots=True)
class SourceCleanupFailed:
    job_id: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has started in a slot."""

    slot: str
    profile: WorkerProfile | None = None


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The worker of a slot is gone: it exited, died or was killed."""

    slot: str
    lost: bool = False  # it was running and did not exit by itself


@dataclass(frozen=True, slots=True)
class SlotUnavailable:
    """No worker can start in a slot for now, or the old one cannot be killed; `error` is a sentence."""

    slot: str
    error: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A new NVML reading of the cards."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class MeasuringFailed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """A request to retry a failed or waiting file now; with `done`, also one that has a transcript."""

    path: Path
    done: bool = False


@dataclass(frozen=True, slots=True)
class SpoolListed:
    """The jobs with audio in the spool; the audio of inactive jobs is left over."""

    job_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class RowsOutdated:
    """Jobs that the ledger may forget if they ended earlier than `before`: their files are gone."""

    job_ids: tuple[int, ...]
    before: float


@dataclass(frozen=True, slots=True)
class CheckpointLedger:
    """The ledger's write-ahead log is due to be folded into its file."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A state change somewhere: look again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Start nothing new, finish what is running, exit.  A second one means exit at once."""


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
    | SourceCleanupPending
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
