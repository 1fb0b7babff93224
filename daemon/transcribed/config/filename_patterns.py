"""Metadata from a recording's name: who called whom, when it began, in which meeting.  Pure.

A pattern is a regular expression with named groups, or the name of a preset.  It is searched in the path below the
inbox, folders included; each group becomes a field of its name.  Usual names are `caller`, `callee`, `type`,
`uniqueid`, `topic`, `meeting`, `speaker`, `number`; any other works too.  Two cases are special:

- `date` (the year first) and `time`, or `year`, `month`, `day`, `hour`, `minute` and `second`, with `ampm` or `utc`
  with them, become one field, `started`: ISO 8601, in the local time of whoever named the file, or with a Z if
  `utc` matched.  A two-digit year is of this century.  Digits that form no real date stay as they are.
- `caller2` and `caller3` stand for `caller` in a pattern with alternatives: the first that is not empty counts.

File names are untrusted: values are made printable, truncated, and only ever used as text.  Patterns come from the
operator: one with nested repetition, such as `(a+)+b`, may take forever; then the process that prepares the file
exits at its limits, as with any file that hangs.

Sources of the presets: FreePBX's module callrecording (functions.inc.php, bin/one_touch_record.php), whose names
Issabel keeps; record templates of FreeSWITCH and FusionPBX; Zoom's articles on recording file formats and on names of
contact center files; names that WhatsApp gives on Android, iOS and desktops; TASCAM's reference manuals.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date, time

from transcribed.core.text import printable

MAX_NAME = 1024  # characters searched: the last ones of a longer path
MAX_PATTERN = 2000
MAX_VALUE = 200

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_MOMENT = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"

# `(?=X|)` matches X or nothing without consuming it, so that fields are found in any order.
PRESETS: Mapping[str, str] = {
    # type-callee-caller-YYYYMMDD-HHMMSS-uniqueid.wav; for conferences room-room-mode-YYYYMMDD...
    "freepbx": (
        r"(?:^|/)(?:(?P<conference>\d+)-(?P=conference)-[a-z]*"
        r"|(?P<type>[A-Za-z]+)-(?P<callee>[^/-]*)-(?P<caller>[^/]*?))"
        r"-(?P<date>\d{8})-(?P<time>\d{6})-(?P<uniqueid>(?:[^/-]+-)?\d+\.\d+)"
    ),
    # uuid.wav; moment_uuid; moment.callee.caller.uuid; caller_callee_moment; caller.domain.moment; below
    # archive/YYYY/Mon/DD/ by FusionPBX, where caller_callee_DD-MM-YYYY_HH:MM:SS occurs too.
    "freeswitch": (
        rf"(?s)^(?=.*?(?P<uuid>{_UUID})|)"
        r"(?=.*?(?P<date>\d{4}-\d\d-\d\d)-(?P<time>\d\d-\d\d-\d\d)"
        r"|.*?_(?P<day>\d\d)-(?P<month>\d\d)-(?P<year>\d{4})_(?P<hour>\d\d)[:.-](?P<minute>\d\d)[:.-](?P<second>\d\d)"
        r"|(?:.*?/)?(?P<year2>\d{4})/(?P<month2>[A-Z][a-z]{2})/(?P<day2>\d\d)/|)"
        rf"(?=(?:.*/)?{_MOMENT}[._](?P<callee>[^/._]+)[._](?P<caller>[^/._]+)[._]{_UUID}"
        rf"|(?:.*/)?(?P<caller2>[^/._]+)_(?P<callee2>[^/._]+)_(?:{_MOMENT}|\d\d-\d\d-\d{{4}}_)"
        rf"|(?:.*/)?(?P<caller3>[^/._]+)\.(?:(?P<domain>[^/_]+)\.)?{_MOMENT}|)"
    ),
    # YYYY-MM-DD HH.MM.SS Topic MeetingId/audio_only.m4a, .../Audio Record/audioName12345678.m4a; from the cloud
    # GMTYYYYMMDD-HHMMSS_Topic_1920x1080.mp4.  Digits at the end of a name cannot be told from Zoom's own.
    "zoom": (
        r"(?s)^(?=(?:.*/)?(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d\.\d\d\.\d\d)"
        r" (?P<topic>[^/]*?)(?: ?(?<!\d)(?P<meeting>\d{9,11}))?/"
        r"|(?:.*/)?(?P<utc>GMT)(?P<date2>\d{8})-(?P<time2>\d{6})"
        r"_(?:Recording|(?P<topic2>[^/.]+?))(?:_Recording|_\d+x\d+)*\.|)"
        r"(?=(?:.*/)?audio(?P<speaker>[^/\d_][^/]*?)\d{6,}\.[^/]*$|)"
    ),
    # PTT-20261120-WA0001.opus; 00000012-AUDIO-2026-11-20-10-00-00.opus; WhatsApp Audio 2026-11-20 at 9.05.03 PM.ogg
    "whatsapp": (
        r"(?:^|/)(?:(?:PTT|AUD|VID)-(?P<date>\d{8})-WA(?P<number>\d+)"
        r"|(?P<number2>\d+)-(?:AUDIO|PTT|VIDEO)-(?P<date2>\d{4}-\d\d-\d\d)-(?P<time>\d\d-\d\d-\d\d)"
        r"|[^/]*WhatsApp[ _-](?:Audio|Ptt|Video)[ _-](?P<date3>\d{4}-\d\d-\d\d)[ _-][^\W\d_]+[ _-]"
        r"(?P<time2>\d\d?\.\d\d\.\d\d)(?:[\s_](?P<ampm>[AP]M))?)"
    ),
    # 2026-11-20 10-00-00, 20261120_100000, 2026-11-20T10.00Z; or the day alone.  Four digits may be a counter.
    "dated": (
        r"(?<!\d)(?P<year>(?:19|20)\d\d)([-_.]?)(?P<month>0[1-9]|1[0-2])\2(?P<day>0[1-9]|[12]\d|3[01])(?!\d)"
        r"(?:(?:T|[ _-]+)(?:(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)(?P<second>[0-5]\d)"
        r"|(?P<hour2>[01]\d|2[0-3])[-_.:](?P<minute2>[0-5]\d)(?:[-_.:](?P<second2>[0-5]\d))?)"
        r"(?P<utc>Z)?(?![0-9A-Za-z]))?"
    ),
    # YYMMDD_0001.wav, YYMMDD-HHMMSS.WAV of field recorders; only their convention says that the year comes first.
    "recorder": (
        r"(?:^|/)(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)"
        r"(?:[-_](?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)|_(?P<number>\d{3,4}))(?!\d)"
    ),
}

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MOMENT_WORDS = frozenset({"date", "time", "year", "month", "day", "hour", "minute", "second", "ampm", "utc"})


def compile_pattern(pattern_or_preset: str) -> re.Pattern[str]:
    """Compile a preset or a regular expression.

    Raise ValueError, with a sentence, for anything other than a preset or an expression with a named group.
    """
    if pattern_or_preset in PRESETS:
        return re.compile(PRESETS[pattern_or_preset])
    if re.fullmatch(r"[\w -]*", pattern_or_preset):
        raise ValueError(_no_preset(pattern_or_preset))
    if len(pattern_or_preset) > MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
    try:
        pattern = re.compile(pattern_or_preset)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern is not a valid Python regular expression: {error}") from None
    if not pattern.groupindex:
        raise ValueError("the pattern has no named group, such as (?P<caller>[0-9]+)")
    return pattern


def fields(pattern: re.Pattern[str], name: str) -> tuple[tuple[str, str], ...]:
    """Return the fields in `name`, a path below an inbox, with `started` first; () if the pattern does not match.

    Values are printable, not empty, and at most 200 characters long.
    """
    match = pattern.search(name[-MAX_NAME:])
    found: dict[str, str] = {}
    for group, text in match.groupdict("").items() if match else ():
        word = group.rstrip("0123456789") or group
        if text.strip() and word not in found:
            found[word] = printable(text.strip())[:MAX_VALUE]
    if "started" not in found and (started := _started(found)):
        kept = {word: text for word, text in found.items() if word not in _MOMENT_WORDS}
        found = {"started": started} | kept
    return tuple(found.items())


def _no_preset(name: str) -> str:
    near = difflib.get_close_matches(name, PRESETS, n=1)
    meant = f'did you mean "{near[0]}"?' if near else f"the presets are {', '.join(PRESETS)}"
    return f'"{name}" is neither a preset nor a pattern with a named group; {meant}'


def _started(found: Mapping[str, str]) -> str | None:
    """Return the moment in ISO 8601; None if there is no date, or no valid one."""
    try:
        day = _day(found)
        clock = _clock(found)
    except (KeyError, ValueError, OverflowError):
        return None
    if clock is None:
        return day.isoformat()
    return f"{day.isoformat()}T{clock.isoformat()}{'Z' if found.get('utc') else ''}"


def _day(found: Mapping[str, str]) -> date:
    if "date" in found:
        year, month, day = _numbers(found["date"], (2, 2, 2) if len(found["date"]) == 6 else (4, 2, 2))
    else:
        year, month, day = int(found["year"]), _month(found["month"]), int(found["day"])
    return date(year + 2000 if year < 100 else year, month, day)


def _clock(found: Mapping[str, str]) -> time | None:
    if "time" in found:
        numbers = _numbers(found["time"], (2, 2, 2))
    elif "hour" in found:
        numbers = [int(found["hour"]), int(found["minute"]), int(found.get("second", "0"))]
    else:
        return None
    hour, minute, second = (*numbers, 0)[:3]
    if half := found.get("ampm", "")[:1].casefold():
        hour = hour % 12 + (12 if half == "p" else 0)
    return time(hour, minute, second)


def _month(text: str) -> int:
    return _MONTHS.index(text[:3].casefold()) + 1 if text[0].isalpha() else int(text)


def _numbers(text: str, widths: tuple[int, ...]) -> list[int]:
    """Return the separate numbers, or split a single run of digits at the given widths."""
    parts = re.findall(r"\d+", text)
    if len(parts) == 1:
        starts = [sum(widths[:i]) for i in range(len(widths))]
        parts = [parts[0][start : start + width] for start, width in zip(starts, widths, strict=True)]
    return [int(part) for part in parts if part]
