"""Makes media files whose tracks, packets and timestamps are as a test wants them, and finds beeps in what is decoded.

Samples are float32 (channels, samples) at 16 kHz. The module knows media, and the product's decoder.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np

from transcribed.ingest.preparation.decoding.decoder import Decoder

SAMPLE_RATE = 16_000
BEEP_SECONDS = 0.1

Edit = Callable[[av.Packet], bool | None]
"""Changes a packet before it is written; False leaves it out."""


@dataclass(frozen=True, slots=True)
class Track:
    samples: np.ndarray  # (channels, samples), or (samples,) for one channel
    codec: str
    rate: int = SAMPLE_RATE
    start: float = 0.0  # seconds
    bit_rate: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    layout: str | None = None


def beeps(seconds: float, at: Sequence[float], hertz: float = 1000.0, level: float = 0.5) -> np.ndarray:
    """Silence with a beep at each of the times; (samples,)."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    tone = level * np.sin(2 * np.pi * hertz * np.arange(round(BEEP_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE)
    for start in at:
        begin = round(start * SAMPLE_RATE)
        samples[begin : begin + len(tone)] = tone[: len(samples) - begin]
    return samples


def onsets(pcm: np.ndarray, level: float = 0.1) -> list[float]:
    """The times at which it becomes loud after a twentieth of a second of quiet; int16 or float samples."""
    scale = 32768 if pcm.dtype == np.int16 else 1
    loud = np.flatnonzero(np.abs(pcm.astype(np.float32)) / scale > level)
    first = np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 20
    return (loud[first] / SAMPLE_RATE).tolist()


def media(
    tracks: Sequence[Track],
    format: str,
    edit: Edit = lambda packet: None,
    pictures: float | None = None,
    **options: str,
) -> bytes:
    """A file with these tracks, the first of them after a moving picture of so many seconds, if any."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format, options={"fflags": "+bitexact", **options}) as container:
        video = _video_stream(container, format) if pictures else None
        streams = [_audio_stream(container, track) for track in tracks]
        packets = _pictures(video, pictures) if video and pictures else []
        for track, stream in zip(tracks, streams, strict=True):
            packets += _encoded(track, stream)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            if edit(packet) is not False:
                container.mux(packet)
    return buffer.getvalue()


def remuxed(data: bytes, format: str, edit: Edit) -> bytes:
    """The packets of the first audio track of a file in another, edited."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", format=format) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None and edit(packet) is not False:
                packet.stream = stream
                target.mux(packet)
    return buffer.getvalue()


def _audio_stream(container: av.container.OutputContainer, track: Track) -> av.AudioStream:
    channels = len(np.atleast_2d(track.samples))
    layout = track.layout or {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    stream = cast(av.AudioStream, container.add_stream(track.codec, rate=track.rate, layout=layout))
    stream.codec_context.options = {"flags": "+bitexact", "strict": "experimental"}
    stream.metadata.update(track.tags)
    if track.bit_rate:
        stream.bit_rate = track.bit_rate
    return stream


def _encoded(track: Track, stream: av.AudioStream) -> list[av.Packet]:
    rows = np.atleast_2d(track.samples).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(rows), "fltp", stream.layout.name)
    frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
    frame.pts = round(track.start * SAMPLE_RATE)
    return [*stream.encode(frame), *stream.encode(None)]


def _video_stream(container: av.container.OutputContainer, format: str) -> av.VideoStream:
    dv = format in ("dv", "mxf", "gxf")
    stream = cast(
        av.VideoStream, container.add_stream("dvvideo" if format == "dv" else "mpeg2video" if dv else "mpeg4", 25)
    )
    stream.width, stream.height = (720, 576) if dv else (32, 32)
    stream.pix_fmt = "yuv420p"
    return stream


def _pictures(stream: av.VideoStream, seconds: float) -> list[av.Packet]:
    packets: list[av.Packet] = []
    for number in range(round(seconds * 25)):
        frame = av.VideoFrame(stream.width, stream.height, stream.pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def decoded(
    data: bytes, name: str = "", tracks: Sequence[int] = (0,), **options: object
) -> tuple[list[np.ndarray], Decoder]:
    """What the product makes of a file, per track int16 (channels, samples); and the decoder, to be asked for more."""
    with Decoder(io.BytesIO(data), name, **options) as decoder:
        rows: dict[int, list[np.ndarray]] = {track: [] for track in tracks}
        for track, block in decoder.blocks(tracks):
            rows[track].append(block)
        return [np.concatenate(rows[track], axis=1) for track in tracks], decoder


def heard(data: bytes, name: str = "", **options: object) -> tuple[list[float], Decoder]:
    """When beeps begin in what the product decodes of a file; and the decoder."""
    (rows,), decoder = decoded(data, name, **options)
    return onsets(rows[0], 0.2), decoder
