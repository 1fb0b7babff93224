"""A neighbour on the card, in a process of its own: takes memory when told, strikes when it is armed, lets go.

Knows a card; nothing of who else is on it.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection, wait
from typing import Any

MIB = 2**20
SMALLEST = 2 * MIB  # CUDA's granularity
ANSWER_SECONDS = 120.0

_spawn = multiprocessing.get_context("spawn")


class Neighbour:
    """On a CPU there is nothing to take, and everything is granted."""

    def __init__(self, uuid: str) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self.worker_end, workers = _spawn.Pipe()
        """For the worker that is to be robbed."""
        self._process = _spawn.Process(target=_live, args=(uuid, theirs, workers), name="neighbour", daemon=True)

    def __enter__(self) -> Neighbour:
        self._process.start()
        self._ask("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(10)
        self._process.kill()

    def take(self, bytes: int) -> bool:
        """Whether the card gave them; they are kept."""
        return self._ask("take", bytes)

    def let_go(self) -> None:
        self._ask("let go")

    def arm(self, rest_bytes: int) -> None:
        """At the next batch, all but so much of the card is taken."""
        self._ask("arm", rest_bytes)

    def _ask(self, *words: Any) -> Any:
        self._pipe.send(words)
        assert self._pipe.poll(ANSWER_SECONDS), f"the neighbour did not answer to {words}"
        return self._pipe.recv()


def _live(uuid: str, ours: Connection, workers: Connection) -> None:
    held = _Nothing() if uuid == "cpu" else _Held(uuid)
    rest: int | None = None
    while True:
        for pipe in wait([ours, workers]):
            assert isinstance(pipe, Connection)
            try:
                words = pipe.recv()
            except EOFError:
                return
            answer: Any = None
            match words:
                case ("take", bytes):
                    answer = held.take(bytes)
                case ("let go",):
                    held.let_go()
                case ("arm", bytes):
                    rest = bytes
                case ("armed",):
                    answer = rest is not None
                case ("strike",):
                    held.take_all_but(rest or 0)
                    rest = None
            pipe.send(answer)


class _Held:
    """Memory of the card, taken by plain allocations."""

    def __init__(self, uuid: str) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = uuid
        self._blocks: list[Any] = []
        self.take(SMALLEST)  # a context is made
        self.let_go()

    def take(self, bytes: int) -> bool:
        import torch

        try:
            self._blocks.append(torch.empty(bytes, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            return False
        return True

    def take_all_but(self, rest_bytes: int) -> None:
        import torch

        size = torch.cuda.mem_get_info()[0] - rest_bytes
        while size >= SMALLEST:
            taken = self.take(size)
            size = torch.cuda.mem_get_info()[0] - rest_bytes if taken else size // 2

    def let_go(self) -> None:
        import torch

        self._blocks.clear()
        torch.cuda.empty_cache()


class _Nothing:
    def take(self, bytes: int) -> bool:
        return True

    def take_all_but(self, rest_bytes: int) -> None: ...

    def let_go(self) -> None: ...
