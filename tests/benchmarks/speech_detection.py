"""Measures what each speech detector finds in recordings of people, and what it takes for speech in sounds without any.

The truth of a track is where its prompts were put and how loud they are, not what another detector says of them.  The
recordings come from Debian packages, none of which a shipped detector was trained on.  Knows sounds and the product's
detectors; nothing of recognizers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.tools import real_sounds
from tests.tools.demo_model import augment
from tests.tools.real_sounds import SAMPLE_RATE
from transcribed.ingest.preparation.vad import Vad
from transcribed.recognition import model_store

DETECTORS = ("demo", "silero")
PROMPTS = 60  # of each language
PAUSE_SECONDS = 2.0
FRAME = SAMPLE_RATE // 100
SPEECH_RANGE_DB = 35  # below a prompt's loud frames: what is softer is breath and room
MARGIN_SECONDS = 0.5  # around speech: what a detector adds so that no word is cut
SOUND_SECONDS = 60

Samples = np.ndarray  # float32, mono, 16 kHz, within -1..1
Figures = dict[str, Any]


@dataclass(frozen=True)
class Track:
    """A recording, and for each frame of 10 ms whether somebody speaks."""

    samples: Samples
    speech: np.ndarray


# --- recordings of people ------------------------------------------------------------------------------


def spoken(paths: list[Path], rng: np.random.Generator) -> Track:
    """Prompts in random order, with silence between them."""
    pause = np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE), np.int16)
    parts, truth = [pause], [np.zeros(len(pause) // FRAME, bool)]
    for index in rng.permutation(len(paths))[:PROMPTS]:
        found = real_sounds.read(paths[index])
        if found is None or len(found) < FRAME:
            continue
        prompt = found[: len(found) // FRAME * FRAME]
        parts += [prompt, pause]
        truth += [_loud(prompt), np.zeros(len(pause) // FRAME, bool)]
    return Track(np.concatenate(parts).astype(np.float32) / 32768, np.concatenate(truth))


def _loud(prompt: np.ndarray) -> np.ndarray:
    power = (prompt.reshape(-1, FRAME).astype(np.float64) ** 2).mean(1)
    loudest: float = np.percentile(power, 98)
    return power > loudest * 10 ** (-SPEECH_RANGE_DB / 10)


def conditions(rng: np.random.Generator, under: Samples) -> dict[str, Callable[[Samples], Samples]]:
    """What may happen to speech on its way; `under` is music."""
    return {
        "mu-law": augment.telephone,
        "MP3 16 kb/s": lambda samples: augment.through_file(samples, ".mp3", bit_rate=16_000),
        "Opus 8 kb/s": lambda samples: augment.through_file(samples, ".ogg", bit_rate=8_000),
        "20 dB softer": lambda samples: samples * np.float32(0.1),
        "white noise 10 dB below": lambda samples: _mixed(samples, rng.standard_normal(len(samples)), 10),
        "music 15 dB below": lambda samples: _mixed(samples, np.resize(under, len(samples)), 15),
    }


def _mixed(speech: Samples, other: Samples, decibels: float) -> Samples:
    """Speech with something softer under it, by their powers where there is speech at all."""
    power = np.mean(np.square(speech[np.abs(speech) > 0.01])) / np.mean(np.square(other))
    return (speech + other * np.sqrt(power * 10 ** (-decibels / 10))).astype(np.float32)


# --- what is no speech ---------------------------------------------------------------------------------


def telephone_sounds(rng: np.random.Generator) -> dict[str, Samples]:
    """A minute each of what a telephone says when nobody speaks (ITU-T E.180 and its annex), and of rooms."""
    count = SOUND_SECONDS * SAMPLE_RATE
    claps = np.convolve(rng.standard_normal(count) * (rng.random(count) < 0.005), _decay(0.01))[:count]
    return {
        "ringback, USA": _tones((440, 480), 2.0, 4.0),
        "ringback, Europe": _tones((425,), 1.0, 4.0),
        "ringback, UK": _tones((400, 450), 0.4, 0.2, 0.4, 2.0),
        "busy": _tones((480, 620), 0.5, 0.5),
        "DTMF": np.concatenate([_tones(pair, 0.1, 0.1)[: 3 * SAMPLE_RATE] for pair in _DTMF])[:count],
        "fax": _tones((1100,), 0.5, 3.0),
        "applause": claps,
        "keyboard": augment.clicks(rng, count),
        "white noise": rng.standard_normal(count),
        "brown noise": augment.coloured_noise(rng, count, 1.0),
        "hum": augment.hum(rng, count),
    }


_DTMF = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)] * 2


def _tones(hertz: tuple[int, ...], *cadence: float) -> Samples:
    """A minute of a sum of tones, on and off by turns of so many seconds."""
    at = np.arange(SOUND_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    turn = np.searchsorted(np.cumsum(cadence), at % sum(cadence), "right")
    return np.sum([np.sin(2 * np.pi * each * at) for each in hertz], 0) * (turn % 2 == 0)


def _decay(seconds: float) -> Samples:
    return np.exp(-np.arange(5 * seconds * SAMPLE_RATE) / (seconds * SAMPLE_RATE))


# --- measuring -----------------------------------------------------------------------------------------


def sent_on(detector: Vad, samples: Samples) -> np.ndarray:
    """For each frame, whether it goes to the recognizer."""
    pcm = (samples.clip(-1, 1) * 32767).astype(np.int16)
    frames = np.zeros(len(pcm) // FRAME + 1, bool)
    for region in detector.detect(pcm, lambda: None):
        frames[region.start // FRAME : -(-region.stop // FRAME)] = True
    return frames


def speech_figures(detector: Vad, track: Track) -> dict[str, float]:
    """The share of speech that is sent on, and of what is far from any that is sent on as well."""
    found = sent_on(detector, track.samples)
    truth = track.speech[: len(found)]
    found = found[: len(truth)]
    margin = int(100 * MARGIN_SECONDS)
    far = np.convolve(truth, np.ones(2 * margin + 1), "same") < 0.5
    return {"recall": float(found[truth].mean()), "pauses": float(found[far].mean())}


def rows(folder: Path) -> Iterator[tuple[str, Callable[[Vad], dict[str, float]]]]:
    """What is measured, each by a function of the detector."""
    rng = np.random.default_rng(13)
    pieces = [piece.astype(np.float32) / 32768 for piece in real_sounds.music(folder, real_sounds.HOLD_MUSIC)]
    tracks = {name: spoken(real_sounds.prompts(folder, name), rng) for name in real_sounds.LANGUAGES}
    for language, track in tracks.items():
        yield f"people, {language}", lambda detector, track=track: speech_figures(detector, track)
    together = Track(
        *(np.concatenate(each) for each in zip(*[(t.samples, t.speech) for t in tracks.values()], strict=True))
    )
    for name, change in conditions(rng, pieces[0]).items():
        changed = Track(change(together.samples), together.speech)
        yield f"people, {name}", lambda detector, track=changed: speech_figures(detector, track)
    games = [piece.astype(np.float32) / 32768 for piece in real_sounds.music(folder, real_sounds.GAME_MUSIC)]
    yield f"hold music, {len(pieces)} pieces", lambda detector: _sounds(detector, pieces)
    yield f"game music, {len(games)} pieces", lambda detector: _sounds(detector, games)
    for name, sound in telephone_sounds(rng).items():
        loud = augment.at_peak(sound, -12)
        yield name, lambda detector, sound=loud: _sounds(detector, [sound])


def _sounds(detector: Vad, sounds: list[Samples]) -> dict[str, float]:
    frames = [sent_on(detector, sound) for sound in sounds]
    return {"sent": float(np.concatenate(frames).mean()), "minutes": sum(map(len, frames)) / 6000}


def compare(scratch: Path) -> Figures:
    """The figures of each row and detector."""
    detectors = {name: Vad(model_store.locate_vad(name, scratch)) for name in DETECTORS}
    figures: Figures = {}
    for name, measure in rows(scratch / "real_sounds"):
        figures[name] = {each: measure(detector) for each, detector in detectors.items()}
        print(_row(name, figures[name]), flush=True)
    return figures


def told(figures: Figures) -> str:
    """Markdown."""
    head = f"| recordings | {' | '.join(DETECTORS)} |\n| --- |{' --- |' * len(DETECTORS)}"
    return "\n".join([head, *(_row(name, row) for name, row in figures.items())])


def _row(name: str, row: dict[str, dict[str, float]]) -> str:
    return f"| {name} | " + " | ".join(_cell(row[each]) for each in DETECTORS if each in row) + " |"


def _cell(figures: dict[str, float]) -> str:
    if "recall" in figures:
        return f"{figures['recall']:.3f}, pauses {figures['pauses']:.1%}"
    return f"{figures['sent']:.1%}"
