"""Throughput against the size of batches, measured and drawn."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.benchmarks import full_size
from tests.benchmarks.recognition import SECONDS, THREADS, Samples, utterances
from tests.support.speech import pcm
from transcribed.core.types import Options
from transcribed.recognition.models.sensevoice import SenseVoice

SIZES = (1, 2, 4, 8, 16, 32)
LEAST_UTTERANCES = 8  # in one measurement
ROUNDS = 3
LIMIT_SECONDS = 180.0  # after which no round begins, where others leave little of the machine

Batched = Callable[[list[Samples]], object]  # recognizes them in one batch
Rates = dict[str, dict[int, float]]  # by way and size, seconds of audio per second


def compare(folder: Path, rounds: int = ROUNDS) -> Rates:
    """The ways take turns; each rate is the best of the rounds."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    ways, samples = _ways(full_size.build(folder) / "sensevoice"), utterances(max(SIZES))
    rates: Rates = {name: dict.fromkeys(SIZES, 0.0) for name in ways}
    for way in ways.values():
        way(samples[:2])
    until = time.monotonic() + LIMIT_SECONDS
    for _ in range(rounds):
        for size, (name, way) in itertools.product(SIZES, ways.items()):
            rates[name][size] = max(rates[name][size], _rate(way, samples, size))
        if time.monotonic() > until:
            break
    return rates


def _ways(model: Path) -> dict[str, Batched]:
    exact, chosen = (SenseVoice(model, "cpu", THREADS, dtype) for dtype in ("fp32", "auto"))
    ours = {f"transcribed, {one.dtype}": one for one in (chosen, exact)}
    return {name: lambda batch, one=one: one.recognize(list(map(pcm, batch)), Options("full size", itn=False))
            for name, one in ours.items()} | {"FunASR": _funasr(model)}  # fmt: skip


def _funasr(model: Path) -> Batched:
    from funasr import AutoModel

    loaded = AutoModel(model=str(model), device="cpu", ncpu=THREADS, disable_update=True, disable_pbar=True)
    return lambda batch: loaded.generate(input=batch, batch_size=len(batch), language="auto", use_itn=False)


def _rate(way: Batched, samples: list[Samples], size: int) -> float:
    count = max(size, LEAST_UTTERANCES)
    started = time.perf_counter()
    for at in range(0, count, size):
        way(samples[at : at + size])
    return count * SECONDS / (time.perf_counter() - started)


def draw(rates: Rates, path: Path) -> None:
    """As SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "transcribed"})
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for (name, row), colour, mark in zip(rates.items(), ("tab:blue", "tab:cyan", "tab:orange"), "osD", strict=False):
        axes.plot(list(row), list(row.values()), color=colour, marker=mark, label=name)
        axes.annotate(name, (list(row)[-1], list(row.values())[-1]), (8, 0), textcoords="offset points", va="center")
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.set(xlabel="rows of 10 s in a batch", ylabel="seconds of audio per second", ylim=(0, None))
    axes.set_title("SenseVoiceSmall (234 M parameters) on two CPU cores", loc="left", fontsize=11)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
