"""A worker on a card that NVML's script tells of, for child processes: real but for the recognizer and CUDA."""

import atexit
import os
import time
from pathlib import Path

import torch

from tests.support.nvml import Script, card, put
from transcribed.core.telemetry import BatchMemorySample, Footprint, WorkerProfile
from transcribed.core.types import Hypothesis
from transcribed.recognition import worker_factory
from transcribed.recognition.worker import Model, Worker

WEIGHTS = 2**30
A_SECOND = 20 * 10**6  # bytes that a second of padded audio takes


TOTAL = 24 * 2**30


class ScriptedCard:
    """The memory of the card in NVML's script; what others and we hold of it is told by two files beside it."""

    def __init__(self):
        self.folder = Path(os.environ["FAKE_NVML"]).parent
        self.resting = self.peak = self.reserved = WEIGHTS
        self.hold(WEIGHTS)

    def hold(self, bytes):
        self.reserved = bytes
        put(self.folder / "ours", str(bytes))
        atexit.register(put, self.folder / "ours", "0")
        tell(self.folder)

    def begin(self):
        self.peak = self.resting

    def take(self, bytes):
        self.peak = self.resting + bytes
        if self.peak > free(self.folder) + self.reserved:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.hold(max(self.reserved, self.peak))

    def footprint(self):
        return Footprint(self.resting, self.peak, self.reserved, free(self.folder))

    def spare_bytes(self):
        return free(self.folder) + self.reserved - self.resting

    def release(self):
        self.hold(self.resting)


def free(folder):
    held = (folder / name for name in ("ours", "others"))
    return TOTAL - sum(int(path.read_text() or 0) for path in held if path.exists())


def tell(folder, *more):
    """Have NVML say what is free now."""
    Script(folder / "script", "count 1", card(total=TOTAL, free=max(0, free(folder))), *more)


class Listener:
    """Takes the memory of the padded batch, and a moment."""

    dtype, word_lag_seconds = "bf16", 0.0

    def __init__(self, memory):
        self.memory = memory

    def recognize(self, samples, options):
        self.memory.take(int(A_SECOND * len(samples) * max(len(x) for x in samples) / 16_000))
        time.sleep(0.05)
        return [Hypothesis("words")] * len(samples)


def card_worker(slot, heartbeat):
    memory = ScriptedCard()
    listener = Listener(memory)
    models = {"echo": Model(listener, lambda: None)}
    samples = tuple(("echo", BatchMemorySample(n * s, s, int(A_SECOND * n * s))) for n, s in worker_factory.CALIBRATION)
    profile = WorkerProfile("GPU-0", (("echo", "bf16"),), "v1", memory.footprint(), samples)
    return Worker(models, memory, profile)
