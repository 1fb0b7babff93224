"""What a name tells: real names of telephone systems and recorders, and names that strangers chose."""

import re
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcribed.config.filename_patterns import MAX_NAME, MAX_PATTERN, MAX_VALUE, PRESETS, compile_pattern, fields

UUID = "0b2a6c8e-4f0d-4c52-9c1b-3f1f0f6a7d21"


def told(pattern, name):
    return dict(fields(compile_pattern(pattern), name))


@pytest.mark.parametrize(
    ("name", "type", "callee", "caller"),
    [
        ("force-08211234-3201-20250327-092517-1743042317.12206.wav", "force", "08211234", "3201"),
        ("2025/03/27/in-s-08211234-20250327-092517-1743042317.12206.WAV", "in", "s", "08211234"),
        ("out-71222-002-20250327-092517-1743042317.12206.wav", "out", "71222", "002"),
        ("internal-201-202-20250327-092517-1743042317.12206.wav", "internal", "201", "202"),
        ("exten-201-unknown-20250327-092517-1743042317.12206.gsm", "exten", "201", "unknown"),
        ("q-7999-199-20250327-092517-1743042317.12206.wav", "q", "7999", "199"),
        ("rg-600-+49 30-1234-20250327-092517-1743042317.12206.wav", "rg", "600", "+49 30-1234"),
    ],
)
def test_freepbx_names_tell_kind_parties_and_start(name, type, callee, caller):
    assert told("freepbx", name) == {
        "started": "2025-03-27T09:25:17",
        "type": type,
        "callee": callee,
        "caller": caller,
        "uniqueid": "1743042317.12206",
    }


def test_a_conference_of_freepbx_has_a_room_and_no_parties():
    name = "8000-8000-always-20250327-092517-pbx1-1743042317.12206.wav"
    started = {"started": "2025-03-27T09:25:17"}
    assert told("freepbx", name) == started | {"conference": "8000", "uniqueid": "pbx1-1743042317.12206"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (f"{UUID}.wav", {"uuid": UUID}),
        (f"pbx.example/archive/2025/Mar/27/{UUID}.wav", {"started": "2025-03-27", "uuid": UUID}),
        (f"cti/2025-03-27-09-25-17.{UUID}.wav", {"started": "2025-03-27T09:25:17", "uuid": UUID}),
        ("1001_0821_2025-03-27-09-25-17.wav", {"started": "2025-03-27T09:25:17", "caller": "1001", "callee": "0821"}),
        (
            "archive/2025/Mar/27/1001_0821_27-03-2025_09:25:17.mp3",
            {"started": "2025-03-27T09:25:17", "caller": "1001", "callee": "0821"},
        ),
        (
            "1001.pbx.example.com.2025-03-27-09-25-17.wav",
            {"started": "2025-03-27T09:25:17", "caller": "1001", "domain": "pbx.example.com"},
        ),
        ("1001.2025-03-27-09-25-17.wav", {"started": "2025-03-27T09:25:17", "caller": "1001"}),
        (
            f"2025-03-27-09-25-17.0821.1001.{UUID}.wav",
            {"started": "2025-03-27T09:25:17", "uuid": UUID, "callee": "0821", "caller": "1001"},
        ),
    ],
)
def test_freeswitch_names_tell_what_their_template_has(name, wanted):
    assert told("freeswitch", name) == wanted


