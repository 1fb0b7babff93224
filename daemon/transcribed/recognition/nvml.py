"""What NVIDIA's management library (NVML) tells of the cards: memory, load, temperature, faults.  Nothing else.

The only module that calls NVML, and only from a process of its own: a call may hang in the kernel for ever, and a
driver that was replaced answers only those who load its library anew.  Knows cards; nothing of batches or slots.
"""

from __future__ import annotations

import contextlib
import glob
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pynvml

from transcribed.core.errors import DeviceLost
from transcribed.core.telemetry import Card, Reading

Answer = TypeVar("Answer")

_SIGNS = ("/dev/nvidia*", "/proc/driver/nvidia", "/usr/lib/wsl/lib/libnvidia-ml.so*")  # of a driver, or of WSL's
_NOT_AVAILABLE = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE, in nvml.h
_GONE_FOR_THIS_PROCESS = {
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "The NVIDIA driver was replaced while the system ran; reboot if it stays."
    ),
    pynvml.NVML_ERROR_UNKNOWN: "NVML gave an unknown error; in a container the card may have been taken away.",
    pynvml.NVML_ERROR_UNINITIALIZED: "NVML forgot that it was initialized.",
}
_NO_CARDS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "NVML (libnvidia-ml.so.1) is not installed; install the NVIDIA driver.",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "The NVIDIA driver is not loaded; see `dmesg` and `nvidia-smi`.",
    pynvml.NVML_ERROR_NO_PERMISSION: "This user may not use the NVIDIA driver; give it access to /dev/nvidia*.",
}
_NO_MEMORY = "The card does not tell how much of its memory is free."
_NO_INSTANCES = "The card is in MIG mode but has no instances; make some (`nvidia-smi mig`), or end the mode."
_CARD_TROUBLES = {
    pynvml.NVML_ERROR_NO_PERMISSION: "This user may not use the card; give it access to /dev/nvidia*.",
    pynvml.NVML_ERROR_NOT_SUPPORTED: _NO_MEMORY,
    pynvml.NVML_ERROR_GPU_IS_LOST: (
        "The card is lost to the system; reboot, and if it comes again, check its power and seat."
    ),
    pynvml.NVML_ERROR_RESET_REQUIRED: "The card must be reset (`nvidia-smi --gpu-reset`) before it can be used.",
}
# nvmlDeviceGpuRecoveryAction_t in nvml.h
_RECOVERY = {
    1: "stop all that uses the card, this service too, and reset it (`nvidia-smi --gpu-reset`)",
    2: "reboot the machine",
    3: "end all work that uses peer-to-peer memory",
    4: "end all work on the card, then reset it",
    6: "reset the card's bus",
    7: "reboot the system",
}
# Recommended actions from NVIDIA's Xid catalog, docs.nvidia.com/deploy/xid-errors; all others: look there.
_RESTART = "the program that used it must be restarted"
_RESET = "stop all that uses the card, this service too, and reset it (`nvidia-smi --gpu-reset`)"
_XID_ACTIONS = dict.fromkeys((8, 11, 13, 31, 41, 94), _RESTART) | dict.fromkeys((95, 109, 119, 120), _RESET)
_XID_ACTIONS[79] = "it has fallen off the bus; reboot the machine, and check its power and seat"


