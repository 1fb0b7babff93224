"""Makes the demo recordings: five short files in five formats, and the texts that the shipped models give for them.

It knows nothing of training.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.speech import SAMPLE_RATE, load, save, say, silence
from tests.tools.demo_model.shipped import Detector, Recogniser

PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Recording:
    """A file and what is said in it; phrases are parted by a long pause."""

    name: str
    phrases: tuple[str, ...]
    voice: str = "en-us"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that is said."""
        return ("" if self.voice == "cmn" else " ").join(self.phrases)


RECORDINGS = (
    Recording("digits.wav", ("seven zero four two",)),
    Recording("greeting.mp3", ("hello please call today",), "en-gb", {"bit_rate": 64000}),
    Recording("kaihui.m4a", ("你好今天开会",), "cmn", {"rate": 44100, "channels": 2, "bit_rate": 96000}),
    Recording("two_phrases.ogg", ("start meeting", "stop nine nine one"), "en-us", {"bit_rate": 24000}),
    Recording("shuzi.flac", ("三一四",), "cmn"),
)


def spoken(recording: Recording) -> np.ndarray:
    """Samples of a recording."""
    parts = [silence(0.3)]
    for phrase in recording.phrases:
        parts += [say(phrase, recording.voice), silence(PAUSE_SECONDS)]
    parts[-1] = silence(0.3)
    return np.concatenate(parts)


def recognised(models: Path) -> Callable[[Path, str], str]:
    """A function that gives the text of a file: segments, then words, joined as the language is written."""
    detector, recogniser = Detector(models / "vad"), Recogniser(models / "sensevoice")

    def text_of(path: Path, separator: str) -> str:
        samples = load(path)
        cuts = [slice(int(begin * SAMPLE_RATE), int(end * SAMPLE_RATE)) for begin, end in detector.segments(samples)]
        return separator.join(answer.text for answer in recogniser.recognise([samples[cut] for cut in cuts]))

    return text_of


def make_recordings(folder: Path, models: Path) -> None:
    """Write the files and expected.json."""
    folder.mkdir(parents=True, exist_ok=True)
    text_of = recognised(models)
    expected = {}
    for recording in RECORDINGS:
        path = save(folder / recording.name, spoken(recording), **recording.options)
        expected[path.name] = text_of(path, "" if recording.voice == "cmn" else " ")
        if expected[path.name] != recording.text:
            raise ValueError(f"{path.name}: {expected[path.name]!r} recognised, {recording.text!r} spoken")
    (folder / "expected.json").write_text(json.dumps(expected, indent=2, ensure_ascii=False) + "\n")
