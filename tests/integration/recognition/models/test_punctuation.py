"""Marks into texts: a small CT-Transformer of the real class (tests/tools/small_models), and a worker that uses it."""

import functools
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.patience import patient
from tests.support.site import wait_for
from tests.support.speech import pcm, say
from tests.tools.small_models import CT_TRANSFORMER, SEACO
from transcribed.core.errors import Misconfigured
from transcribed.core.types import Assignment, Audio, Batch, Hypothesis, Options, Segment, Word
from transcribed.daemon.factories import PHRASES
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.recognition import worker_factory
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.punctuation import Punctuation, ended, marked, settled

MARKS = re.compile(r"[，。？、,.?]")


@pytest.fixture(scope="module")
def punctuation():
    return Punctuation(CT_TRANSFORMER, "cpu", threads=1)


def heard(text):
    """With a word per character, or run of Latin letters; half a second each."""
    found = re.findall(r"[a-z']+|\S", text)
    return Hypothesis(text, tuple(Word(word, n / 2, n / 2 + 0.4, 0.9) for n, word in enumerate(found)), "zh", raw="raw")


def punctuate(punctuation, *texts):
    return [h.text for h in punctuation.punctuate([heard(text) for text in texts])]


def test_marks_are_put_into_a_text_and_behind_its_words(punctuation):
    (found,) = punctuation.punctuate([heard("你好今天开会是不是")])
    assert found.text == "你好，今天开会。是不是？"
    assert [w.text for w in found.words] == ["你", "好，", "今", "天", "开", "会。", "是", "不", "是？"]
    assert [w.start for w in found.words] == [n / 2 for n in range(9)]
    assert (found.language, found.raw) == ("zh", "raw")


def test_behind_latin_words_marks_are_latin(punctuation):
    assert punctuate(punctuation, "hello 今天开会 meeting 是不是 stop") == ["hello, 今天开会。 meeting. 是不是？ stop."]


def test_an_utterance_ends_a_sentence(punctuation):
    assert punctuate(punctuation, "三一四", "今天", "你好") == ["三一四。", "今天。", "你好。"]


@pytest.mark.parametrize(
    "text", ["你好", "今天开会你好是不是", "hello 今天开会 meeting", "三一四你好九九八", "好不好 hello"]
)
def test_marks_are_those_of_funasr(punctuation, text):
    model, kwargs = load(CT_TRANSFORMER, "cpu", threads=1, needed=("model.pt",))
    ((theirs,), _) = model.inference([text], key=["a"], **kwargs)
    (ours,) = punctuate(punctuation, text)
    assert ours.replace(" ", "") == theirs["text"].lower().replace(" ", "")  # it capitalizes, too


def test_a_batch_is_marked_as_its_texts_are_one_by_one(punctuation):
    texts = ["你好", "今天开会你好是不是三一四" * 3, "hello", "", "好不好"]
    assert punctuate(punctuation, *texts) == [punctuate(punctuation, text)[0] for text in texts]


def test_a_text_longer_than_a_window_is_marked_to_its_end(punctuation):
    (found,) = punctuate(punctuation, "你好今天开会是不是" * 60)
    assert found == "你好，今天开会。是不是？" * 60
    (found,) = punctuate(punctuation, "零" * 450)  # no end of a sentence anywhere
    assert MARKS.sub("", found) == "零" * 450


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="你好今天开会是不是三𬎆é한かb '-\u3000\xa0\u200b\n", max_size=40))
def test_nothing_but_marks_is_added_and_nothing_is_lost(punctuation, text):
    (found,) = punctuation.punctuate([Hypothesis(text)])
    assert MARKS.sub("", found.text) == text
    words = tuple(Word(word, 0.0, 1.0, 1.0) for word in re.findall(r"\S", text))
    (found,) = punctuation.punctuate([Hypothesis(text, words)])
    assert MARKS.sub("", found.text) == text
    assert [MARKS.sub("", w.text) for w in found.words] == [w.text for w in words]
    assert "".join(w.text for w in found.words) == re.sub(r"\s", "", found.text)


@pytest.mark.parametrize("text", ["", " ", "你好，今天", "Hello, world.", "是不是？"])
def test_a_text_that_is_empty_or_has_marks_stays_as_it_is(punctuation, text):
    assert punctuate(punctuation, text) == [text]


def test_words_that_do_not_spell_their_text_leave_both_without_marks(punctuation):
    odd = Hypothesis("你好今天", (Word("你好", 0.0, 1.0, 1.0), Word("明天", 1.0, 2.0, 1.0)))
    assert punctuation.punctuate([odd]) == [odd]


