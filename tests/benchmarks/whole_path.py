"""A backlog of short recordings, from the inbox to the outbox, against the plain scripts one writes around FunASR.

`python -m tests.benchmarks.whole_path [FOLDER [rounds]]` prints a table; models are made in FOLDER, or used if they
are there.  All transcribe the same MP3 files with the same full-size weights on two threads, and take turns; all are
warm: models are loaded, and some files were done before.  Ours is a daemon in its own processes: its time begins when
the first file is dropped, so that the quiet window is in it, and ends when the last transcript is in the outbox.  A
rate is seconds of recordings per second of wall clock, the best of the rounds, since others use the machine too.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks import full_size
from tests.benchmarks.preparation import speech
from tests.support.site import Site, kill_tree, wait_for
from tests.support.speech import SAMPLE_RATE, save
from transcribed.state.control_files import read_status

THREADS = 2
FILES, SECONDS = 40, 10
WARM_UP_FILES = 8
SPOKEN_SECONDS = (7.0, 9.5)  # of a recording; the rest is silence, as when somebody has yet to press the button
MP3 = {"rate": 44_100, "channels": 2, "bit_rate": 128_000}
QUIET_SECONDS = 0.3
PROCESSES = (1, 2)  # of ours, that prepare
BOOT_SECONDS, BACKLOG_SECONDS = 240.0, 600.0
LIMIT_SECONDS = 180.0  # after which no round begins
FOLDER = Path("build/full_size")
ASKED = {"language": "auto", "use_itn": True}
OURS, PLAIN = "ours, {} preparing", "FunASR"

Way = Callable[[Sequence[Path]], float]  # transcribes the files; returns how many seconds it took


def recordings(folder: Path, count: int = FILES) -> list[Path]:
    folder.mkdir()
    return [_recording(folder / f"{number:03}.mp3", number) for number in range(count)]


def _recording(path: Path, number: int) -> Path:
    """Fluent speech, other in each file, and then silence with a little noise."""
    samples = speech(SECONDS, seed=number)
    end = round(random.Random(number).uniform(*SPOKEN_SECONDS) * SAMPLE_RATE)
    samples[end:] = samples[end:].clip(-0.002, 0.002)
    return save(path, samples, **MP3)


# --- ours ----------------------------------------------------------------------------------------------


@contextmanager
def daemon(root: Path, models: Path, processes: int) -> Iterator[Way]:
    site = Site(root)
    site.extra = f'vad_model = "{models / "vad"}"\n[prepare]\nprocesses = {processes}\n[recognize]\nthreads = {THREADS}'
    site.configure(model=str(models / "sensevoice"), quiet_seconds=QUIET_SECONDS, formats=["txt"])
    process = site.start()
    try:
        wait_for(lambda: _is_up(site), BOOT_SECONDS, "a recognizer")
        yield lambda paths: _drop(site, paths)
    finally:
        kill_tree(process)


def _is_up(site: Site) -> bool:
    """Whether a recognizer has told what it can do."""
    status = read_status(site.state)
    return bool(status and status["alive"] and any(slot["models"] for slot in status["slots"]))


def _drop(site: Site, paths: Sequence[Path]) -> float:
    """All at once, under new names; the folders are empty again afterwards."""
    started = time.perf_counter()
    for path in paths:
        shutil.copyfile(path, site.inbox / f"{time.time_ns()}.mp3")
    wait_for(lambda: len(_transcripts(site)) == len(paths), BACKLOG_SECONDS, "the last transcript")
    taken = time.perf_counter() - started
    assert all(path.read_text() for path in _transcripts(site)), "a transcript is empty"
    for path in (*site.inbox.iterdir(), *_transcripts(site)):
        path.unlink()
    return taken


def _transcripts(site: Site) -> list[Path]:
    return list(site.outbox.glob("*.txt"))


# --- theirs, in a process of its own -------------------------------------------------------------------


@contextmanager
def script(make: Callable[[Path], Callable[[Path], str]], folder: Path, models: Path) -> Iterator[Way]:
    """What transcribes the files one after the other, and writes a text file for each."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(make, folder, models, there), daemon=False)
    process.start()
    there.close()

    def transcribe(paths: Sequence[Path]) -> float:
        here.send(paths)
        return here.recv()

    try:
        yield transcribe
    finally:
        here.close()
        process.join()


