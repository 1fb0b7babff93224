"""Checks of the cards as NVML reports them, and of PyTorch computing on them.

PyTorch runs in a separate process: it may hang or crash.  Judges readings and reports; knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcribed.core.errors import TranscribedError
from transcribed.core.quantities import size
from transcribed.core.telemetry import Card, Reading
from transcribed.doctor.findings import SLOW, Finding, fault, note, ok, warning
from transcribed.doctor.unit_file import UnitFile
from transcribed.pipeline.scheduling.gpu_policy import Policy
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.recognition.device import choose
from transcribed.system.isolated_call import CallTimeout, MachineBusy, isolated_call

TORCH_SECONDS = 120.0  # to load and create a context, from a cold disk and without a persistent driver
TRIED_BYTES = 2**24
_INSTALL = "Install the build for the driver's CUDA (see pytorch.org): `pip install --force-reinstall torch`."
_NEEDED = ("char-nvidia", "/dev/nvidia", "/dev/dxg")  # prefixes of DeviceAllow= entries that open a card
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)$")


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch's report on itself, and on one card if it was told to use one."""

    version: str
    cuda: str | None  # the version it was built with
    architectures: tuple[str, ...] = ()
    capability: tuple[int, int] | None = None
    refused: str | None = None  # why it could not compute on the card


def of_reading(reading: Reading, slots: Slots, device: str, policy: Policy, boot_bytes: int) -> Iterator[Finding]:
    """Judge the cards; `device` as configured, `boot_bytes` the memory a worker may need to start."""
    if device == "cpu":
        yield ok("Recognition runs on the CPU, as configured.")
        return
    if slots.on_cpu:
        yield note("This machine has no NVIDIA hardware; recognition runs on the CPU.")
        return
    if reading.trouble:
        yield fault(reading.trouble, "Work waits for a card; nothing moves to the CPU by itself.")
        return
    for name in slots.names:
        yield from _of_card(reading.card(name), name, reading.driver, policy, boot_bytes)
    for sentence in reading.faults:
        yield warning(sentence, "See `dmesg` for details.")


def _of_card(card: Card | None, name: str, driver: str | None, policy: Policy, boot_bytes: int) -> Iterator[Finding]:
    if card is None:
        yield fault(
            f"The card {name} does not exist; work waits for it.",
            "`nvidia-smi -L` lists the cards; set `device` to one of them.",
        )
        return
    if card.trouble:
        yield fault(f"{card.id}: {card.trouble}", "Work waits for the card.")
        return
    others = f", {size(card.others_bytes)} held by other programs" if card.others_bytes else ""
    free = f"{size(card.free_bytes)} of {size(card.total_bytes)} free{others}"
    yield ok(f"{card.id}, {card.name} (driver {driver}): {free}.")
    if not _fits(card, policy, boot_bytes):
        left = size(policy.reserve_bytes(card.total_bytes))
        sentence = f"{card.id} has too little free memory to start a worker: {size(boot_bytes)} are needed"
        fix = "Work waits for memory, and some checks were skipped here; a smaller `vram_reserve` frees memory."
        yield warning(f"{sentence}, and {left} are left to others.", fix)


def ready(slots: Slots, reading: Reading, policy: Policy, boot_bytes: int) -> Slots:
    """Return the slots on which a worker could start now, beside the daemon's own."""
    if slots.on_cpu:
        return slots
    cards = {name: reading.card(name) for name in slots.names}
    return Slots(tuple(name for name, card in cards.items() if card and _fits(card, policy, boot_bytes)))


def _fits(card: Card, policy: Policy, boot_bytes: int) -> bool:
    return not card.trouble and card.free_bytes - policy.reserve_bytes(card.total_bytes) >= boot_bytes