MEETING = {"started": "2026-11-20T10:00:00", "topic": "Weekly sync", "meeting": "81234567890"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("2026-11-20 10.00.00 Weekly sync 81234567890/audio_only.m4a", MEETING),
        ("Zoom/2026-11-20 10.00.00 Weekly sync 81234567890/zoom_0.mp4", MEETING),
        ("2026-11-20 10.00.00 Weekly sync 81234567890/audio1439780501.m4a", MEETING),
        ("2026-11-20 10.00.00 81234567890/video1.mp4", {k: v for k, v in MEETING.items() if k != "topic"}),
        (
            "2026-11-20 10.00.00 Weekly sync 81234567890/Audio Record/audioJohnSmith98796876.m4a",
            MEETING | {"speaker": "JohnSmith"},
        ),
        ("audioJohnSmith98796876.m4a", {"speaker": "JohnSmith"}),
        (
            "2026-11-20 10.00.00 会议 2/Audio Record/audio张三98796876.m4a",
            {"started": "2026-11-20T10:00:00", "topic": "会议 2", "speaker": "张三"},
        ),
        ("GMT20261120-100000_Recording.m4a", {"started": "2026-11-20T10:00:00Z"}),
        ("x/GMT20261120-100000_Demo_1920x1080.mp4", {"started": "2026-11-20T10:00:00Z", "topic": "Demo"}),
        (
            "2026-11-20 10.00.00 Nr 1234567890123/zoom_0.mp4",
            {"started": MEETING["started"], "topic": "Nr 1234567890123"},
        ),
        ("audio_only_20261120.m4a", {}),
    ],
)
def test_zoom_names_tell_meeting_and_participant(name, wanted):
    assert told("zoom", name) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("PTT-20261120-WA0001.opus", {"started": "2026-11-20", "number": "0001"}),
        ("Anna/AUD-20261120-WA0012.m4a", {"started": "2026-11-20", "number": "0012"}),
        ("00000627-AUDIO-2026-11-20-10-00-00.opus", {"started": "2026-11-20T10:00:00", "number": "00000627"}),
        ("WhatsApp Audio 2026-11-20 at 10.00.00.ogg", {"started": "2026-11-20T10:00:00"}),
        ("WhatsApp Ptt 2026-11-20 at 9.05.03 PM.ogg", {"started": "2026-11-20T21:05:03"}),
        ("WhatsApp Ptt 2026-11-20 at 12.05.03\u202fAM.ogg", {"started": "2026-11-20T00:05:03"}),
        ("131_WhatsApp-Audio-2026-11-20-um-20.59.43_1eb0ddc9.waptt.opus", {"started": "2026-11-20T20:59:43"}),
    ],
)
def test_whatsapp_names_tell_the_moment(name, wanted):
    assert told("whatsapp", name) == wanted


@pytest.mark.parametrize(
    ("name", "started"),
    [
        ("2026-11-20 10-07-09 board meeting.wav", "2026-11-20T10:07:09"),
        ("20261120_100709.wav", "2026-11-20T10:07:09"),
        ("20261120-100709_x.wav", "2026-11-20T10:07:09"),
        ("Call 2026-11-20T10.07.09.m4a", "2026-11-20T10:07:09"),
        ("2026-11-20T10:07Z.m4a", "2026-11-20T10:07:00Z"),
        ("20140930_174530_AR_N65519.WAV", "2014-09-30T17:45:30"),
        ("interview 2026.11.20.wav", "2026-11-20"),
        ("2026-11-20/part 3.wav", "2026-11-20"),
        ("2026-11-20 3 questions.wav", "2026-11-20"),
        ("20261120_0001.wav", "2026-11-20"),
    ],
)
def test_a_date_is_found_in_a_name(name, started):
    assert told("dated", name) == {"started": started}


@pytest.mark.parametrize(
    "name", ["20261320.wav", "1720261120.wav", "1743042317.wav", "20-11-2026.wav", "261120_001.wav"]
)
def test_digits_that_may_be_anything_are_no_date(name):
    assert told("dated", name) == {}


def test_the_years_of_recorders_are_of_this_century():
    assert told("recorder", "261120_0001.wav") == {"started": "2026-11-20", "number": "0001"}
    assert told("recorder", "SD/261120-100000.WAV") == {"started": "2026-11-20T10:00:00"}


def test_a_day_that_never_was_stays_as_it_was_written():
    assert told("dated", "2026-02-30 10.00.wav") == {
        "year": "2026",
        "month": "02",
        "day": "30",
        "hour": "10",
        "minute": "00",
    }
    assert told("freepbx", "in-1-2-20261320-256199-1.2.wav") == {
        "type": "in",
        "callee": "1",
        "caller": "2",
        "date": "20261320",
        "time": "256199",
        "uniqueid": "1.2",
    }


def test_a_time_without_a_day_stays_as_it_was_written():
    assert told(r"(?P<time>\d{4}) (?P<who>\w+)", "1000 anna.wav") == {"time": "1000", "who": "anna"}


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)))
def test_every_moment_is_read_as_it_was_written(moment):
    wanted = moment.replace(microsecond=0).isoformat()
    assert told("(?P<date>.{10}) (?P<time>.*)", f"{moment:%Y-%m-%d %H.%M.%S}")["started"] == wanted
    assert told("(?P<date>.{8})(?P<time>.*)", f"{moment:%Y%m%d%H%M%S}")["started"] == wanted


