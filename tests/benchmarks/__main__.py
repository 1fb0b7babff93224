"""All measurements, or those named: `python -m tests.benchmarks [PART ...] [--out FIGURES.json] [--plot FILE.svg]`.

Each part runs in a process of its own, so that none changes how another one computes; what libraries print goes to a
log beside the models.  Needs the extra "bench", espeak-ng and ffmpeg.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Figures = dict[str, Any]
PACKAGE = "tests.benchmarks"
LIBRARIES = ("torch", "funasr", "av", "sherpa-onnx", "onnxruntime", "numpy")
LOG = "bench.log"
PLOT = "plots"
DETECTION = "speech_detection"  # fetches 150 MB of Debian packages
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Part:
    """`measure` is called with the folder of the models, in a process of its own; `show` with what it found."""

    title: str
    measure: Callable[[Path], Figures]
    show: Callable[[Figures, Console], None]


def _imported(module: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{module}")


# --- the parts -----------------------------------------------------------------------------------------


def _loop(models: Path) -> Figures:
    loop = _imported("loop")
    return loop.compare() | loop.idle()


def _alone(module: str, models: Path) -> Figures:
    """Of a module that wants nothing."""
    return _imported(module).compare()


def _with_models(module: str, models: Path) -> Figures:
    return _imported(module).compare(models)


def _simulation(models: Path) -> Figures:
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return _imported("simulation").compare()


def _list(figures: Figures, console: Console) -> None:
    for name, value in figures.items():
        console.print(f"{name:>16}: {value:,.2f}", highlight=False)


def _table(module: str, figures: Figures, console: Console) -> None:
    console.print(_imported(module).told(figures), highlight=False)


def _report(figures: Figures, console: Console) -> None:
    _imported("report").show(figures, console)


def _rows(figures: Figures, console: Console) -> None:
    for way, rates in figures.items():
        row = "  ".join(f"{size}: {rate:.1f}" for size, rate in rates.items())
        console.print(f"{way:>20}  {row}", highlight=False)


PARTS = {
    "loop": Part("Loop, ledger and outbox; an idle daemon", _loop, _list),
    "preparation": Part("Decoding and finding speech", partial(_alone, "preparation"), partial(_table, "preparation")),
    "recognition": Part("Recognition", partial(_with_models, "recognition"), partial(_table, "recognition")),
    "whole_path": Part("From inbox to outbox", partial(_with_models, "whole_path"), partial(_table, "whole_path")),
    "simulation": Part("A shared card, simulated", _simulation, _report),
    DETECTION: Part("Speech detectors on real sounds", partial(_with_models, DETECTION), partial(_table, DETECTION)),
    PLOT: Part("Throughput by size of batch", partial(_with_models, PLOT), _rows),
}


# --- running them --------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {PACKAGE}", description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all but the last two"
    )
    parser.add_argument("--scratch", type=Path, default=_cache(), help="where models are made, and kept (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also measure sizes of batches, and draw them")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transcribed-bench"


def wanted(options: argparse.Namespace) -> dict[str, Part]:
    """In the order of PARTS; if none is named, all that are there and need no network, but the plot only where there is
    a file for it.
    """
    named = {*(options.parts or PARTS.keys() - {PLOT, DETECTION}), *([PLOT] if options.plot else [])}
    return {name: part for name, part in PARTS.items() if name in named and find_spec(f"{PACKAGE}.{name}")}


def run(parts: dict[str, Part], scratch: Path, console: Console) -> Iterator[tuple[str, Figures]]:
    """Name and figures of each part, shown as it ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(parts))
        for name, part in parts.items():
            progress.update(task, description=part.title)
            figures = _apart(part.measure, scratch)
            console.rule(part.title, align="left")
            part.show(figures, console)
            progress.advance(task)
            yield name, figures


def _apart(measure: Callable[[Path], Figures], scratch: Path) -> Figures:
    here, there = _spawn.Pipe()
    process = _spawn.Process(target=_tell, args=(there, measure, scratch))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError as error:
        raise SystemExit(f"It failed; see {scratch / LOG}.") from error
    finally:
        process.terminate()
        process.join()


def _tell(pipe: Any, measure: Callable[[Path], Figures], scratch: Path) -> None:
    """What is printed here, and in processes started from here, goes to a file."""
    signal.signal(signal.SIGTERM, _leave)
    descriptor = os.open(scratch / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    pipe.send(measure(scratch / "models"))


def _leave(*_: object) -> None:
    """In good order: daemons that were started are ended."""
    sys.exit(128 + signal.SIGTERM)


def machine() -> Figures:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"processor": processor, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def main() -> None:
    options, console = arguments(), Console()
    signal.signal(signal.SIGTERM, _leave)
    options.scratch.mkdir(parents=True, exist_ok=True)
    found: Figures = {"machine": machine()}
    for name, figures in run(wanted(options), options.scratch.absolute(), console):
        found[name] = figures
        if name == PLOT and options.plot:
            _imported(PLOT).draw(figures, options.plot)
        if options.out:  # after each part: they take long
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    _imported("__main__").main()  # under its own name, by which other processes find what is in it
