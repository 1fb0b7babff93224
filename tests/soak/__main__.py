"""Load a daemon for an hour, and exit with 1 if anything of it grows: `python -m tests.soak --minutes 60`.

An hour at 360 files a minute finds a leak of 0.3 MiB, or of 0.3 descriptors or threads, per 100 files in the daemon and
in the recognizer, and of 1 MiB in what one preparing process hands on to the next.  Five minutes find descriptors and
threads as well, and 0.5 MiB in the daemon; they say nothing of the recognizer's memory, which rests only after 5,000
files, and nothing of what is handed on.  A finding of five minutes is worth an hour: an allocator may still be growing.
Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.soak.report import result, show
from tests.soak.samples import Sample
from tests.soak.soak import Plan, soak

FILES_PER_MINUTE = 360.0
TOLD_SECONDS = 60.0
WIDTH = 140  # columns, where it is no terminal that is written to


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument("--files-per-minute", type=float, default=FILES_PER_MINUTE, help="default: %(default)s")
    parser.add_argument("--plant", choices=("descriptors", "memory"), help="plant a leak in the daemon")
    parser.add_argument("--folder", type=Path, help="where to work; kept.  Default: a temporary folder")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write samples and verdicts there")
    return parser.parse_args()


@contextlib.contextmanager
def _root(folder: Path | None) -> Iterator[Path]:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        yield Path(made)


class _Progress:
    """A line per minute."""

    def __init__(self, console: Console) -> None:
        self._console, self._next = console, 0.0

    def __call__(self, sample: Sample) -> None:
        if sample.seconds >= self._next:
            self._next += TOLD_SECONDS
            waiting = sample.totals["waiting files"]
            line = f"{sample.seconds / 60:5.1f} min  {sample.handled:6} files handled, {waiting} waiting"
            self._console.print(line, highlight=False)


def main() -> int:
    options, console = arguments(), Console(width=None if sys.stdout.isatty() else WIDTH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the daemon is ended, too
    with _root(options.folder) as root:
        plan = Plan(options.minutes, options.files_per_minute, options.plant)
        run = soak(plan, root, _Progress(console))
    found = result(run.samples, run.account, run.ended)
    show(found, console)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found.document()) + "\n")
    return int(bool(found.faults()))


if __name__ == "__main__":
    sys.exit(main())
