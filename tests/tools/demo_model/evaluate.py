"""Figures of the shipped models on recordings that training has not seen, as two tables.

Voices, speeds and noise levels of the "unseen" rows do not occur in training. It knows nothing of how the models were
made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tests.support.speech import SAMPLE_RATE, say, silence
from tests.tools.demo_model import augment
from tests.tools.demo_model.corpus import PLAIN, VARIED
from tests.tools.demo_model.scenes import loud_samples
from tests.tools.demo_model.shipped import Detector, Recogniser
from tests.tools.demo_model.utterances import (
    UNSEEN_VARIANTS,
    UNSEEN_VOICES,
    Style,
    Utterance,
    draw_sound,
    draw_speech,
)
from tests.tools.demo_model.words import DIGITS, joined

DIRECT = {"direct": 1.0}
PLAIN_TEST = replace(PLAIN, speeds=tuple(range(130, 171)), clean_share=1.0, channels=DIRECT, margin=(0.1, 0.6))
UNSEEN = replace(
    VARIED,
    voices=UNSEEN_VOICES,
    variants=UNSEEN_VARIANTS,
    speeds=(*range(110, 118), *range(206, 213)),
    words=(1, 10),
    noise=(-45, -43, -41, -40, -32, -31, -30),
    clean_share=0.2,
    channels=DIRECT,
)
CODECS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "MP3 64 kb/s": lambda samples: augment.through_file(samples, ".mp3", bit_rate=64000),
    "Opus 24 kb/s": lambda samples: augment.through_file(samples, ".ogg", bit_rate=24000),
    "telephone, 8 kHz mu-law": augment.telephone,
}
SOUND_SECONDS = 20


@dataclass(frozen=True)
class Row:
    """Figures of one condition."""

    condition: str
    count: int
    word_errors: float
    language_errors: float
    exact: float


def draw(style: Style | None, seed: int, number: int) -> Utterance:
    """Utterance `number` of a condition; no style means no speech."""
    rng = np.random.default_rng((999, seed, number))
    return draw_speech(rng, style) if style else draw_sound(rng)


def draw_all(style: Style | None, seed: int, count: int, processes: int = 2) -> list[Utterance]:
    """All utterances of a condition."""
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(partial(draw, style, seed), range(count), chunksize=20))


def units(text: str) -> list[str]:
    """What errors are counted in: English words and Mandarin characters."""
    return re.findall(r"[a-z]+|[^\sa-z]", text)


def edits(spoken: list[str], written: list[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(spoken) + 1))
    for count, unit in enumerate(written, 1):
        diagonal, row[0] = row[0], count
        for index, target in enumerate(spoken, 1):
            best = min(row[index] + 1, row[index - 1] + 1, diagonal + (unit != target))
            diagonal, row[index] = row[index], best
    return row[-1]


def measure(condition: str, recogniser: Recogniser, utterances: list[Utterance]) -> Row:
    """Recognise and count errors."""
    answers = recogniser.recognise([one.samples for one in utterances])
    pairs = list(zip(utterances, answers, strict=True))
    errors = sum(edits(units(one.text), units(answer.text)) for one, answer in pairs)
    words = sum(len(one.words) for one in utterances)
    return Row(
        condition,
        len(utterances),
        errors / max(words, 1),
        float(np.mean([one.language != answer.language for one, answer in pairs])),
        float(np.mean([one.text == answer.text for one, answer in pairs])),
    )


def recogniser_rows(recogniser: Recogniser, count: int) -> Iterable[Row]:
    """All conditions; the most important one has ten times the utterances."""
    yield measure("plain English digits", recogniser, draw_all(PLAIN_TEST, 1, 10 * count))
    mandarin = replace(PLAIN_TEST, mandarin_share=1.0)
    yield measure("plain Mandarin digits", recogniser, draw_all(mandarin, 2, 2 * count))
    plain_phrases = replace(PLAIN_TEST, phrases=(2, 3))
    yield measure("several plain English phrases", recogniser, draw_all(plain_phrases, 6, count))
    phrases = replace(VARIED, words=(2, 5), phrases=(2, 3), channels=DIRECT)
    yield measure("several phrases, trained voices, noise", recogniser, draw_all(phrases, 3, count))
    unseen = draw_all(UNSEEN, 4, 2 * count)
    yield measure("unseen voices, speeds, noise", recogniser, unseen)
    for name, codec in CODECS.items():
        coded = [replace(one, samples=codec(one.samples)) for one in unseen]
        yield measure(f"the same, {name}", recogniser, coded)
    # Here the word errors are words per word spoken, so only the last column means something.
    yield measure("no speech", recogniser, draw_all(None, 5, count))


def recogniser_table(recogniser: Recogniser, count: int) -> list[str]:
    """Markdown lines."""
    lines = ["| condition | WER | LID error | all words right | N |", "| --- | --- | --- | --- | --- |"]
    for row in recogniser_rows(recogniser, count):
        errors = "" if row.condition == "no speech" else f"{row.word_errors:.2%}"
        lines.append(f"| {row.condition} | {errors} | {row.language_errors:.2%} | {row.exact:.2%} | {row.count} |")
        print(lines[-1], flush=True)
    return lines


@dataclass(frozen=True)
class Phrases:
    """A recording of two phrases and where they are, in seconds."""

    samples: np.ndarray
    truth: list[tuple[float, float]]
    texts: list[str]


def two_phrases(rng: np.random.Generator) -> Phrases:
    """Two plain digit sequences with a pause that is long enough to part them."""
    texts, parts, truth = [], [silence(rng.uniform(0.3, 1.0))], []
    for _ in range(2):
        texts.append(joined("en", tuple(rng.choice(DIGITS["en"], rng.integers(4, 7)))))
        spoken = augment.at_peak(say(texts[-1], str(rng.choice(["en-us", "en-gb"]))), -3)
        begin = sum(map(len, parts))
        loud = np.flatnonzero(loud_samples(spoken))
        truth.append(((begin + loud[0]) / SAMPLE_RATE, (begin + loud[-1]) / SAMPLE_RATE))
        parts += [spoken, silence(rng.uniform(2.5, 4))]
    return Phrases(np.concatenate(parts), truth, texts)


def detector_conditions(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """How the two phrases are recorded."""
    return {
        "clean": lambda samples: samples,
        "peak -30 dBFS": lambda samples: augment.at_peak(samples, -30),
        "noise -40 dBFS": lambda samples: augment.with_noise(rng, samples, -40),
        "telephone": augment.telephone,
        "MP3 64 kb/s": CODECS["MP3 64 kb/s"],
    }


def detector_row(name: str, detector: Detector, recogniser: Recogniser, recordings: list[Phrases]) -> str:
    """Segments of all recordings against the truth, and the text of the segments."""
    right, exact = 0, 0
    begins: list[float] = []
    ends: list[float] = []
    for one in recordings:
        found = detector.segments(one.samples)
        if len(found) == len(one.truth):
            right += 1
            begins += [segment[0] - truth[0] for segment, truth in zip(found, one.truth, strict=True)]
            ends += [segment[1] - truth[1] for segment, truth in zip(found, one.truth, strict=True)]
        cuts = [one.samples[int(begin * SAMPLE_RATE) : int(end * SAMPLE_RATE)] for begin, end in found]
        exact += [answer.text for answer in recogniser.recognise(cuts)] == one.texts
    spans = [f"{min(values, default=np.nan):+.2f} to {max(values, default=np.nan):+.2f} s" for values in (begins, ends)]
    count = len(recordings)
    return f"| {name} | {right / count:.1%} | {' | '.join(spans)} | {exact / count:.1%} | {count} |"


def detector_table(detector: Detector, recogniser: Recogniser, count: int) -> list[str]:
    """Markdown lines for two phrases with a pause."""
    rng = np.random.default_rng(6)
    lines = ["| two phrases | two segments | begin | end | text exact | N |", "| --- | --- | --- | --- | --- | --- |"]
    clean = [two_phrases(rng) for _ in range(count)]
    for name, change in detector_conditions(rng).items():
        recordings = [replace(one, samples=change(one.samples)) for one in clean]
        lines.append(detector_row(name, detector, recogniser, recordings))
        print(lines[-1], flush=True)
    return lines


def sounds(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Recordings of some length in which nobody speaks."""
    count = SOUND_SECONDS * SAMPLE_RATE
    return {
        "digital silence": silence(SOUND_SECONDS),
        "white noise -35 dBFS": augment.with_noise(rng, silence(SOUND_SECONDS), -35, slope=0),
        "brown noise -40 dBFS": augment.with_noise(rng, silence(SOUND_SECONDS), -40, slope=1),
        "hum -20 dBFS": augment.at_peak(augment.hum(rng, count), -20),
        "tone -12 dBFS": augment.at_peak(augment.tone(rng, count), -12),
        "music -12 dBFS": augment.at_peak(augment.music(rng, count), -12),
        "clicks -12 dBFS": augment.at_peak(augment.clicks(rng, count), -12),
    }


def sound_table(detector: Detector, count: int) -> list[str]:
    """Markdown lines: seconds taken for speech."""
    lines = [f"| {SOUND_SECONDS} s of | speech found, worst | N |", "| --- | --- | --- |"]
    rng = np.random.default_rng(7)
    worst: dict[str, float] = {}
    for _ in range(count):
        for name, samples in sounds(rng).items():
            seconds = sum(end - begin for begin, end in detector.segments(samples))
            worst[name] = max(seconds, worst.get(name, 0.0))
    lines += [f"| {name} | {seconds:.1f} s | {count} |" for name, seconds in worst.items()]
    print("\n".join(lines), flush=True)
    return lines


def evaluate(models: Path, count: int) -> str:
    """All tables as Markdown."""
    recogniser, detector = Recogniser(models / "sensevoice"), Detector(models / "vad")
    tables = [
        recogniser_table(recogniser, count),
        detector_table(detector, recogniser, max(10, count // 5)),
        sound_table(detector, max(2, count // 50)),
    ]
    return "\n\n".join("\n".join(lines) for lines in tables)
