"""JSON that may hold anything, read into a declared shape."""

from typing import TypedDict

import pytest

from transcribed.system import documents
from transcribed.system.documents import Count


class Pair(TypedDict):
    name: str
    size: Count


@pytest.mark.parametrize("text", ['{"name": "a", "size": 1}', '{"name": "a", "size": 1, "more": []}'])
def test_what_fits_is_read_without_what_has_no_name(text):
    assert documents.parse(text, Pair) == documents.skim(text.encode(), Pair) == {"name": "a", "size": 1}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"name": "a"}', '{"name": "a", "size": -1}', '{"name": "a", "size": true}',
        '{"name": "a", "size": 1.5}', f'{{"name": "a", "size": {2**63}}}', '{"name": 1, "size": 1}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_does_not_fit_is_nothing(text):
    assert documents.parse(text, Pair) is None
    assert documents.skim(text.encode(), Pair) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_is_finite(number):
    assert documents.parse(f"[{number}]", list[float]) is None
    assert documents.parse("[1e9]", list[float]) == [1e9]


def test_a_name_that_is_not_text_survives():
    text = '{"name": "\\udcc4", "size": 1}'
    assert documents.parse(text, Pair) == documents.skim(text.encode(), Pair) == {"name": "\udcc4", "size": 1}


def test_what_a_daemon_cannot_recall_is_logged(tmp_path, capsys):
    assert documents.recall(tmp_path / "a", dict) is None
    assert capsys.readouterr().out == ""
    (tmp_path / "a").write_text("[1]")
    assert documents.recall(tmp_path / "a", dict) is None
    assert "unreadable file ignored" in capsys.readouterr().out


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"[1]")
    assert documents.read(tmp_path / "a", list[int], most=3) == [1]
    assert documents.read(tmp_path / "a", list[int], most=2) is None
    assert documents.read(tmp_path / "b", list[int]) is None
