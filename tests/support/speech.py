"""Makes spoken recordings for the tests: text to samples with espeak-ng, samples to media files with PyAV.

Samples are float32, mono, 16 kHz, within -1..1. The module knows nothing of models, transcripts or the
product; the words that the demonstration model understands are in `tests.tools.demo_model.words`.
"""

from __future__ import annotations

import subprocess
import wave
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

SAMPLE_RATE = 16000
ESPEAK_RATE = 22050
WAV_HEADER_BYTES = 44

ENGLISH_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MANDARIN_DIGITS = "零一二三四五六七八九"

CODECS = {
    ".wav": "pcm_s16le",
    ".mp3": "libmp3lame",
    ".m4a": "aac",
    ".mp4": "aac",
    ".ogg": "libopus",
    ".opus": "libopus",
    ".webm": "libopus",
    ".flac": "flac",
}

VIDEO_SIZE = 32
VIDEO_RATE = 5


def say(text: str, voice: str = "en-us", speed: int = 150, pitch: int = 50, gap: int = 0) -> np.ndarray:
    """Speak `text`; `speed` is in words per minute, `gap` a pause between words in about 10 ms.

    Mandarin needs the voice "cmn".
    """
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-g", str(gap), "--stdout", "--", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    # espeak-ng cannot know the length when it writes the header, so the header's sizes are not to be trusted.
    pcm = np.frombuffer(wav[WAV_HEADER_BYTES:], dtype=np.int16)
    return resample(pcm.astype(np.float32) / 32768, ESPEAK_RATE, SAMPLE_RATE)


def pcm(samples: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16, as the spool holds it."""
    return (samples.clip(-1, 1) * 32767).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    """Digital silence."""
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def digits(number: int | str, language: str = "en") -> str:
    """The digits of `number` one by one as words: 407 -> "four zero seven", with "zh" -> "四零七"."""
    if language == "zh":
        return "".join(MANDARIN_DIGITS[int(digit)] for digit in str(number))
    return " ".join(ENGLISH_DIGITS[int(digit)] for digit in str(number))


def resample(samples: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Change the sample rate of mono samples."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target_rate)
    frames = [*resampler.resample(audio_frame(samples, source_rate)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def audio_frame(samples: np.ndarray, rate: int) -> av.AudioFrame:
    """One PyAV frame that holds all samples."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], dtype=np.float32), "flt", "mono")
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    return frame


def save(
    path: str | Path,
    samples: np.ndarray,
    *,
    codec: str | None = None,
    rate: int = SAMPLE_RATE,
    channels: int = 1,
    bit_rate: int | None = None,
) -> Path:
    """Encode to `path`; its suffix selects the container and, unless given, the codec.

    A telephone recording is `save("call.wav", samples, codec="pcm_mulaw", rate=8000)`.
    An .mp4 also gets a tiny moving picture.
    """
    path = Path(path)
    # bitexact keeps library versions out of the file, so the same samples give the same bytes.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        layout = "mono" if channels == 1 else "stereo"
        stream = cast(av.AudioStream, container.add_stream(codec or CODECS[path.suffix], rate=rate, layout=layout))
        stream.codec_context.options = {"flags": "+bitexact"}
        if bit_rate:
            stream.bit_rate = bit_rate
        if path.suffix == ".mp4":
            _add_video(container, len(samples) / SAMPLE_RATE)
        _encode(container, stream, audio_frame(np.clip(samples, -1, 1), SAMPLE_RATE))
    return path


def load(path: str | Path) -> np.ndarray:
    """Decode the first audio stream of a media file to samples."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def stereo(path: str | Path, left: np.ndarray, right: np.ndarray) -> Path:
    """A WAV of two channels; the shorter one is silent to the end."""
    both = np.zeros((max(len(left), len(right)), 2), np.int16)
    both[: len(left), 0], both[: len(right), 1] = pcm(left), pcm(right)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(both.tobytes())
    return Path(path)


def _encode(container: av.container.OutputContainer, stream: av.AudioStream, frame: av.AudioFrame) -> None:
    """Convert one frame to what the codec wants and write its packets."""
    for packet in stream.encode(frame):
        container.mux(packet)
    for packet in stream.encode(None):
        container.mux(packet)


def _add_video(container: av.container.OutputContainer, seconds: float) -> None:
    """A small picture that becomes brighter over the recording."""
    stream = container.add_stream("mpeg4", rate=VIDEO_RATE)
    stream.width = stream.height = VIDEO_SIZE
    stream.pix_fmt = "yuv420p"
    count = max(1, round(seconds * VIDEO_RATE))
    for index in range(count):
        picture = np.full((VIDEO_SIZE, VIDEO_SIZE, 3), 255 * index // count, dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))
