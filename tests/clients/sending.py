"""Send the same kind of recording to all three inboxes at once, stop the programs in the middle, and check the end.

Knows uploads, their programs and the installation; nothing of command lines.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from tests.clients import machine
from tests.clients.installation import AFTERS, GRACE_SECONDS, LONG, Installation, Upload, sha256
from tests.clients.programs import SLOW, UPLOADS
from tests.clients.servers import RATE, Server, Servers
from tests.support.site import wait_for

MIDDLE, NEARLY_ALL = 0.4, 0.9


class Sending:
    """The uploads of one program to all inboxes, and its processes."""

    def __init__(self, installation: Installation, servers: Servers, program: str, way: str, seconds: float = LONG):
        self.program = UPLOADS[program]
        machine.need(self.program.tool)
        self._server: Server = servers.get(self.program.server)
        self._installation = installation
        name = f"{program}-{way}-{seconds:.0f}.wav".replace(", ", "-").replace(" ", "-")
        self.uploads = [installation.upload(name, after, seconds) for after in AFTERS]
        self.processes: list[machine.Process] = []

    def start(self, how: str) -> None:
        self.processes = [self._start(upload, how) for upload in self.uploads]

    def pause(self) -> None:
        self._wait_for_middle()
        for process in self.processes:
            process.pause()
        assert all(size < NEARLY_ALL * self._whole for size in self._arrived()), "it was too fast to be stopped"

    def kill(self) -> None:
        self._wait_for_middle()
        for process in self.processes:
            process.kill()
        assert all(size < NEARLY_ALL * self._whole for size in self._arrived()), "it was too fast to be stopped"

    def go_on(self) -> None:
        for process in self.processes:
            process.go_on()

    def finish(self) -> None:
        for process in self.processes:
            process.must_succeed()

    def end(self) -> None:
        """Leave no process and no source behind."""
        for process in self.processes:
            process.kill()
        for upload in self.uploads:
            upload.source.unlink()

    @property
    def _whole(self) -> int:
        return min(upload.size for upload in self.uploads)

    def _arrived(self) -> list[int]:
        if self.program.spool:
            return [path.stat().st_size for path in (self._server.folder / self.program.spool).iterdir()]
        return [upload.arrived() for upload in self.uploads]

    def _wait_for_middle(self) -> None:
        def reached() -> bool:
            arrived = self._arrived()
            return len(arrived) == len(self.uploads) and min(arrived) > MIDDLE * self._whole

        wait_for(reached, 60, "the middle of the uploads")

    def _start(self, upload: Upload, how: str) -> machine.Process:
        if how == SLOW and self.program.by_fifo:
            upload = replace(upload, source=slow_pipe(upload.source))
        command = machine.as_user(machine.UPLOADER, self.program.command(self._server, upload, how))
        environment = {"PATH": machine.PATH, "HOME": str(self._installation.home)}
        return machine.Process(command, self._installation.root / "clients.log", env=environment)


def slow_pipe(source: Path) -> Path:
    """Make a pipe from which a file comes at RATE."""
    pipe = source.with_suffix(".pipe")
    with contextlib.suppress(FileExistsError):
        os.mkfifo(pipe, 0o644)
    pipe.chmod(0o644)
    threading.Thread(target=_trickle, args=(source.read_bytes(), pipe), daemon=True).start()
    return pipe


def _trickle(content: bytes, pipe: Path, block: int = 16_384) -> None:
    with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as out:
        for at in range(0, len(content), block):
            out.write(content[at : at + block])
            time.sleep(block / RATE)


# --- what must be true at the end -----------------------------------------------------------------------


def check_whole(installation: Installation, upload: Upload) -> None:
    """Assert that the recording is transcribed, once, and kept, moved or hidden as it was sent."""
    wait_for(lambda: installation.text(upload) == upload.words, 90, f"the transcript of {upload.target}")
    wait_for(lambda: installation.done(upload), 30, f"the row of {upload.target}")
    assert installation.done(upload) == [upload.size]
    place = wait_for(lambda: installation.place(upload), 90, f"{upload.after} of {upload.target}")
    assert sha256(place) == sha256(upload.source)
    wait_for(lambda: upload.target.exists() == (upload.after == "keep"), 30, f"{upload.after} of {upload.target}")


def check_nothing_else_was_shown(installation: Installation, upload: Upload, *, notes: bool = False) -> None:
    """Assert that neither another text nor, unless `notes`, a note was ever to be read."""
    output = installation.output(upload)
    assert set(installation.seen.of(output)) <= {upload.words}
    assert notes or output.with_suffix(".error.txt") not in installation.seen.notes


class Clock:
    """Whether the time that an incomplete file is waited for has passed since this was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def patience_is_over(self) -> bool:
        return time.monotonic() - self._start > GRACE_SECONDS
