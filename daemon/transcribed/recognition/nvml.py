"""Read the cards through NVIDIA's management library (NVML): memory, load, temperature, faults.

The only module that calls NVML, and only from a process of its own: a call may hang in the kernel forever, and a
replaced driver answers only processes that load its library anew.  Knows cards; nothing of batches or slots.
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

_SIGNS = ("/dev/nvidia*", "/proc/driver/nvidia", "/usr/lib/wsl/lib/libnvidia-ml.so*")  # of a driver, or WSL's
_NOT_AVAILABLE = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE, in nvml.h
_GONE_FOR_THIS_PROCESS = {
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "The NVIDIA driver was replaced while the system was running; reboot if this persists."
    ),
    pynvml.NVML_ERROR_UNKNOWN: "NVML reported an unknown error; a container may have lost its access to the card.",
    pynvml.NVML_ERROR_UNINITIALIZED: "NVML lost its initialization.",
}
_NO_CARDS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "NVML (libnvidia-ml.so.1) is not installed; install the NVIDIA driver.",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "The NVIDIA driver is not loaded; see `dmesg` and `nvidia-smi`.",
    pynvml.NVML_ERROR_NO_PERMISSION: "This user has no access to the NVIDIA driver; give it access to /dev/nvidia*.",
}
_NO_MEMORY = "The card does not report how much of its memory is free."
_NO_INSTANCES = "The card is in MIG mode but has no instances; create some (`nvidia-smi mig`), or disable MIG mode."
_CARD_TROUBLES = {
    pynvml.NVML_ERROR_NO_PERMISSION: "This user has no access to the card; give it access to /dev/nvidia*.",
    pynvml.NVML_ERROR_NOT_SUPPORTED: _NO_MEMORY,
    pynvml.NVML_ERROR_GPU_IS_LOST: (
        "The system has lost the card; reboot, and if it happens again, check its power supply and seating."
    ),
    pynvml.NVML_ERROR_RESET_REQUIRED: "The card must be reset (`nvidia-smi --gpu-reset`) before it can be used.",
}
# nvmlDeviceGpuRecoveryAction_t in nvml.h
_RECOVERY = {
    1: "stop everything that uses the card, including this service, and reset it (`nvidia-smi --gpu-reset`)",
    2: "reboot the machine",
    3: "stop everything that uses peer-to-peer memory",
    4: "stop everything that uses the card, then reset it",
    6: "reset the card's bus",
    7: "reboot the system",
}
# Recommended actions from NVIDIA's Xid catalog, docs.nvidia.com/deploy/xid-errors, which has all others too.
_RESTART = "the program that used it must be restarted"
_RESET = "stop everything that uses the card, including this service, and reset it (`nvidia-smi --gpu-reset`)"
_XID_ACTIONS = dict.fromkeys((8, 11, 13, 31, 41, 94), _RESTART) | dict.fromkeys((95, 109, 119, 120), _RESET)
_XID_ACTIONS[79] = "it has fallen off the bus; reboot the machine, and check its power supply and seating"


class CardMonitor:
    """The monitor: called with the process ids of our own workers, returns a Reading.  Runs in a process of its own."""

    def __init__(self) -> None:
        self._ready = False
        self._events: Any = None
        self._seen: dict[str, int] = {}  # uuid -> time stamp of the last sample of its processes, microseconds
        self._uuids: dict[tuple[int, int | None], str] = {}  # as last reported, for cards that no longer answer
        self._told_apart = False  # one of our processes was listed once, so process ids mean the same to the driver

    def __call__(self, ours: frozenset[int], heartbeat: Callable[[], None]) -> Reading:
        """Read all cards.  Raise DeviceLost if only a new process can continue."""
        at = time.monotonic()
        try:
            self._initialize()
            driver = _text(pynvml.nvmlSystemGetDriverVersion())
            return Reading(self._cards(ours, heartbeat), driver, faults=self._faults(), at=at)
        except pynvml.NVMLError as error:
            if error.value in _GONE_FOR_THIS_PROCESS:
                raise DeviceLost(_GONE_FOR_THIS_PROCESS[error.value]) from error
            absent = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND and not is_expected()
            return Reading(trouble=_NO_CARDS.get(error.value, f"NVML cannot be queried: {error}."), absent=absent)

    def start(self) -> None:
        """Initialize NVML ahead of the first call and its deadline: without a persistent driver it takes seconds."""
        with contextlib.suppress(pynvml.NVMLError):  # the first call reports the error
            self._initialize()

    def _initialize(self) -> None:
        if self._ready:
            return
        pynvml.nvmlInit()
        self._ready = True
        with contextlib.suppress(pynvml.NVMLError):  # not every driver reports faults, and they are optional
            self._events = pynvml.nvmlEventSetCreate()
            for index in range(pynvml.nvmlDeviceGetCount()):
                with contextlib.suppress(pynvml.NVMLError):  # a card without fault reports must not affect the others
                    card = pynvml.nvmlDeviceGetHandleByIndex(index)
                    pynvml.nvmlDeviceRegisterEvents(card, pynvml.nvmlEventTypeXidCriticalError, self._events)

    def _cards(self, ours: frozenset[int], heartbeat: Callable[[], None]) -> tuple[Card, ...]:
        """Read each card; one that does not answer carries its trouble.

        An unknown error of one card is the card's own; that of all cards is the driver's, and is raised.
        """
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
        """Return the bytes held by other processes, and whether these can be distinguished from ours at all.

        In a container without the host's process ids, ours are never among those listed, so nobody can be distinguished
        from us.  Once one of ours was listed, on whatever card, they can.
        """
        # Without a version, it raises an error of another kind if the driver is older than pynvml.
        processes = _query(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if processes is None:
            return None, False
        self._told_apart = self._told_apart or any(process.pid in ours for process in processes)
        if ours and processes and not self._told_apart:
            return None, False
        held = [process.usedGpuMemory for process in processes if process.pid not in ours]
        return (None if None in held else sum(held)), True

    def _others_busy(self, uuid: str, handle: Any, ours: frozenset[int]) -> bool | None:
        """Return whether another process computed since the last reading; None if the driver does not report it."""
        first, since = uuid not in self._seen, self._seen.get(uuid, 0)
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(handle, since)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_NOT_FOUND:
                return None
            samples = []  # no process computed
        # Some drivers pad the list with garbage: old samples, and loads of more than 100 %.
        samples = [sample for sample in samples if sample.timeStamp > since and sample.smUtil <= 100]
        self._seen[uuid] = max([since, *(sample.timeStamp for sample in samples)])
        if first and samples:  # of any age
            return None
        return any(sample.smUtil for sample in samples if sample.pid not in ours)

    def _faults(self) -> tuple[str, ...]:
        """Return the faults that the driver reported since the last reading, with NVIDIA's advice."""
        faults: list[str] = []
        while self._events is not None and len(faults) < 100:
            event = _query(pynvml.nvmlEventSetWait_v2, self._events, 0)
            if event is None:  # no more events
                break
            xid = int(event.eventData)
            advice = _XID_ACTIONS.get(xid, "see NVIDIA's Xid catalog")
            faults.append(f"The driver reports Xid {xid} for {_query(_uuid, event.device) or 'a card'}: {advice}.")
        return tuple(faults)


