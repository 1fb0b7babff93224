"""Recognition by FunASR, by sherpa-onnx and by us: the same full-size weights, the same 10 s utterances, two threads.

`python -m tests.benchmarks.recognition [FOLDER [rounds]]` prints a table; models are made in FOLDER, or used if they
are there.  The peers take turns in one process.  A rate is seconds of audio per second of wall clock, the best of the
rounds, since others use the machine too; a ratio is one of rates.  Needs the extra "bench".
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks import full_size, onnx_export
from tests.benchmarks.preparation import speech
from tests.support.speech import pcm
from transcribed.core.types import SAMPLE_RATE, Options
from transcribed.recognition.models.sensevoice import SenseVoice

THREADS = 2
UTTERANCES, SECONDS = 16, 10
BATCH = 8
FOLDER = Path("build/full_size")
PLAIN, RIVAL, OURS = "FunASR, file by file", "sherpa-onnx int8", "ours"

Samples = np.ndarray
Peer = Callable[[Sequence[Samples]], object]  # recognizes them all


def utterances(count: int = UTTERANCES) -> list[Samples]:
    """Fluent speech in pieces of ten seconds."""
    return np.split(speech(count * SECONDS), count)


def peers(folder: Path) -> dict[str, Peer]:
    """By name, in the order of the table."""
    model = folder / "sensevoice"
    return funasr(model) | sherpa(onnx_export.export(model, folder / "onnx")) | ours(model)


def funasr(model: Path) -> dict[str, Peer]:
    """As its documentation shows."""
    from funasr import AutoModel

    loaded = AutoModel(model=str(model), device="cpu", ncpu=THREADS, disable_update=True, disable_pbar=True)

    def generate(samples: Sequence[Samples], batch: int) -> None:
        for part in _batches(samples, batch):
            assert len(loaded.generate(input=part, batch_size=batch, language="auto", use_itn=False)) == len(part)

    return {
        PLAIN: lambda samples: generate(samples, 1),
        f"FunASR, batches of {BATCH}": lambda samples: generate(samples, BATCH),
    }


def sherpa(exported: Path) -> dict[str, Peer]:
    """sherpa-onnx, on the exported model in both of its usual precisions."""
    names = {"sherpa-onnx fp32": onnx_export.EXACT, RIVAL: onnx_export.SMALL}
    return {name: _sherpa(exported / file, exported / onnx_export.TOKENS) for name, file in names.items()}


def _sherpa(model: Path, tokens: Path) -> Peer:
    import sherpa_onnx

    recognizer = sherpa_onnx.OfflineRecognizer.from_sense_voice(
        model=str(model), tokens=str(tokens), num_threads=THREADS, language="auto", use_itn=False
    )

    def recognize(samples: Sequence[Samples]) -> None:
        for part in _batches(samples, BATCH):
            streams = [recognizer.create_stream() for _ in part]
            for stream, one in zip(streams, part, strict=True):
                stream.accept_waveform(SAMPLE_RATE, one)
            recognizer.decode_streams(streams)
            assert any(stream.result.tokens for stream in streams)

    return recognize


def ours(model: Path) -> dict[str, Peer]:
    """What a worker runs, in float32 and in what it chooses itself."""
    exact, chosen = (SenseVoice(model, "cpu", THREADS, dtype) for dtype in ("fp32", "auto"))
    return {
        f"ours fp32, batches of {BATCH}": _ours(exact, BATCH),
        f"{OURS} {chosen.dtype}, batches of {BATCH}": _ours(chosen, BATCH),
        f"{OURS} {chosen.dtype}, batches of {UTTERANCES}": _ours(chosen, UTTERANCES),
    }


def _ours(recognizer: SenseVoice, batch: int) -> Peer:
    def recognize(samples: Sequence[Samples]) -> None:
        for part in _batches(samples, batch):
            assert any(one.text for one in recognizer.recognize(list(map(pcm, part)), Options("full size", itn=False)))

    return recognize


def _batches(samples: Sequence[Samples], size: int) -> list[Sequence[Samples]]:
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def compare(folder: Path = FOLDER, rounds: int = 5) -> dict[str, Any]:
    """`rates` by peer, in seconds of audio per second; of our best, `to_funasr` and `to_sherpa`, the ratios."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    rates = _rates(peers(full_size.build(folder)), utterances(), rounds)
    best = max(rate for name, rate in rates.items() if name.startswith(OURS))
    return {"rates": rates, "to_funasr": best / rates[PLAIN], "to_sherpa": best / rates[RIVAL]}


def _rates(peers: dict[str, Peer], samples: list[Samples], rounds: int) -> dict[str, float]:
    """The first round warms all up."""
    for peer in peers.values():
        peer(samples[:BATCH])
    taken = [{name: _seconds(peer, samples) for name, peer in peers.items()} for _ in range(rounds)]
    return {name: len(samples) * SECONDS / min(one[name] for one in taken) for name in peers}


def _seconds(peer: Peer, samples: list[Samples]) -> float:
    started = time.perf_counter()
    peer(samples)
    return time.perf_counter() - started


def told(figures: dict[str, Any]) -> str:
    plain, rival = (figures["rates"][name] for name in (PLAIN, RIVAL))
    lines = [f"{'':28}{'x real time':>12}{'to FunASR':>11}{'to int8':>9}"]
    lines += [
        f"{name:28}{rate:12.1f}{rate / plain:11.2f}{rate / rival:9.2f}" for name, rate in figures["rates"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(told(compare(where, int(sys.argv[2]) if len(sys.argv) > 2 else 5)))
