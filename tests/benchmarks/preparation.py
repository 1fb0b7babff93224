"""Files made ready for recognition, by us and as FunASR does it: seconds of audio per second of one core's time.

`python -m tests.benchmarks.preparation [rounds]` prints a table.  Both sides live in processes of their own, with one
thread each and bound to the same core, and take turns.  What counts is processor time, their children's too, so that
a machine that is shared tells the same; a rate is the best of the rounds, a ratio their median.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support.fakes import job
from tests.support.speech import SAMPLE_RATE, save, say, silence
from tests.tools.demo_model import vad as demo_model
from transcribed.recognition import model_store

MINUTES = 10
SHORT_FILES, SHORT_SECONDS = 20, 10
FORMATS = {  # name: suffix, arguments for ffmpeg
    "MP3 stereo": (".mp3", "-ar 44100 -ac 2 -c:a libmp3lame -b:a 128k"),
    "MP3 mono": (".mp3", "-ar 44100 -ac 1 -c:a libmp3lame -b:a 128k"),
    "AAC m4a": (".m4a", "-ar 44100 -ac 2 -c:a aac -b:a 128k"),
    "FLAC": (".flac", "-ar 44100 -ac 2"),
    "Opus": (".opus", "-ar 48000 -ac 2 -c:a libopus -b:a 64k"),
    "WAV": (".wav", ""),
    "mu-law 8 kHz": (".wav", "-ar 8000 -c:a pcm_mulaw"),
}
SENTENCE = """the quick brown fox jumps over a lazy dog while seven people discuss the weather and nobody listens until
somebody opens a window and asks whether it will rain before the evening"""

FULL_SIZE = {"input_affine_dim": 140, "linear_dim": 250, "proj_dim": 128, "output_affine_dim": 140, "output_dim": 248}
BOUNDARY, STEEP = 0.4, 10.0  # deviations above the mean level that are as likely speech as silence: noise is below 0.2

Timed = Callable[[Path], float]  # what is done with one file; returns how many seconds it took


# --- the two sides, each built in its own process ----------------------------------------------------


def ours(folder: Path, vad_model: Path) -> dict[str, Timed]:
    """The daemon's own preparing process, and its two halves."""
    from transcribed.ingest.preparation.decoding.decoder import Decoder
    from transcribed.ingest.preparation.preparer import PreparationLimits, make_preparer
    from transcribed.ingest.preparation.source_file import SourceFile
    from transcribed.ingest.preparation.vad import Vad
    from transcribed.ingest.scanner import source_of

    spool = folder / "spool"
    spool.mkdir()
    work, vad = make_preparer(spool, vad_model, PreparationLimits(), {}, (), "benchmark", lambda: None), Vad(vad_model)

    def prepare(path: Path) -> Path:
        return work(job(source=source_of(path.parent, path, path.stat())), lambda: None).audio.path

    def decode(path: Path) -> None:
        with open(path, "rb") as file, Decoder(SourceFile(file.fileno())) as decoder:
            for _ in decoder.blocks():
                pass

    def find_speech(path: Path) -> float:
        pcm = np.fromfile(prepare(path), "<i2")
        return _timed(lambda: vad.detect(pcm, lambda: None))

    return {
        "prepare": lambda path: _timed(lambda: prepare(path)),
        "decode": lambda path: _timed(lambda: decode(path)),
        "vad": find_speech,
        "private": lambda path: _most_private(work, path),
        "resting": lambda path: _private(),
    }


def funasr(folder: Path, vad_model: Path) -> dict[str, Timed]:
    """As its documentation does it: the file's name given to AutoModel.generate."""
    from funasr import AutoModel

    logging.disable(logging.CRITICAL)
    model = AutoModel(model=str(vad_model), ncpu=1, disable_update=True, disable_pbar=True, disable_log=True)
    torch.set_num_threads(1)
    return {"prepare": lambda path: _timed(lambda: model.generate(input=str(path)))}


def _timed(work: Callable[[], Any]) -> float:
    started = _used()
    work()
    return _used() - started


