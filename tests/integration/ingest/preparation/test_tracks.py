"""Files with several audio tracks: which are heard, and what is told of the others."""

import numpy as np
import pytest

from tests.support.fakes import OPTIONS
from tests.support.media import SAMPLE_RATE, Track, media
from tests.support.speech import say, silence
from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import Permanent

LENGTH = 4 * SAMPLE_RATE


def asking(tracks, **others):
    return InboxDefaults(OPTIONS, tracks=tracks, **others)


@pytest.fixture(scope="module")
def voices():
    return [np.resize(np.concatenate([say(text), silence(2)]), LENGTH) for text in ("one two three", "four five six")]


def track(samples, codec="aac", **tags):
    return Track(samples, codec, 48_000, tags=tags)


def heard(made):
    """The samples of each spooled track."""
    return {segment.channel: np.fromfile(segment.audio.path, "<i2") for segment in made.segments}


def likeness(samples, voice):
    length = min(len(samples), len(voice))
    return np.corrcoef(samples[:length], voice[:length])[0, 1]


def save(prepare, tracks, name="a.mkv", format="matroska"):
    (prepare.inbox / name).write_bytes(media(tracks, format))
    return name


def test_a_silent_first_track_is_passed_over_for_the_next(prepare, voices):
    """As screen recorders write it: the desktop on the first track, the microphone on the second."""
    made = prepare(save(prepare, [track(silence(4)), track(silence(4)), track(voices[0])]))
    assert likeness(heard(made)[0], voices[0]) > 0.9
    assert made.media.endswith("track 3 of 3")
    assert made.unheard_tracks == 0
    assert [path.name for path in made.audio.path.parent.iterdir()] == ["1.pcm"]


def test_of_several_with_speech_one_is_heard_and_the_others_are_counted(prepare, voices):
    made = prepare(save(prepare, [track(silence(4)), track(voices[0]), track(voices[1])]))
    assert likeness(heard(made)[0], voices[0]) > 0.9
    assert made.unheard_tracks == 1


def test_a_first_track_with_speech_is_taken_and_the_others_are_counted(prepare, voices):
    made = prepare(save(prepare, [track(voices[0]), track(voices[1]), track(silence(4))]))
    assert likeness(heard(made)[0], voices[0]) > 0.9
    assert made.unheard_tracks == 2


def test_where_nobody_speaks_all_tracks_were_heard(prepare):
    made = prepare(save(prepare, [track(silence(4)), track(silence(3))]))
    assert made.segments == ()
    assert made.unheard_tracks == 0
    assert made.audio.seconds == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_track_that_cannot_be_decoded_is_passed_over_and_counted(prepare, voices, unknown):
    data = media([track(voices[0], "pcm_s16be"), track(voices[0], "pcm_s16be")], "mov")
    at = (data.index(b"twos"), data.rindex(b"twos"))[unknown]
    (prepare.inbox / "a.mov").write_bytes(data[:at] + b"apac" + data[at + 4 :])
    made = prepare("a.mov")
    assert likeness(heard(made)[0], voices[0]) > 0.9
    assert made.media.endswith(f"track {2 - unknown} of 2")
    assert made.unheard_tracks == 1


def test_a_file_without_any_track_that_can_be_decoded_is_refused(prepare, voices):
    (prepare.inbox / "a.mov").write_bytes(media([track(voices[0], "pcm_s16be")], "mov").replace(b"twos", b"apac"))
    with pytest.raises(Permanent, match="cannot be decoded"):
        prepare("a.mov")


@pytest.mark.parametrize(("asked", "wanted"), [("best", 0), ("de", 0), ("en", 1), ("eng", 1), ("fr", 0), ("zh", 2)])
def test_a_language_may_be_asked_for(prepare, voices, asked, wanted):
    reversed_voice = voices[0][::-1]
    tracks = [track(voices[0], language="ger"), track(voices[1], language="eng"), track(reversed_voice, language="chi")]
    made = prepare(save(prepare, tracks), usage=asking(asked))
    assert likeness(heard(made)[0], [*voices, reversed_voice][wanted]) > 0.9


def test_a_language_that_is_none_matches_no_track(prepare, voices):
    made = prepare(save(prepare, [track(voices[0], language="???"), track(voices[1])]), usage=asking("en"))
    assert likeness(heard(made)[0], voices[0]) > 0.9


def test_all_tracks_are_heard_as_speakers_with_their_titles(prepare, voices):
    short = voices[1][: LENGTH // 2]
    tracks = [track(voices[0], title="Ann <b>\x1b"), track(short), track(silence(4), title="track 2")]
    made = prepare(save(prepare, tracks), usage=asking("all"))
    assert made.speakers == ("Ann <b>\\x1b", "track 2", "track 2'")
    assert made.unheard_tracks == 0
    assert {segment.channel for segment in made.segments} == {0, 1}
    assert likeness(heard(made)[1], short) > 0.9
    assert len(made.levels) == 3
    spooled = [(made.audio.path.parent / name).stat().st_size for name in ("1.pcm", "1-1.pcm", "1-2.pcm")]
    assert set(spooled) == {2 * made.audio.samples}


def test_all_tracks_take_the_names_given_to_channels(prepare, voices):
    name = save(prepare, [track(voices[0]), track(voices[1])])
    assert prepare(name, usage=asking("all", channels=("Ann",))).speakers == ("Ann", "track 2")


def test_the_only_track_of_all_keeps_its_channels_apart(prepare, voices):
    name = save(prepare, [track(np.stack(voices))])
    assert prepare(name, usage=asking("all", channels=())).speakers == ("channel 1", "channel 2")


def test_tracks_that_begin_at_other_times_stay_beside_each_other(prepare, voices):
    late = Track(voices[1], "aac", 48_000, start=3.0)
    made = prepare(save(prepare, [track(voices[0]), late]), usage=asking("all"))
    assert likeness(heard(made)[1][3 * SAMPLE_RATE :], voices[1]) > 0.9
    assert made.damage is None


def test_a_sidecar_may_ask_for_all_tracks(prepare, voices):
    name = save(prepare, [track(voices[0]), track(voices[1])])
    (prepare.inbox / f"{name}.transcribe.toml").write_text('tracks = "all"\n')
    assert prepare(name).speakers == ("track 1", "track 2")


def test_a_sound_too_quiet_for_16_bits_is_raised_before_it_is_heard(prepare, voices):
    name = save(prepare, [Track(voices[0] / 2000, "pcm_s24le", 16_000)], "a.wav", "wav")
    made = prepare(name)
    assert made.segments
    assert np.abs(heard(made)[0]).max() > 32768 / 100