def _serve(make: Callable[[Path], Callable[[Path], str]], folder: Path, models: Path, pipe: Any) -> None:
    logging.disable(logging.WARNING)
    text_of = make(models)
    torch.set_num_threads(THREADS)
    folder.mkdir()
    while True:
        try:
            paths = pipe.recv()
        except EOFError:
            return
        started = time.perf_counter()
        texts = [(folder / f"{path.stem}.txt").write_text(text_of(path)) for path in paths]
        pipe.send(time.perf_counter() - started)
        assert all(texts), "a transcript is empty"


def by_hand(models: Path) -> Callable[[Path], str]:
    """Two models: a file is decoded once, and each stretch of speech recognized."""
    from funasr.utils.load_utils import load_audio_text_image_video

    recognizer, detector = _model(models / "sensevoice"), _model(models / "vad")

    def text_of(path: Path) -> str:
        samples = load_audio_text_image_video(str(path), fs=SAMPLE_RATE)
        stretches = detector.generate(input=samples)[0]["value"]
        parts = [samples[16 * start : 16 * stop] for start, stop in stretches]
        return " ".join(_said(recognizer.generate(input=part, **ASKED)) for part in parts)

    return text_of


def by_readme(models: Path) -> Callable[[Path], str]:
    """One model that holds the other, with the arguments that SenseVoice's README gives for long audio."""
    model = _model(models / "sensevoice", vad_model=str(models / "vad"), vad_kwargs={"max_single_segment_time": 30_000})
    asked = ASKED | {"batch_size_s": 60, "merge_vad": True, "merge_length_s": 15}
    return lambda path: _said(model.generate(input=str(path), cache={}, **asked))


SCRIPTS = {f"{PLAIN}, file by file": by_hand, f"{PLAIN}, as its README": by_readme}


def _model(folder: Path, **options: Any) -> Any:
    from funasr import AutoModel

    return AutoModel(
        model=str(folder),
        device="cpu",
        ncpu=THREADS,
        disable_update=True,
        disable_pbar=True,
        disable_log=True,
        **options,
    )


def _said(answer: list[dict[str, Any]]) -> str:
    from funasr.utils.postprocess_utils import rich_transcription_postprocess

    return rich_transcription_postprocess(answer[0]["text"])


# --- comparing -----------------------------------------------------------------------------------------


def compare(folder: Path = FOLDER, rounds: int = 3, files: int = FILES) -> dict[str, Any]:
    """`rates` by way, in seconds of audio per second; `to_funasr`: of our best to the better of the scripts."""
    models = full_size.build(folder.absolute())
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = recordings(root / "recordings", files)
        ways = _ways(stack, root, models)
        for way in ways.values():
            way(paths[:WARM_UP_FILES])
        taken = list(_rounds(ways, paths, rounds))
    rates = {name: files * SECONDS / min(one[name] for one in taken) for name in taken[0]}
    plain, our = (_best(rates, prefix) for prefix in (PLAIN, "ours"))
    return {"rates": rates, "to_funasr": our / plain, "seconds": taken}


def _ways(stack: ExitStack, root: Path, models: Path) -> dict[str, Way]:
    theirs = {name: script(make, root / name, models) for name, make in SCRIPTS.items()}
    ours = {OURS.format(count): daemon(root / f"ours {count}", models, count) for count in PROCESSES}
    return {name: stack.enter_context(way) for name, way in (theirs | ours).items()}


def _rounds(ways: dict[str, Way], paths: Sequence[Path], rounds: int) -> Iterator[dict[str, float]]:
    """Seconds by way; where others leave little of the machine, fewer rounds."""
    until = time.monotonic() + LIMIT_SECONDS
    for _ in range(rounds):
        yield {name: way(paths) for name, way in ways.items()}
        if time.monotonic() > until:
            return


def _best(rates: dict[str, float], prefix: str) -> float:
    return max(rate for name, rate in rates.items() if name.startswith(prefix))


def told(figures: dict[str, Any]) -> str:
    plain = _best(figures["rates"], PLAIN)
    lines = [f"{'':28}{'x real time':>12}{'to FunASR':>11}"]
    lines += [f"{name:28}{rate:12.1f}{rate / plain:11.2f}" for name, rate in figures["rates"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(told(compare(where, int(sys.argv[2]) if len(sys.argv) > 2 else 3)))
