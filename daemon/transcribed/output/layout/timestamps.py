"""Format seconds as timestamps.  Knows no file format."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Return `1:02:03`, for people; fractions of a second are dropped."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def brief(seconds: float) -> str:
    """Return `2:03` within the first hour, then the same as `clock`."""
    return clock(seconds) if seconds >= 3600 else clock(seconds).removeprefix("0:").removeprefix("0")


def timestamp(seconds: float) -> str:
    """Return `01:02:03.004`, as in WebVTT."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def minutes(seconds: float) -> str:
    """Return `62:03.00`, as in LRC, which has no hours."""
    minutes, centiseconds = divmod(round(seconds * 100), 6000)
    return f"{minutes:02}:{centiseconds // 100:02}.{centiseconds % 100:02}"
