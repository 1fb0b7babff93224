"""`transcribed demo`: the whole product on the shipped recordings, in temporary folders.

Nothing is simulated: a daemon runs in this process with its real children, and the words are compared.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from transcribed.config.inbox import Inbox
from transcribed.config.operations import LogSettings
from transcribed.config.settings import PrepareSettings, RecognizeSettings, Settings
from transcribed.core.events import Delivered, Event, Prepared, Recognized, Settled, SlotUnavailable, WorkerReady
from transcribed.daemon.daemon import Daemon
from transcribed.system import log

RECORDINGS = Path(__file__).parent / "demo_recordings"


def demonstrate(keep: bool) -> int:
    """Transcribe the shipped recordings and print what happens.  Return the number of wrong transcripts."""
    console, root = Console(), Path(tempfile.mkdtemp(prefix="transcribed-demo-"))
    expected: dict[str, str] = json.loads((RECORDINGS / "expected.json").read_text())
    try:
        settings = _settings(root)
        log.set_up("warning", None)
        console.print(f"Dropping {len(expected)} recordings into [bold]{root / 'inbox'}[/bold]")
        for name in expected:
            shutil.copyfile(RECORDINGS / name, root / "inbox" / name)
        Daemon(settings, once=True, observers=(_Narrator(console),)).run()
        return _compare(console, root / "outbox", expected)
    finally:
        if keep:
            console.print(f"All files are kept in {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


def _settings(root: Path) -> Settings:
    for name in ("inbox", "outbox", "state"):
        (root / name).mkdir()
    inbox = Inbox(path=root / "inbox", outbox=root / "outbox", quiet_seconds=0.5)
    on_cpu = RecognizeSettings(device="cpu")  # independent of other programs on the cards
    return Settings(
        state_dir=root / "state",
        inbox=(inbox,),
        prepare=PrepareSettings(min_free=0.0),
        recognize=on_cpu,
        log=LogSettings(level="warning"),
    )


class _Narrator:
    """Print each step as it happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        if sentence := _told(event):
            self._console.print(f"[dim]{time.monotonic() - self._started:5.1f} s[/dim]  {sentence}")


def _told(event: Event) -> str | None:
    match event:
        case WorkerReady(slot):
            return f"{slot} is ready"
        case SlotUnavailable(slot, error):
            return f"{slot} is unavailable: {error}"
        case Settled(source):
            return f"{source.name} has settled"
        case Prepared(job_id, made):
            return f"file {job_id}: {made.media}, {made.audio.seconds:.1f} s, {len(made.segments)} segments"
        case Recognized(batch):
            jobs = len({segment.job_id for segment in batch.segments})
            return f"recognized a batch of {len(batch.segments)} segments from {jobs} files"
        case Delivered(job_id):
            return f"file {job_id}: delivered"
    return None


def _compare(console: Console, outbox: Path, expected: dict[str, str]) -> int:
    table, wrong = Table("recording", "transcript", "correct", title="Transcripts"), 0
    for name, text in expected.items():
        path = outbox / f"{name}.json"
        heard = json.loads(path.read_text())["text"] if path.exists() else "(no transcript)"
        wrong += heard != text
        table.add_row(name, heard, "yes" if heard == text else f"no, expected: {text}")
    console.print(table)
    return wrong