def _query(question: Callable[..., Answer], *args: Any) -> Answer | None:
    """Return the answer, or None if the driver cannot provide it; a lost driver still raises."""
    try:
        return question(*args)
    except pynvml.NVMLError as error:
        if error.value in _GONE_FOR_THIS_PROCESS:
            raise
        return None


def _places() -> Iterator[tuple[int, int | None]]:
    """Yield what CUDA can compute on: the index of each card, with the number of each MIG instance if it is divided."""
    for index in range(pynvml.nvmlDeviceGetCount()):
        instances: list[int | None] = []
        with contextlib.suppress(pynvml.NVMLError):  # reading the card itself reports it
            instances += _instances(pynvml.nvmlDeviceGetHandleByIndex(index))
        yield from ((index, instance) for instance in instances or [None])


def _is_divided(card: Any) -> bool:
    mode = _query(pynvml.nvmlDeviceGetMigMode, card)
    return bool(mode and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE)


def _instances(card: Any) -> list[int]:
    numbers = range((_is_divided(card) and _query(pynvml.nvmlDeviceGetMaxMigDeviceCount, card)) or 0)
    return [n for n in numbers if _query(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, card, n) is not None]


def _memory(handle: Any) -> tuple[Any, int | None]:
    """Return memory and the driver's own share, which only version 2 of the call reports; drivers have it since 510."""
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
    """Return NVIDIA's recommended action for the card, if any; drivers report it since 570."""
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
    """Return whether anything on this machine indicates an NVIDIA card."""
    return any(map(glob.glob, _SIGNS))


def driver() -> str:
    """Return the version of the driver, "" if it is unknown."""
    return CardMonitor()(frozenset(), lambda: None).driver or ""


def uuid_of(id: str) -> str:
    """Return the UUID of the card "cuda:N" as `CardMonitor` counts them; return any other id unchanged.

    For the worker, which queries NVML itself.  Raise DeviceLost with a sentence if there is no such card now.
    """
    if not id.startswith("cuda:"):
        return id
    reading = CardMonitor()(frozenset(), lambda: None)
    card = reading.card(id)
    if card is None or card.trouble:
        raise DeviceLost(reading.trouble or (card.trouble if card else None) or f"There is no card {id}.")
    return card.uuid