def _used() -> float:
    """Seconds of processor time of this process and of those it started and saw end."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _most_private(work: Callable[..., Any], path: Path) -> float:
    """MiB of memory no other process shares, the most seen while the file was prepared."""
    from transcribed.ingest.scanner import source_of

    seen = [_private()]
    work(job(source=source_of(path.parent, path, path.stat())), lambda: seen.append(_private()))
    return max(seen)


def _private() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextmanager
def side(
    make: Callable[..., dict[str, Timed]], folder: Path, vad_model: Path
) -> Iterator[Callable[[str, Path], float]]:
    """A function that lets the side's process do something to a file."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(make, folder, vad_model, there), daemon=False)
    process.start()
    there.close()

    def ask(what: str, path: Path) -> float:
        here.send((what, path))
        return here.recv()

    try:
        yield ask
    finally:
        here.close()
        process.join()


def _serve(make: Callable[..., dict[str, Timed]], folder: Path, vad_model: Path, pipe: Any) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # ffmpeg, which FunASR starts, is bound to it too
    can = make(folder, vad_model)
    while True:
        try:
            what, path = pipe.recv()
        except EOFError:
            return
        pipe.send(can[what](path))


# --- a detector of full size -------------------------------------------------------------------------


def build_vad(directory: Path) -> Path:
    """A model directory: the public fsmn-vad's size, its weights set by hand so that it follows the energy."""
    from funasr.models.fsmn_vad_streaming.encoder import FSMN
    from omegaconf import OmegaConf

    config = OmegaConf.load(demo_model.CONFIG)
    config.encoder_conf.update(FULL_SIZE)
    encoder = FSMN(**config.encoder_conf)
    with torch.no_grad():
        _follow_energy(encoder)
    directory.mkdir(exist_ok=True)
    OmegaConf.save(config, directory / "config.yaml")
    shutil.copy(model_store.SHIPPED / "vad" / "am.mvn", directory)
    torch.save({f"encoder.{name}": weight for name, weight in encoder.state_dict().items()}, directory / "model.pt")
    return directory


def _follow_energy(encoder: Any) -> None:
    """Units 0 and 1 carry the level, above and below the usual, through all layers; output 0, silence, reads them."""
    encoder.out_linear2.linear.weight.mul_(0.1)
    encoder.out_linear2.linear.bias.zero_()
    _set(encoder.in_linear1, [[1 / encoder.in_linear1.input_dim] * encoder.in_linear1.input_dim])
    _set(encoder.in_linear2, [[1.0], [-1.0]])
    for block in encoder.fsmn:
        _set(block.linear, [[1.0, 0.0], [0.0, 1.0]])
        block.fsmn_block.conv_left.weight[:2] = 0
        _set(block.affine, [[1.0, 0.0], [0.0, 1.0]])
    _set(encoder.out_linear1, [[1.0, -1.0]])
    _set(encoder.out_linear2, [[-STEEP]])
    encoder.out_linear2.linear.bias[0] = math.log(FULL_SIZE["output_dim"] - 1) + STEEP * BOUNDARY


def _set(layer: Any, weights: list[list[float]]) -> None:
    """The first rows of a layer: these weights, then zeros."""
    linear = layer.linear
    linear.weight[: len(weights)] = 0
    linear.weight[: len(weights), : len(weights[0])] = torch.tensor(weights)
    if linear.bias is not None:
        linear.bias[: len(weights)] = 0


# --- recordings --------------------------------------------------------------------------------------


def recordings(folder: Path, minutes: float) -> dict[str, Path]:
    """The same speech in each format."""
    save(folder / "speech.wav", speech(minutes * 60))
    return {name: _encoded(folder / "speech.wav", folder / f"{name}{suffix}", arguments)
            for name, (suffix, arguments) in FORMATS.items()}  # fmt: skip


def speech(seconds: float, seed: int = 1) -> np.ndarray:
    """Sentences with pauses and a little noise; after two minutes they come again."""
    words, dice, parts, samples = SENTENCE.split(), random.Random(seed), [], 0
    while samples < min(seconds, 120) * SAMPLE_RATE:
        sentence = say(" ".join(dice.choices(words, k=dice.randint(5, 18))), speed=dice.randint(130, 180))
        parts += [sentence * dice.uniform(0.3, 1), silence(dice.uniform(0.2, 2.5))]
        samples = sum(map(len, parts))
    noise = np.random.default_rng(1).normal(0, 1e-3, round(seconds * SAMPLE_RATE))
    return np.resize(np.concatenate(parts), len(noise)) + noise.astype(np.float32)


