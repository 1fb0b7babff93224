"""Fetches real recordings of people and of music, as Debian packages hold them, and reads them.

What is measured on and what is trained on are different packages.  Needs `apt-get` and `dpkg-deb`; installs nothing.
Samples are int16, mono, 16 kHz.  The module knows packages and their files; nothing of detectors or models.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 16_000
AUDIO = (".wav", ".ogg", ".mp3", ".flac", ".opus")
LANGUAGES = ("en", "es", "fr", "it", "ru")
HOLD_MUSIC = "asterisk-moh-opsound-wav"
GAME_MUSIC = "extremetuxracer-data"
TRAINING_MUSIC = (
    "frozen-bubble-data",
    "lincity-ng-data",
    "supertux-data",
    "warzone2100-music",
    "wesnoth-1.16-music",
)
TRAINING_VOICES = "klettres-data"  # letters and syllables of some twenty languages, one voice each
_NO_SPEECH = ("silence", "beep", "tone", "monkeys", "screech")  # in the names of prompts
_SHORTEST_MUSIC = 15.0  # seconds; shorter ones are effects


def prompts(folder: Path, language: str) -> list[Path]:
    """The prompts of one speaker, in a telephone's 8 kHz."""
    found = _audio(folder, f"asterisk-core-sounds-{language}-wav")
    return [path for path in found if not any(word in str(path.relative_to(folder)) for word in _NO_SPEECH)]


def voices(folder: Path) -> Iterator[list[np.ndarray]]:
    """For each of the voices to train on, its clips of about a second."""
    paths: dict[Path, list[Path]] = {}
    for path in _audio(folder, TRAINING_VOICES):
        paths.setdefault(path.parent.parent, []).append(path)
    for voice in sorted(paths):
        yield [samples for path in paths[voice] if (samples := read(path)) is not None]


def music(folder: Path, package: str) -> Iterator[np.ndarray]:
    """The pieces of music in a package."""
    for path in _audio(folder, package):
        if (samples := read(path)) is not None and len(samples) >= _SHORTEST_MUSIC * SAMPLE_RATE:
            yield samples


def read(path: Path) -> np.ndarray | None:
    """The samples of a file, or None if there are none."""
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    try:
        with av.open(str(path)) as container:
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    except (av.FFmpegError, IndexError):  # a cue sheet, a picture, a file without sound
        return None
    frames += resampler.resample(None) if frames else []
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]) if frames else None


def _audio(folder: Path, package: str) -> list[Path]:
    """The audio files of a package, which is fetched if it is not there."""
    root = folder / package
    if not root.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
        (fetched,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(fetched), str(root)], check=True)
        fetched.unlink()
    return sorted(path for path in root.rglob("*") if path.suffix in AUDIO and path.is_file())
