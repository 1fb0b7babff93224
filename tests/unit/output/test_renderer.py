import codecs
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis
from transcribed.output.layout import Style
from transcribed.output.renderer import MAX_NAME_BYTES, OutputSettings, file_name, render_files
from transcribed.output.transcript import assemble


def test_the_whole_name_of_the_source_is_kept():
    assert file_name("talks/a.wav", "txt") == "talks/a.wav.txt"


@pytest.mark.parametrize("name", ["a" * 251 + ".wav", "录" * 83 + ".wav", "录" * 85, "\udcc4" * 255])
def test_a_name_too_long_for_file_systems_is_cut_between_characters(name):
    made = file_name(f"sub/{name}", "error.txt")
    assert made.startswith("sub/")
    assert len(os.fsencode(os.path.basename(made))) <= MAX_NAME_BYTES
    assert made.endswith(".error.txt")


def test_long_names_that_differ_at_the_end_stay_different():
    assert file_name("a" * 254 + "1", "txt") != file_name("a" * 254 + "2", "txt")


@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255).filter(
        lambda n: len(os.fsencode(n)) <= 255
    )
)
def test_any_legal_name_gives_a_legal_name(name):
    made = os.fsencode(file_name(name, "json"))
    assert len(made) <= MAX_NAME_BYTES
    assert made.endswith(b".json")


def made(language):
    return assemble(job(output="a"), preparation(1, 2.0), {0: Hypothesis("words", language=language)})


def test_for_players_subtitles_carry_their_language_and_the_flag_of_sounds():
    look = OutputSettings(("srt", "vtt", "txt"), Style(sdh=True), "media")
    assert [suffix for suffix, _ in render_files(made("yue"), look)] == ["yue.sdh.srt", "yue.sdh.vtt", "txt"]
    assert [suffix for suffix, _ in render_files(made(None), OutputSettings(("srt",), names="media"))] == ["und.srt"]


def test_a_byte_order_mark_is_written_only_where_editors_need_it():
    marked = {
        suffix
        for suffix, data in render_files(made("en"), OutputSettings(bom=True))
        if data.startswith(codecs.BOM_UTF8)
    }
    assert marked == {"txt", "srt"}
