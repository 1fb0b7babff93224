"""Recognition by FunASR and by us on the same weights and the same 10 s utterances, and whether the words are the same.

In a process of its own, so that nothing of it stays on the card.  FunASR is called as its documentation shows.
"""

from __future__ import annotations

import logging
import multiprocessing
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tests.gpu.findings import Finding, at_least, at_most, told
from tests.gpu.place import OPTIONS, Place
from tests.support.speech import pcm
from tests.tools.demo_model.evaluate import edits

SECONDS = 10
UTTERANCES, REHEARSED = 512, 8
FILES = 64  # of them, for those who take one at a time
BATCHES = (1, 8, 64, 512)
ROUNDS = 3
TIMES = 10.0
EXACT, NEARLY = 0.001, 0.03  # shares of words
PLAIN = "FunASR, file by file"
TAG = re.compile(r"<\|[^|]*\|>")

Words = list[list[str]]


def measure(place: Place) -> list[Finding]:
    samples = place.samples(SECONDS, UTTERANCES if place.is_card else REHEARSED)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        rates, words = pool.submit(compare, place.full_size, place.slot, samples).result()
    theirs, exact, chosen = words
    best = max(rate for name, rate in rates.items() if name.startswith("ours"))
    return [
        *(told(f"{name}, in seconds of audio per second", rate) for name, rate in rates.items()),
        at_least("ours by FunASR, one call per file", best / rates[PLAIN], TIMES),
        told("words", sum(map(len, theirs))),
        at_most("words in fp32 that are not FunASR's, as a share", _differing(theirs, exact), EXACT),
        at_most("words as chosen that are not those in fp32, as a share", _differing(exact, chosen), NEARLY),
    ]


def compare(model: Path, slot: str, samples: Sequence[np.ndarray]) -> tuple[dict[str, float], tuple[Words, ...]]:
    """Rates by name; words of the first files by FunASR, by us in fp32, and by us as we choose."""
    from transcribed.recognition import device as devices

    device, files = devices.choose(slot), samples[:FILES]
    spooled = list(map(pcm, samples))
    logging.disable(logging.WARNING)
    from transcribed.recognition.models.sensevoice import SenseVoice

    rates, theirs = _funasr(model, device, files)
    heard = []
    for dtype in ("fp32", "auto"):
        recognizer = SenseVoice(model, device, 1, dtype)
        for size in (size for size in BATCHES if size <= len(samples)):
            part = spooled if size > 1 else spooled[:FILES]
            rate = _rate(lambda: _recognized(recognizer, part, size), len(part))  # noqa: B023
            rates[f"ours {recognizer.dtype}, batches of {size}"] = rate
        heard.append([hypothesis.text.split() for hypothesis in _recognized(recognizer, spooled[:FILES], FILES)])
    return rates, (theirs, *heard)


def _funasr(model: Path, device: str, files: Sequence[np.ndarray]) -> tuple[dict[str, float], Words]:
    from funasr import AutoModel

    loaded = AutoModel(model=str(model), device=device, disable_update=True, disable_pbar=True)

    def generate(batch: int) -> list[dict[str, Any]]:
        parts = [list(files[at : at + batch]) for at in range(0, len(files), batch)]
        found = (loaded.generate(input=part, batch_size=batch, language="auto", use_itn=False) for part in parts)
        return [one for some in found for one in some]

    names = {PLAIN: 1, "FunASR, batches of 8": 8}
    rates = {name: _rate(lambda: generate(batch), len(files)) for name, batch in names.items()}  # noqa: B023
    loaded.kwargs["frontend"].dither = 0.0  # else it adds noise
    return rates, [TAG.sub(" ", one["text"]).split() for one in generate(1)]


def _recognized(recognizer: Any, samples: Sequence[np.ndarray], size: int) -> list[Any]:
    parts = (samples[at : at + size] for at in range(0, len(samples), size))
    return [hypothesis for part in parts for hypothesis in recognizer.recognize(part, _without_itn())]


def _without_itn() -> Any:
    from dataclasses import replace

    return replace(OPTIONS, itn=False)


def _rate(work: Callable[[], object], count: int) -> float:
    """Seconds of audio per second, the best of the rounds; one before them warms up."""
    taken = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return count * SECONDS / min(taken[1:])


def _differing(wanted: Words, found: Words) -> float:
    wrong = sum(edits(one, other) for one, other in zip(wanted, found, strict=True))
    return wrong / max(1, sum(map(len, wanted)))