def short_files(long: Path) -> list[Path]:
    """MP3 files of ten seconds each, cut out of a longer one."""
    return [_encoded(long, long.parent / f"short {n}.mp3", f"{FORMATS['MP3 stereo'][1]} -t {SHORT_SECONDS}",
                     before=f"-ss {n * SHORT_SECONDS}") for n in range(SHORT_FILES)]  # fmt: skip


def _encoded(source: Path, target: Path, arguments: str, before: str = "") -> Path:
    subprocess.run(["ffmpeg", "-v", "error", *before.split(), "-i", source, *arguments.split(), target], check=True)
    return target


def repeated(path: Path, times: int) -> Path:
    """A longer MP3: its frames again and again."""
    target = path.with_stem(f"{path.stem} x {times}")
    target.write_bytes(path.read_bytes() * times)
    return target


# --- comparing ---------------------------------------------------------------------------------------


def compare(rounds: int = 5, minutes: float = MINUTES, long_times: int = 18) -> dict[str, Any]:
    """`formats`: by name, rates `decode`, `vad`, `prepare` and `funasr` in seconds of audio per second, and `ratio`.

    `short`: `ours_ms` and `funasr_ms` per file of ten seconds, and `ratio`.  `private_mib`, by length in multiples of
    `minutes`: the most that a fresh process held, 0 for before any file.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        vad_model = build_vad(folder / "vad")
        files = recordings(folder, minutes)
        shorts = short_files(folder / "speech.wav")
        we, they = (stack.enter_context(side(make, folder, vad_model)) for make in (ours, funasr))
        formats = {name: _rates(we, they, path, minutes * 60, rounds) for name, path in files.items()}
        short = _short(we, they, shorts, rounds)
        return {"formats": formats, "short": short, "private_mib": _grown(files["MP3 stereo"], vad_model, long_times)}


def _rates(we: Any, they: Any, path: Path, seconds: float, rounds: int) -> dict[str, float]:
    we("prepare", path)
    taken = [(we("decode", path), we("vad", path), we("prepare", path), they("prepare", path)) for _ in range(rounds)]
    best = {name: seconds / min(column) for name, column in zip(
        ("decode", "vad", "prepare", "funasr"), zip(*taken, strict=True), strict=True)}  # fmt: skip
    return best | {"ratio": statistics.median(theirs / our for _, _, our, theirs in taken)}


def _short(we: Any, they: Any, paths: list[Path], rounds: int) -> dict[str, float]:
    """A backlog, one file after the other; the first round warms both up."""
    taken = [[sum(side("prepare", path) for path in paths) for side in (we, they)] for _ in range(rounds + 1)][1:]
    our, theirs = (min(column) * 1000 / len(paths) for column in zip(*taken, strict=True))
    return {"ours_ms": our, "funasr_ms": theirs, "ratio": statistics.median(t / o for o, t in taken)}


def _grown(path: Path, vad_model: Path, long_times: int) -> dict[int, float]:
    with tempfile.TemporaryDirectory() as folder, side(ours, Path(folder), vad_model) as fresh:
        held = {0: fresh("resting", path)}
        return held | {times: fresh("private", repeated(path, times)) for times in (1, long_times)}


def told(figures: dict[str, Any]) -> str:
    lines = [f"{'':14}{'decode':>9}{'vad':>9}{'prepare':>9}{'FunASR':>9}{'ratio':>8}"]
    for name, row in figures["formats"].items():
        rates = "".join(f"{row[what]:8.0f}x" for what in ("decode", "vad", "prepare", "funasr"))
        lines.append(f"{name:14}{rates}{row['ratio']:8.2f}")
    short = figures["short"]
    lines.append(
        f"{SHORT_SECONDS} s MP3 files: {short['ours_ms']:.1f} ms each, "
        f"FunASR {short['funasr_ms']:.1f} ms, ratio {short['ratio']:.2f}"
    )
    lines += [
        f"private memory, {times} x {MINUTES} min: {mib:.0f} MiB" for times, mib in figures["private_mib"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(told(compare(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
