"""The shipped models through FunASR's ordinary code, against FunASR's own answers and against speech made afresh."""

import functools
import itertools
import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.speech import digits, pcm, say, silence
from tests.tools.demo_model.evaluate import CODECS, UNSEEN, draw_all, edits, units
from transcribed.core.errors import Misconfigured
from transcribed.core.frames import frames_in
from transcribed.core.types import SAMPLE_RATE, Options
from transcribed.ingest.preparation.vad import Vad
from transcribed.recognition import model_store
from transcribed.recognition.features import log_mel, stack
from transcribed.recognition.models import funasr_imports
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.sensevoice import (
    SECONDS_PER_FRAME,
    SenseVoice,
    _Token,
    collapse,
    parse_tags,
    words_of,
)
from transcribed.recognition.worker_factory import check_canary

CHANNEL_LIMITS = [
    pytest.param("MP3 64 kb/s", 0.03, marks=pytest.mark.slow),
    pytest.param("Opus 24 kb/s", 0.03, marks=pytest.mark.slow),
    ("telephone, 8 kHz mu-law", 0.08),
]
SENSEVOICE, VAD = model_store.SHIPPED / "sensevoice", model_store.SHIPPED / "vad"
MAX_BYTES = 8 * 2**20


@pytest.fixture(scope="module")
def recognizer():
    return SenseVoice(SENSEVOICE, "cpu", threads=2)


@pytest.fixture(scope="module")
def vad():
    return Vad(VAD)


@pytest.fixture(scope="module")
def phrases():
    """Sixteen phrases of one to six words, so that a batch of them is padded."""
    words = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "yes",
        "no",
        "hello",
        "please",
    ]
    dice = random.Random(5)
    return [say(" ".join(dice.choices(words, k=dice.randint(1, 6)))) for _ in range(16)]


def funasr_features(samples, lfr_m, lfr_n):
    funasr_imports.provide("frontend: WavFrontend")
    from funasr.frontends.wav_frontend import WavFrontend

    frontend = WavFrontend(fs=SAMPLE_RATE, n_mels=80, lfr_m=lfr_m, lfr_n=lfr_n, dither=0.0)
    return frontend(torch.from_numpy(samples)[None], [len(samples)])[0][0]


@pytest.mark.parametrize(("lfr_m", "lfr_n"), [(7, 6), (5, 1)])
@pytest.mark.parametrize("length", [400, 559, 560, 1601, 16_000, 16_001, 40_123])
def test_features_are_those_of_funasr_whatever_the_length(length, lfr_m, lfr_n):
    samples = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    wanted = funasr_features(samples, lfr_m, lfr_n)
    frames = torch.tensor([frames_in(length)])
    found, lengths = stack(log_mel(torch.from_numpy(samples)[None]), frames, lfr_m, lfr_n)
    assert lengths.tolist() == [len(wanted)]
    torch.testing.assert_close(found[0], wanted, atol=2e-3, rtol=1e-4)


def test_a_padded_batch_gives_what_funasr_gives_one_by_one(recognizer, phrases):
    """Whole path: our features, batch and decoding against FunASR's own `inference` on each segment alone."""
    model, kwargs = load(SENSEVOICE, "cpu", threads=2)
    kwargs["frontend"].dither = 0.0
    ours = recognizer.recognize(list(map(pcm, phrases)), Options("demo", itn=False))
    for samples, hypothesis in zip(phrases, ours, strict=True):
        ((theirs,), _) = model.inference([samples], key=["a"], **kwargs)
        assert hypothesis.raw.replace(" ", "") == theirs["text"].replace(" ", "")


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(recognizer, phrases):
    """Neither in its words nor in how certain they are: padding is not listened to."""
    alone = [recognizer.recognize([pcm(samples)], Options("demo"))[0] for samples in phrases]
    together = recognizer.recognize(list(map(pcm, phrases))[::-1], Options("demo"))[::-1]
    assert [h.text for h in together] == [h.text for h in alone]
    assert [h.confidence for h in together] == pytest.approx([h.confidence for h in alone], abs=1e-4)


def test_the_options_reach_the_model(recognizer):
    samples = say("one two three")
    for language, itn in [("en", True), ("auto", False)]:
        (heard,) = recognizer.recognize([pcm(samples)], Options("demo", language, itn))
        assert heard.raw.startswith("<|en|>")
        assert ("withitn" in heard.raw) == itn


def test_words_stand_where_they_are_spoken(recognizer):
    parts = [say(word) for word in ("one", "seven", "yes")]
    pause = silence(0.5)
    samples = np.concatenate([pause, parts[0], pause, parts[1], pause, parts[2], pause])
    (heard,) = recognizer.recognize([pcm(samples)], Options("demo"))
    assert [w.text for w in heard.words] == ["one", "seven", "yes"]
    at = 0.5
    for word, part in zip(heard.words, parts, strict=True):
        assert at - 0.2 <= word.start <= at + len(part) / SAMPLE_RATE
        assert word.start < word.stop
        assert 0.5 < word.confidence <= 1.0
        at += len(part) / SAMPLE_RATE + 0.5