def of_torch(slots: Slots) -> Iterator[Finding]:
    """Try PyTorch on each slot, since cards may differ."""
    for slot in slots.names:
        try:
            report = isolated_call(try_torch, slot, seconds=TORCH_SECONDS, what=f"PyTorch on {slot}")
        except CallTimeout as error:
            yield warning(str(error), SLOW if slots.on_cpu else f"{SLOW}  If it stays so, `dmesg` may say why.")
        except MachineBusy:
            raise
        except TranscribedError as error:
            yield fault(str(error), "`dmesg` and `nvidia-smi` may say why." if not slots.on_cpu else _INSTALL)
        else:
            yield judge_torch(report, slot, slots.on_cpu)


def judge_torch(report: Torch, slot: str, on_cpu: bool) -> Finding:
    build = f"PyTorch {report.version}"
    if on_cpu:
        return (
            ok(f"{build} computes on the CPU.")
            if not report.refused
            else fault(f"{build}: {report.refused}.", _INSTALL)
        )
    if report.cuda is None:
        return fault(f"{build} is built without CUDA and cannot use a card.", _INSTALL)
    if report.capability and not runs_on(report.capability, report.architectures):
        kind = "{}.{}".format(*report.capability)
        sentence = (
            f"{build} has no code for {slot}, a card of compute capability {kind} ({' '.join(report.architectures)})."
        )
        return fault(
            sentence, "Install a build that supports it: a newer one for a new card, an older one for an old card."
        )
    if report.refused:
        return fault(f"{build} (CUDA {report.cuda}) cannot use {slot}: {report.refused}.", _INSTALL)
    kind = "{}.{}".format(*(report.capability or ("?", "?")))
    return ok(f"{build} (CUDA {report.cuda}) computes on {slot}, compute capability {kind}.")


def runs_on(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Return whether a build has code for a card, by the rules of CUDA's binary and PTX compatibility.

    `sm_80` runs on 8.0 and later 8.x, `sm_90a` on 9.0 only, `sm_100f` on 10.x; `compute_80` on 8.0 and all later.
    Source: CUDA C++ Programming Guide, "Compute capabilities" and "Feature set".
    """
    return any(_covers(match, capability) for a in architectures if (match := _ARCHITECTURE.match(a)))


def _covers(code: re.Match[str], capability: tuple[int, int]) -> bool:
    kind, major, minor, suffix = code.groups()
    built = (int(major), int(minor))
    if suffix == "a":
        return capability == built
    if kind == "compute" and not suffix:
        return capability >= built
    return capability[0] == built[0] and capability >= built


def try_torch(slot: str) -> Torch:
    """Load PyTorch and compute on a slot; call in a separate process.  Raise DeviceLost if the slot's card is gone."""
    device = choose(slot)
    import torch

    report = Torch(torch.__version__, torch.version.cuda)
    try:
        if device != "cpu":
            report = Torch(
                torch.__version__,
                torch.version.cuda,
                tuple(torch.cuda.get_arch_list()),
                torch.cuda.get_device_capability(),
            )
        ones = torch.ones(TRIED_BYTES // 4, device=device)
        refused = None if float((ones * 2).sum()) == 2 * len(ones) else "a sum came out wrong"
    except Exception as error:  # PyTorch raises many types; each means that it cannot compute
        refused = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return Torch(report.version, report.cuda, report.architectures, report.capability, refused)


def of_devices(unit: UnitFile, slots: Slots) -> Iterator[Finding]:
    """Check that the unit does not hide the cards' device files."""
    if not unit.is_installed or slots.on_cpu:
        return
    hidden = "PrivateDevices=yes" if unit.says("PrivateDevices") else ""
    closed = unit.text("DevicePolicy") in ("closed", "strict") or unit.says("ProtectClock")
    if closed and not any(word.startswith(_NEEDED) for word in unit.words("DeviceAllow")):
        hidden = hidden or "a closed device policy without DeviceAllow=char-nvidia"
    if hidden:
        fix = "Remove it from the unit; the shipped unit allows the cards and no other device."
        yield fault(f"{unit.name} has {hidden}, so the service sees no card.", fix)
