import dataclasses
import os

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import preparation
from transcribed.core.types import Hypothesis, Replacement, Word
from transcribed.state import checkpoint

ANSWER = Hypothesis(
    "你好 hi",
    (Word("你好", 0.0, 1.0, 0.5), Word("hi", 1.0, 2.0, 0.25)),
    "zh",
    "happy",
    ("laughter",),
    0.75,
    "<|zh|>你好 hi",
    (Replacement("泥好", "你好", 0.9),),
)
LONG = preparation(1, *[30.0] * 21)


def keep(folder, prepared, *indexes):
    checkpoint.append(folder, prepared, [(prepared.segments[i], ANSWER) for i in indexes])


def test_what_was_heard_is_known_again(tmp_path):
    keep(tmp_path, LONG, 0, 3)
    keep(tmp_path, LONG, 20)
    assert checkpoint.known(tmp_path, LONG) == {0: ANSWER, 3: ANSWER, 20: ANSWER}


def test_another_content_or_another_wish_knows_nothing(tmp_path):
    keep(tmp_path, LONG, 0)
    other = dataclasses.replace(LONG, sha256="1" * 64)
    options = dataclasses.replace(LONG.requested.options, hotwords=("word",))
    otherwise = dataclasses.replace(LONG, requested=dataclasses.replace(LONG.requested, options=options))
    assert checkpoint.known(tmp_path, other) == checkpoint.known(tmp_path, otherwise) == {}


def test_a_segment_cut_otherwise_is_asked_again(tmp_path):
    keep(tmp_path, LONG, 0, 1)
    moved = dataclasses.replace(LONG.segments[0], stop=LONG.segments[0].stop - 1)
    assert checkpoint.known(tmp_path, dataclasses.replace(LONG, segments=(moved, *LONG.segments[1:]))) == {1: ANSWER}


def test_a_line_cut_off_by_a_crash_costs_that_segment_only(tmp_path):
    keep(tmp_path, LONG, 0, 1)
    (file,) = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - 20)
    keep(tmp_path, LONG, 2, 3)  # the next run appends behind the stump
    assert checkpoint.known(tmp_path, LONG).keys() >= {0, 3}
    assert all(answer == ANSWER for answer in checkpoint.known(tmp_path, LONG).values())


@given(st.binary(max_size=300))
def test_rubbish_is_passed_over(tmp_path_factory, rubbish):
    folder = tmp_path_factory.mktemp("spool")
    keep(folder, LONG, 0)
    (file,) = folder.iterdir()
    file.write_bytes(rubbish + b"\n" + file.read_bytes())
    assert checkpoint.known(folder, LONG).get(0) == ANSWER


def test_a_line_of_another_shape_is_passed_over(tmp_path):
    keep(tmp_path, LONG, 0)
    (file,) = tmp_path.iterdir()
    file.write_text('[[0], 1, 2, {}]\n[0, 1, 2, []]\n[0, 1, 2, {"words": [1]}]\n' + file.read_text())
    assert checkpoint.known(tmp_path, LONG) == {0: ANSWER}


def test_of_a_short_recording_nothing_is_kept(tmp_path):
    keep(tmp_path, preparation(1, 30.0), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_time_only():
    keep(checkpoint.Path("/dev/full"), LONG, 0)
    assert checkpoint.known(checkpoint.Path("/dev/full"), LONG) == {}


def test_it_is_dropped_when_not_needed_and_swept_when_left_behind(tmp_path):
    keep(tmp_path, LONG, 0)
    checkpoint.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    checkpoint.drop(tmp_path, LONG)
    assert list(tmp_path.iterdir()) == []
    keep(tmp_path, LONG, 0)
    (file,) = tmp_path.iterdir()
    os.utime(file, (0, 0))
    checkpoint.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