def test_input_no_model_should_see_does_no_harm(recognizer):
    odd = [np.full(8000, 32767, np.int16), np.zeros(1, np.int16), np.full(16_000, -32768, np.int16), pcm(say("one"))]
    heard = recognizer.recognize(odd, Options("demo"))
    assert len(heard) == 4
    assert heard[3].text == "one"


# --- the shipped weights, on speech they have never met ----------------------------------------------


@functools.cache
def unseen(seeds):
    """Utterances of voices, variants, speeds and noise levels held out from training, and drawn afresh: not those that
    the model card counts, nor those by which the training was judged."""
    return [one for seed in seeds for one in draw_all(UNSEEN, seed, 50)]


def in_batches(recognizer, recordings, size=30):
    chunks = (recordings[at : at + size] for at in range(0, len(recordings), size))
    return [
        hypothesis for chunk in chunks for hypothesis in recognizer.recognize(list(map(pcm, chunk)), Options("demo"))
    ]


@pytest.mark.parametrize("seeds", [range(7, 9), pytest.param(range(7, 13), marks=pytest.mark.slow)], ids=["", "more"])
@pytest.mark.parametrize(("channel", "limit"), [("direct", 0.03), *CHANNEL_LIMITS])
def test_the_shipped_weights_understand_voices_and_speeds_and_noise_new_to_them(recognizer, seeds, channel, limit):
    through = CODECS.get(channel, lambda samples: samples)
    with ThreadPoolExecutor(2) as pool:  # FFmpeg's encoders leave the interpreter to others
        heard = in_batches(recognizer, list(pool.map(through, [one.samples for one in unseen(seeds)])))
    pairs = list(zip(unseen(seeds), heard, strict=True))
    wrong = sum(edits(units(one.text), units(h.text)) for one, h in pairs)
    share = wrong / sum(len(one.words) for one in unseen(seeds))
    print(f"{channel}: {share:.2%} of the words wrong")
    assert share <= limit
    assert sum(one.language != h.language for one, h in pairs) / len(pairs) <= 0.02


def test_the_shipped_weights_understand_mandarin_digits(recognizer):
    dice = random.Random(2)
    numbers = ["".join(dice.choices("0123456789", k=4)) for _ in range(20)]
    heard = recognizer.recognize([pcm(say(" ".join(digits(n, "zh")), "cmn")) for n in numbers], Options("demo"))
    wrong = sum(edits(list(digits(n, "zh")), list(h.text)) for n, h in zip(numbers, heard, strict=True))
    assert wrong / 80 <= 0.03
    assert all(h.language == "zh" for h in heard)