class CardMonitor:
    """Called with the process ids of our own workers, answers with a Reading.  Lives in the monitoring process."""

    def __init__(self) -> None:
        self._ready = False
        self._events: Any = None
        self._seen: dict[str, int] = {}  # uuid -> time stamp of the last sample of its processes, microseconds
        self._uuids: dict[tuple[int, int | None], str] = {}  # as last told, for cards that do not answer any more
        self._told_apart = False  # one of our processes was listed once: process ids mean the same here and there

    def __call__(self, ours: frozenset[int], heartbeat: Callable[[], None]) -> Reading:
        """Raises DeviceLost where only another process can go on."""
        at = time.monotonic()
        try:
            self._initialize()
            driver = _text(pynvml.nvmlSystemGetDriverVersion())
            return Reading(self._cards(ours, heartbeat), driver, faults=self._faults(), at=at)
        except pynvml.NVMLError as error:
            if error.value in _GONE_FOR_THIS_PROCESS:
                raise DeviceLost(_GONE_FOR_THIS_PROCESS[error.value]) from error
            absent = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND and not is_expected()
            return Reading(trouble=_NO_CARDS.get(error.value, f"NVML cannot be asked: {error}."), absent=absent)

    def start(self) -> None:
        """Before the first call, and without its deadline: where no driver is kept in memory it takes seconds."""
        with contextlib.suppress(pynvml.NVMLError):  # the first call will tell
            self._initialize()

    def _initialize(self) -> None:
        if self._ready:
            return
        pynvml.nvmlInit()
        self._ready = True
        with contextlib.suppress(pynvml.NVMLError):  # faults are told where the driver can; they are not needed
            self._events = pynvml.nvmlEventSetCreate()
            for index in range(pynvml.nvmlDeviceGetCount()):
                with contextlib.suppress(pynvml.NVMLError):  # one card that cannot does not silence the others
                    card = pynvml.nvmlDeviceGetHandleByIndex(index)
                    pynvml.nvmlDeviceRegisterEvents(card, pynvml.nvmlEventTypeXidCriticalError, self._events)

    def _cards(self, ours: frozenset[int], heartbeat: Callable[[], None]) -> tuple[Card, ...]:
        """What does not answer says why; the others go on.  An unknown error of one is its own, of all the driver's."""
        cards: list[Card] = []
        unknown: list[pynvml.NVMLError] = []
        for place in _places():
            heartbeat()
            id = f"cuda:{len(cards)}"
            try:
                cards.append(self._card(id, place, ours))
            except pynvml.NVMLError as error:
                if error.value == pynvml.NVML_ERROR_UNKNOWN:
                    unknown.append(error)
                elif error.value in _GONE_FOR_THIS_PROCESS:
                    raise
                trouble = _CARD_TROUBLES.get(error.value, f"The card does not answer: {error}.")
                cards.append(Card(id, self._uuids.get(place, ""), "", 0, 0, 0, trouble=trouble))
        if unknown and len(unknown) == len(cards):
            raise unknown[0]
        return tuple(cards)

    def _card(self, id: str, place: tuple[int, int | None], ours: frozenset[int]) -> Card:
        index, instance = place
        card = handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        if instance is not None:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, instance)
        memory, reserved = _memory(handle)
        uuid = self._uuids[place] = _uuid(handle)
        others_bytes, visible = self._held_by_others(handle, ours)
        unusable = _NO_INSTANCES if instance is None and _is_divided(card) else None
        rates = _query(pynvml.nvmlDeviceGetUtilizationRates, handle)
        return Card(
            id=id,
            uuid=uuid,
            name=_text(pynvml.nvmlDeviceGetName(handle)),
            total_bytes=int(memory.total),
            free_bytes=int(memory.free),
            used_bytes=int(memory.used),
            reserved_bytes=reserved,
            utilization=rates.gpu / 100 if rates else None,
            celsius=_query(pynvml.nvmlDeviceGetTemperature, card, pynvml.NVML_TEMPERATURE_GPU),
            others_bytes=others_bytes,
            others_busy=self._others_busy(uuid, handle, ours) if visible else None,
            trouble=_recommended(card)
            or unusable
            or (None if memory.free <= memory.total < _NOT_AVAILABLE else _NO_MEMORY),
        )

    def _held_by_others(self, handle: Any, ours: frozenset[int]) -> tuple[int | None, bool]:
        """Bytes held by processes that are not ours, and whether processes can be told apart at all.

        In a container without the host's process ids, ours are never among those listed: then nobody can be told from
        us.  Where one of ours was listed once, on whatever card, they can.
        """
        # without a version it raises an error of another kind, if the driver is older than pynvml
        processes = _query(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if processes is None:
            return None, False
        self._told_apart = self._told_apart or any(process.pid in ours for process in processes)
        if ours and processes and not self._told_apart:
            return None, False
        held = [process.usedGpuMemory for process in processes if process.pid not in ours]
        return (None if None in held else sum(held)), True

    def _others_busy(self, uuid: str, handle: Any, ours: frozenset[int]) -> bool | None:
        """Whether another process computed since the last reading; None where the driver does not tell."""
        first, since = uuid not in self._seen, self._seen.get(uuid, 0)
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(handle, since)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_NOT_FOUND:
                return None
            samples = []  # nobody computed
        # drivers were seen to fill up with garbage: old samples, and more than 100 %
        samples = [sample for sample in samples if sample.timeStamp > since and sample.smUtil <= 100]
        self._seen[uuid] = max([since, *(sample.timeStamp for sample in samples)])
        if first and samples:  # of any age
            return None
        return any(sample.smUtil for sample in samples if sample.pid not in ours)

    def _faults(self) -> tuple[str, ...]:
        """What the driver reported since the last reading, with NVIDIA's advice."""
        faults: list[str] = []
        while self._events is not None and len(faults) < 100:
            event = _query(pynvml.nvmlEventSetWait_v2, self._events, 0)
            if event is None:  # nothing more has happened
                break
            xid = int(event.eventData)
            advice = _XID_ACTIONS.get(xid, "see NVIDIA's Xid catalog")
            faults.append(f"The driver reports Xid {xid} for {_query(_uuid, event.device) or 'a card'}: {advice}.")
        return tuple(faults)


def _query(question: Callable[..., Answer], *args: Any) -> Answer | None:
    """The answer, or None where the driver cannot tell; a lost driver is an error still."""
    try:
        return question(*args)
    except pynvml.NVMLError as error:
        if error.value in _GONE_FOR_THIS_PROCESS:
            raise
        return None


def _places() -> Iterator[tuple[int, int | None]]:
    """What CUDA can compute on: the number of each card, or with it those of the MIG instances it is divided into."""
    for index in range(pynvml.nvmlDeviceGetCount()):
        instances: list[int | None] = []
        with contextlib.suppress(pynvml.NVMLError):  # who asks the card itself will hear of it
            instances += _instances(pynvml.nvmlDeviceGetHandleByIndex(index))
        yield from ((index, instance) for instance in instances or [None])


def _is_divided(card: Any) -> bool:
    mode = _query(pynvml.nvmlDeviceGetMigMode, card)
    return bool(mode and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE)


def _instances(card: Any) -> list[int]:
    numbers = range((_is_divided(card) and _query(pynvml.nvmlDeviceGetMaxMigDeviceCount, card)) or 0)
    return [n for n in numbers if _query(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, card, n) is not None]


def _memory(handle: Any) -> tuple[Any, int | None]:
    """Version 2 counts the driver's own share apart; drivers before 510 know version 1 only."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value not in (
            pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            pynvml.NVML_ERROR_NOT_SUPPORTED,
            pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        ):
            raise
        return pynvml.nvmlDeviceGetMemoryInfo(handle), None
    return memory, int(memory.reserved) if memory.reserved != _NOT_AVAILABLE else None


def _recommended(handle: Any) -> str | None:
    """What NVIDIA recommends to do about the card, if anything; known to drivers since 570."""
    values = _query(pynvml.nvmlDeviceGetFieldValues, handle, [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
    if values is None or values[0].nvmlReturn != pynvml.NVML_SUCCESS:
        return None
    action = _RECOVERY.get(int(values[0].value.uiVal))
    return f"The card needs attention; NVIDIA recommends: {action}." if action else None


def _uuid(handle: Any) -> str:
    return _text(pynvml.nvmlDeviceGetUUID(handle))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def is_expected() -> bool:
    """Whether anything on this machine speaks of a card of NVIDIA's."""
    return any(map(glob.glob, _SIGNS))


def driver() -> str:
    """The version of the driver, "" where it does not tell."""
    return CardMonitor()(frozenset(), lambda: None).driver or ""


def uuid_of(id: str) -> str:
    """The UUID of the card "cuda:N" as `Cards` counts them; a UUID is its own.  For the worker, which asks for itself.

    Raises DeviceLost with a sentence if there is no such card now.
    """
    if not id.startswith("cuda:"):
        return id
    reading = CardMonitor()(frozenset(), lambda: None)
    card = reading.card(id)
    if card is None or card.trouble:
        raise DeviceLost(reading.trouble or (card.trouble if card else None) or f"There is no card {id}.")
    return card.uuid
