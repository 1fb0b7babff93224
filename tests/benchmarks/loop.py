"""What the daemon itself costs: files a second through loop, ledger and outbox, and an idle daemon's share of a core.

`python -m tests.benchmarks.loop`.  Decoding and recognition answer at once; the ledger, the outbox and their fsyncs are
real.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil
import structlog

from tests.support.fakes import FixedInboxes, Inline, MemorySpool, echo, preparation, recognizing, source
from tests.support.site import Site, kill_tree, wait_for
from transcribed.core.events import Settled
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import State
from transcribed.output.delivery import Delivery
from transcribed.output.outbox import Outbox
from transcribed.output.renderer import OutputSettings
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.state.ledger import Ledger

FILES = 5000
KNOWN_FILES = 10_000
IDLE_SECONDS = 60.0


def compare(files: int = FILES) -> dict[str, float]:
    """Five-second files a second."""
    with tempfile.TemporaryDirectory() as root:
        pipeline, ledger = _pipeline(Path(root))
        for n in range(files):
            pipeline.mailbox.put(Settled(source(f"{n}.wav", inode=n)))
        began = time.perf_counter()
        while ledger.counts().get(State.DONE, 0) < files:
            for _ in range(20):
                pipeline.step(seconds=0.01)
        return {"files a second": files / (time.perf_counter() - began)}


def _pipeline(root: Path) -> tuple[Pipeline, Ledger]:
    (root / "out").mkdir()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    mailbox, batcher, ledger = Mailbox(), Batcher(64), Ledger(root / "ledger.db")
    box = Outbox(root / "out", OutputSettings(("json", "txt")))

    admission = Admission(BatchLimits(600.0))
    return Pipeline(
        mailbox=mailbox,
        ledger=ledger,
        inboxes=FixedInboxes(),
        delivery=Delivery({Path("/inbox"): box}),
        spool=MemorySpool(),
        preparer=Inline(lambda job: preparation(job.id, 5.0), slots=16),
        batcher=batcher,
        dispatcher=Dispatcher(mailbox, batcher, admission, Inline(recognizing(echo))),
    ), ledger


def idle(files: int = KNOWN_FILES, seconds: float = IDLE_SECONDS) -> dict[str, float]:
    """A daemon with nothing to do and so many files known in its inbox: MiB resident, share of a core; itself alone."""
    with tempfile.TemporaryDirectory() as root:
        site = Site(Path(root), quiet_seconds=0.3)
        ledger = Ledger(site.state / "ledger.db")
        for n in range(files):
            path = site.inbox / f"{n:05}.wav"
            path.write_bytes(b"x")
            status = path.stat()
            known = source(path.name, site.inbox, status.st_size, status.st_mtime_ns, status.st_ino)
            ledger.add(known, path.name, 0.0)
        ledger._db.execute("update job set state = 'done', tidied = 1")
        ledger.close()
        daemon = site.start()
        try:
            wait_for(lambda: site.state_written(), 60)
            return _cost(psutil.Process(daemon.pid), seconds)
        finally:
            kill_tree(daemon)


def _cost(process: psutil.Process, seconds: float) -> dict[str, float]:
    time.sleep(10.0)  # for its start to be over
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return {"MiB resident": process.memory_info().rss / 2**20, "% of a core": 100 * used / seconds}


if __name__ == "__main__":
    for name, value in (compare() | idle()).items():
        print(f"{name:>16}: {value:,.2f}")