def test_noise_is_no_speech_to_the_shipped_models(recognizer, vad):
    noise = np.random.default_rng(3).normal(0, 0.01, 10 * SAMPLE_RATE).astype(np.float32)
    hum = (0.1 * np.sin(2 * np.pi * 50 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)
    for samples in (noise, hum, silence(10)):
        assert sum(s.speech_samples for s in vad.detect(pcm(samples), lambda: None)) < 0.5 * SAMPLE_RATE


def test_speech_is_found_the_same_whether_read_in_one_block_or_many(vad):
    """The block border at one minute falls into speech."""
    phrase = np.concatenate([say("one two three four"), silence(1.3)])
    long = np.tile(phrase, 40)
    pcm = (long * 32767).astype(np.int16)
    assert len(pcm) > 65 * SAMPLE_RATE
    period = len(phrase)
    starts = [s.start for s in vad.detect(pcm, lambda: None)]
    spans = {round((b - a) / period) for a, b in itertools.pairwise(starts)}
    assert spans <= {1, 2, 3, 4, 5}
    offsets = [start % period for start in starts[1:]]
    assert max(offsets) - min(offsets) <= 0.1 * SAMPLE_RATE


# --- what is shipped, and what is refused ------------------------------------------------------------


def test_the_shipped_models_are_small_and_whole():
    files = [path for path in model_store.SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    for directory in (SENSEVOICE, VAD):
        assert model_store.verify(directory) >= 3


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(SENSEVOICE, tmp_path / "model")


def test_a_model_whose_file_changed_or_vanished_is_refused_by_name(copy):
    (copy / "am.mvn").write_text("other")
    (copy / "config.yaml").unlink()
    with pytest.raises(Misconfigured, match=r"am.mvn, config.yaml"):
        model_store.verify(copy)


def test_a_model_without_weights_is_refused_rather_than_run_with_random_ones(copy):
    (copy / "model.pt").unlink()
    with pytest.raises(Misconfigured, match=r"model.pt is missing"):
        SenseVoice(copy, "cpu", threads=1)


def test_weights_of_another_model_are_refused_rather_than_run_at_random(copy):
    shutil.copy(VAD / "model.pt", copy)
    with pytest.raises(Misconfigured, match="belong to another model"):
        SenseVoice(copy, "cpu", threads=1)


def test_weights_that_do_not_recognize_the_canary_are_refused(copy):
    weights = torch.load(copy / "model.pt")
    torch.manual_seed(0)
    torch.save(
        {key: torch.randn_like(value) * 0.02 if value.is_floating_point() else value for key, value in weights.items()},
        copy / "model.pt",
    )
    with pytest.raises(Misconfigured, match="does not recognize the test phrase"):
        check_canary("demo", SenseVoice(copy, "cpu", threads=1), copy, copy / "canary.wav")


def test_the_shipped_canary_is_recognized(recognizer):
    check_canary("demo", recognizer, SENSEVOICE, SENSEVOICE / "canary.wav")


def test_code_that_comes_with_a_model_is_never_run(copy, tmp_path):
    (copy / "requirements.txt").write_text("a-package-that-must-not-be-installed\n")
    (copy / "model.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings = json.loads((copy / "configuration.json").read_text()) | {"trust_remote_code": True}
    (copy / "configuration.json").write_text(json.dumps(settings))
    SenseVoice(copy, "cpu", threads=1)
    assert not (tmp_path / "ran").exists()


def test_a_missing_device_is_refused_rather_than_replaced_by_the_cpu():
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(Misconfigured, match="cuda:0 was requested"):
        load(SENSEVOICE, "cuda:0", threads=1)


# --- words and tokens --------------------------------------------------------------------------------


def tokens(ids, scores=None):
    ids = np.array(ids, np.int64)
    return collapse(ids, np.array(scores if scores is not None else np.ones(len(ids)), np.float32), blank=0)


def test_runs_become_one_token_and_blanks_vanish():
    found = tokens([0, 0, 7, 7, 0, 7, 8, 8, 8, 0])
    assert [(t.id, t.first, t.last) for t in found] == [(7, 2, 3), (7, 5, 5), (8, 6, 8)]


def test_a_token_is_as_certain_as_its_peak():
    (token,) = tokens([0, 5, 5, 0], [1.0, 0.25, 0.75, 1.0])
    assert token.confidence == 0.75


def test_nothing_is_decoded_from_nothing():
    assert tokens([]) == []
    assert tokens([0, 0, 0]) == []


@given(st.lists(st.integers(0, 4), max_size=50))
def test_collapsing_agrees_with_the_definition(ids):
    wanted = [i for n, i in enumerate(ids) if i != 0 and (n == 0 or ids[n - 1] != i)]
    assert [t.id for t in tokens(ids)] == wanted


@pytest.mark.parametrize(
    ("tags", "parsed"),
    [
        ("<|en|><|HAPPY|><|Laughter|><|woitn|>", ("en", "happy", ("laughter",))),
        ("<|zh|><|NEUTRAL|><|Speech|><|withitn|>", ("zh", None, ())),
        ("<|nospeech|><|EMO_UNKNOWN|><|BGM|><|woitn|>", ("nospeech", None, ("bgm",))),
        ("", (None, None, ())),
    ],
)
def test_tags_become_fields_and_those_that_say_nothing_are_left_out(tags, parsed):
    assert parse_tags(tags) == parsed


def words(*pieces, seconds=10.0):
    """Pieces at frames 0, 10, 20, ..."""
    return words_of([(piece, _Token(1, 10 * n, 10 * n + 1, 0.5)) for n, piece in enumerate(pieces)], seconds)


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        (["▁hello", "▁wor", "ld", "!"], ["hello", "world!"]),
        (["你", "好", "，", "世"], ["你", "好，", "世"]),
        (["▁你", "好"], ["你", "好"]),
        (["▁", "hel", "lo", "一"], ["hello", "一"]),
        (["▁一", "two"], ["一", "two"]),
        (["▁안녕", "하세요", "▁네"], ["안녕하세요", "네"]),
        ([], []),
    ],
)
def test_pieces_are_joined_to_words(pieces, texts):
    assert [w.text for w in words(*pieces)] == texts


def test_control_tokens_are_never_words(recognizer):
    sp = recognizer._tokenizer.sp
    said = ["▁one", "<s>", "</s>", "<unk>", "▁two", "<|HAPPY|>"]
    ids = [sp.PieceToId(piece) for piece in ["<|en|>", "<|NEUTRAL|>", "<|Speech|>", "<|woitn|>", *said]]
    found = recognizer._hypothesis(np.array(ids, np.int64), np.ones(len(ids), np.float32), 10.0)
    assert (found.text, [word.text for word in found.words]) == ("one two", ["one", "two"])


def test_a_word_ends_before_the_next_begins_and_within_its_segment():
    found = words("▁one", "▁two", seconds=0.7)
    assert found[0].stop <= found[1].start
    assert found[1].start == pytest.approx(10 * SECONDS_PER_FRAME)
    assert found[1].stop == 0.7