def test_a_mark_never_falls_into_a_word(punctuation):
    one = Hypothesis("你好今天开会", (Word("你好今天", 0.0, 1.0, 1.0), Word("开会", 1.0, 2.0, 1.0)))
    (found,) = punctuation.punctuate([one])
    assert (found.text, [w.text for w in found.words]) == ("你好今天开会。", ["你好今天", "开会。"])


def test_the_end_of_a_window_is_left_to_the_next():
    assert settled(["", "，", "。", "", "？"]) == ["", "，", "。"]
    assert settled(["", "，", "", ""]) == ["", "，"]
    assert settled(["", "", ""]) == ["", "", ""]
    assert [ended(mark) for mark in ("", "，", "。", "？")] == ["。", "。", "。", "？"]


# --- in a worker ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker():
    """A recognizer of Chinese and one of marks, in a process of their own."""
    plan = worker_factory.WorkerPlan({"seaco": SEACO}, 1, "auto", PHRASES, punctuation={"marks": CT_TRANSFORMER})
    executor = ProcessPool(
        ["cpu:0"],
        functools.partial(worker_factory.make_worker, plan),
        on_event=lambda event: None,
        heartbeat_timeout=lambda request: 60.0,
    )
    executor.start()
    yield executor
    executor.stop(grace=0)


def ask(worker, spool, options, *texts):
    """What the worker answers to a batch of spoken texts."""
    parts = [pcm(say(text, "cmn")) if text else np.zeros(8000, np.int16) for text in texts]
    spool.write_bytes(np.concatenate(parts).tobytes())
    ends = np.cumsum([len(part) for part in parts]).tolist()
    audio = Audio(spool, ends[-1])
    segments = [
        Segment(1, n, audio, end - len(x), end, len(x)) for n, (x, end) in enumerate(zip(parts, ends, strict=True))
    ]
    (slot,) = wait_for(worker.idle, 90, "a worker")
    answer = worker.submit(slot, Assignment(Batch(options, tuple(segments)))).result(patient(60))
    return list(answer.hypotheses)


def test_a_worker_answers_with_marks_hotwords_or_neither_as_each_batch_asks(worker, tmp_path):
    spool, said = tmp_path / "1.pcm", ("你好今天开会", "", "三一四")
    plain = Options("seaco")
    marked_up = ask(worker, spool, replace(plain, punctuation="marks"), *said)
    assert [h.text for h in marked_up] == ["你好，今天开会。", "", "三一四。"]
    assert [h.raw for h in marked_up] == ["你 好 今 天 开 会", "", "三 一 四"]
    corrected = replace(plain, punctuation="marks", corrections=(("你好", "你，好"),))
    assert [h.text for h in ask(worker, spool, corrected, *said)] == ["你，好，今天开会。", "", "三一四。"]
    told = ask(worker, spool, replace(plain, hotwords=("金添", "http://127.0.0.1:9/x.txt")), *said)
    assert [h.text for h in told] == ["你好金添开会", "", "三一四"]
    assert [h.text for h in ask(worker, spool, plain, *said)] == ["你好今天开会", "", "三一四"]


def test_a_punctuation_model_whose_files_changed_is_refused(tmp_path):
    copy = shutil.copytree(CT_TRANSFORMER, tmp_path / "marks")
    (copy / "tokens.json").write_text("[]")
    plan = worker_factory.WorkerPlan({}, 1, "auto", PHRASES)
    with pytest.raises(Misconfigured, match=r"Changed or missing: tokens\.json"):
        worker_factory._punctuation(copy, "cpu", plan, lambda: None)


def test_a_recognizer_puts_no_marks():
    with pytest.raises(Misconfigured, match="is not a supported punctuation model"):
        worker_factory._punctuation(SEACO, "cpu", worker_factory.WorkerPlan({}, 1, "auto", PHRASES), lambda: None)


def test_numbers_that_are_not_finite_are_an_error(tmp_path):
    copy = shutil.copytree(CT_TRANSFORMER, tmp_path / "marks")
    weights = torch.load(copy / "model.pt")
    weights["decoder.bias"].fill_(torch.nan)
    torch.save(weights, copy / "model.pt")
    with pytest.raises(FloatingPointError, match="not finite"):
        Punctuation(copy, "cpu", 1).punctuate([heard("你好")])


def test_marks_go_behind_the_words_they_belong_to_without_times():
    assert marked(Hypothesis("ab cd"), [(2, ",")]).text == "ab, cd"