def test_a_pattern_of_ones_own_gives_fields_of_its_own():
    assert told(r"(?P<client>\w+)/(?P<case>\d+)_", "Doe/0815_a.wav") == {"client": "Doe", "case": "0815"}


def test_groups_that_are_empty_are_left_out():
    assert told(r"(?P<a>x)?(?P<b> *)(?P<c>y)", "  y") == {"c": "y"}


def test_of_numbered_groups_the_first_that_is_not_empty_counts():
    pattern = r"from (?P<caller>\w*)|(?P<caller2>\w+) calls"
    assert told(pattern, "from anna") == told(pattern, "anna calls") == {"caller": "anna"}
    assert told(r"(?P<caller>\w+) calls (?P<caller2>\w+)", "anna calls bob") == {"caller": "anna"}


def test_a_start_that_is_already_told_is_left_as_it_is():
    assert told(r"(?P<started>\w+) (?P<date>\d+)", "noon 20261120") == {"started": "noon", "date": "20261120"}


def test_a_year_that_no_calendar_has_stays_as_it_was_written():
    year = "9" * 30
    assert told(r"(?P<year>\d+)-(?P<month>\d+)-(?P<day>\d+)", f"{year}-1-1")["year"] == year


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("freepx", 'did you mean "freepbx"'),
        ("nothing like it", "the presets are freepbx"),
        ("", "is neither a preset"),
        (r"\d+", "no named group"),
        (r"(?P<a>", "not a valid Python regular expression"),
        (r"(?P<a>x){99999999999999999999}", "not a valid Python regular expression"),
        (r"(?P<a>x)" * 2, "not a valid Python regular expression"),
        (r"(?P<a>" + "x" * MAX_PATTERN + ")", "longer than"),
    ],
)
def test_a_faulty_pattern_is_told_in_a_sentence(pattern, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        compile_pattern(pattern)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_name_that_is_not_of_the_preset_tells_nothing(preset):
    assert told(preset, "some talk.wav") == {}


def test_what_strangers_wrote_is_shown_and_not_obeyed():
    hostile = "in-\x1b[31m\n-\u202eso\nevil\udce4-20250327-092517-1.2.wav"
    assert told("freepbx", hostile) == {
        "started": "2025-03-27T09:25:17",
        "type": "in",
        "callee": r"\x1b[31m",
        "caller": r"\u202eso\nevil\udce4",
        "uniqueid": "1.2",
    }


def test_a_long_value_is_cut():
    assert len(told("(?P<all>.*)", "x" * 255)["all"]) == MAX_VALUE


def test_of_a_path_that_is_longer_than_any_the_end_is_searched():
    assert told("dated", "d/" * MAX_NAME + "2026-11-20.wav") == {"started": "2026-11-20"}
    assert told("dated", "2026-11-20/" + "d/" * MAX_NAME) == {}


PARTS = st.sampled_from([UUID, "2026-11-20", "10.00.00", "20261120", "100000", "-", "_", " ", "/", ".", "GMT", "audio"])
NAMES = st.one_of(
    st.text(st.characters(codec=None), max_size=80),
    st.lists(st.one_of(PARTS, st.text(max_size=4)), max_size=20).map("".join),
    st.binary(max_size=255).map(lambda name: name.decode(errors="surrogateescape")),
)


@given(st.sampled_from(sorted(PRESETS)), NAMES)
@example("dated", "٢٠٢٦-١١-٢٠")
def test_any_name_gives_printable_fields_and_no_error(preset, name):
    for field, value in fields(compile_pattern(preset), name):
        assert field.isidentifier()
        assert value
        assert value.isprintable()
        assert len(value) <= MAX_VALUE
        if field == "started":
            datetime.fromisoformat(value)


@given(st.fixed_dictionaries({}, optional={w: st.text(max_size=12) for w in ("date", "time", "month", "ampm", "utc")}))
def test_no_moment_however_it_is_written_is_an_error(words):
    pattern = re.compile("\0".join(f"(?P<{word}>[^\0]*)" for word in words), re.DOTALL)
    assert all(value.isprintable() for _, value in fields(pattern, "\0".join(words.values())))
