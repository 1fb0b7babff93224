"""What runs in the worker's process: the real worker, which tells of itself, and may be robbed or broken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from transcribed.recognition import device, worker_factory
from transcribed.recognition.worker import Recognizer, Worker

FACTS = "worker.json"

Heartbeat = Callable[[], None]


def telling(plan: worker_factory.WorkerPlan, folder: Path, slot: str, heartbeat: Heartbeat) -> Worker:
    """Leaves a file that says what PyTorch sees."""
    worker = worker_factory.make_worker(plan, slot, heartbeat)
    (folder / FACTS).write_text(json.dumps(_facts(slot)))
    return worker


def robbed(hog: Connection, plan: worker_factory.WorkerPlan, folder: Path, slot: str, heartbeat: Heartbeat) -> Worker:
    return _around(telling(plan, folder, slot, heartbeat), lambda recognizer: Robbed(recognizer, hog))


def asserting(flag: Path, plan: worker_factory.WorkerPlan, folder: Path, slot: str, heartbeat: Heartbeat) -> Worker:
    return _around(telling(plan, folder, slot, heartbeat), lambda recognizer: Asserting(recognizer, flag))


def facts(folder: Path) -> dict[str, str]:
    return json.loads((folder / FACTS).read_text())


def _facts(slot: str) -> dict[str, str]:
    import torch

    if slot.startswith("cpu"):
        return {"torch": torch.__version__}
    card = torch.cuda.get_device_properties(0)
    settings = torch.cuda.memory._snapshot()["allocator_settings"]
    return {
        "versions": device.versions("cuda:0"),
        "allocator": os.environ.get(device.allocator_variable(torch.__version__), ""),
        "expandable segments": str(bool(settings.get("expandable_segments"))),
        "uuid": str(card.uuid),  # without NVML's prefix
        "cards seen": str(torch.cuda.device_count()),
    }


def _around(worker: Worker, wrap: Callable[[Recognizer], Recognizer]) -> Worker:
    """The same worker with something before its recognizers; its canaries go without."""
    worker._models = {name: replace(model, recognizer=wrap(model.recognizer)) for name, model in worker._models.items()}
    return worker


class Robbed:
    """After a batch was admitted and before it is recognized, others may take the memory it was to use."""

    def __init__(self, recognizer: Recognizer, hog: Connection) -> None:
        self.dtype, self.word_lag_seconds = recognizer.dtype, recognizer.word_lag_seconds
        self._recognizer, self._hog = recognizer, hog

    def recognize(self, samples, options):
        import torch

        self._hog.send(("armed",))
        if self._hog.recv():
            torch.cuda.empty_cache()  # on a CPU it does nothing
            self._hog.send(("strike",))
            self._hog.recv()
            if not torch.cuda.is_available():
                raise torch.OutOfMemoryError("CUDA out of memory: a rehearsal.")
        return self._recognizer.recognize(samples, options)


class Asserting:
    """Where the flag is found, the device meets an error that sticks to this process."""

    def __init__(self, recognizer: Recognizer, flag: Path) -> None:
        self.dtype, self.word_lag_seconds = recognizer.dtype, recognizer.word_lag_seconds
        self._recognizer, self._flag = recognizer, flag

    def recognize(self, samples, options):
        if self._flag.exists():
            self._flag.unlink()
            _break_device()
        return self._recognizer.recognize(samples, options)


def _break_device() -> None:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("CUDA error: device-side assert triggered: a rehearsal.")
    torch.zeros(1, device="cuda")[torch.tensor([7], device="cuda")]  # one that is not there
    torch.cuda.synchronize()
