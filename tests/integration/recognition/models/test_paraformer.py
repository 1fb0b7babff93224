"""Seaco-Paraformer: a small one of the real classes (tests/tools/small_models), on speech made afresh."""

import contextlib
import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.speech import digits, pcm, say, silence
from tests.support.speech import load as load_audio
from tests.tools.small_models import SEACO
from transcribed.core.errors import Misconfigured
from transcribed.core.text import join
from transcribed.core.types import SAMPLE_RATE, Options
from transcribed.daemon.factories import PHRASES
from transcribed.recognition import worker_factory
from transcribed.recognition.models import families, funasr_imports
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.paraformer import HOTWORDS_AT_ONCE, LONGEST_SECONDS, Paraformer, Token, words_of

PLAIN = Options("seaco")
SILENT = [np.zeros(count, np.int16) for count in (0, 1, 159, 400, 8000)]


@pytest.fixture(scope="module")
def recognizer():
    return Paraformer(SEACO, "cpu", threads=1, dtype="fp32")


@pytest.fixture(scope="module")
def funasr():
    """FunASR's own module and its keyword arguments."""
    model, kwargs = load(SEACO, "cpu", threads=1)
    kwargs["frontend"].dither = 0.0
    return model, kwargs


@pytest.fixture(scope="module")
def numbers():
    """Sixteen numbers of one to eight digits, as text and as speech, so that a batch of them is padded."""
    dice = random.Random(4)
    drawn = ["".join(dice.choices("0123456789", k=dice.randint(1, 8))) for _ in range(16)]
    return [(digits(n, "zh"), pcm(say(digits(n, "zh"), "cmn", dice.randint(130, 170)))) for n in drawn]


@pytest.fixture(scope="module")
def meeting():
    """What may be written 今天 or 金添."""
    return pcm(say("你好今天开会", "cmn"))


def texts(hypotheses):
    return [h.text for h in hypotheses]


def asked(*hotwords):
    return replace(PLAIN, hotwords=hotwords)


def samples_of(wav):
    return pcm(load_audio(wav))


def noise(seconds, level=0.01):
    return pcm(np.random.default_rng(7).normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32))


# --- words ------------------------------------------------------------------------------------------


def test_what_is_said_is_written_with_a_language_and_a_confidence(recognizer, numbers):
    heard = recognizer.recognize([samples for _, samples in numbers], PLAIN)
    assert texts(heard) == [text for text, _ in numbers]
    assert {h.language for h in heard} == {"zh"}
    assert all(0.5 < h.confidence <= 1.0 for h in heard)
    assert all("".join(w.text for w in h.words) == h.text for h in heard)
    assert heard[0].raw == " ".join(heard[0].text)


def test_pieces_of_english_words_are_joined(recognizer):
    spoken = [silence(0.2), say("hello"), silence(0.1), say("今天", "cmn"), silence(0.1), say("meeting"), silence(0.2)]
    (heard,) = recognizer.recognize([pcm(np.concatenate(spoken))], PLAIN)
    assert heard.text == "hello 今天 meeting"
    assert [w.text for w in heard.words] == ["hello", "今", "天", "meeting"]
    assert heard.raw == "hel@@ lo 今 天 meet@@ ing"


def test_every_answer_is_what_funasr_gives_for_that_segment_alone(recognizer, funasr, numbers, meeting):
    """With hotwords and without; and the numbers behind the words, not only the words."""
    model, kwargs = funasr
    samples = [*(samples for _, samples in numbers[:4]), meeting]
    for hotwords in ((), ("金添", "舞久", "医期")):
        ours = recognizer.recognize(samples, asked(*hotwords))
        for x, hypothesis in zip(samples, ours, strict=True):
            asked_for = {"hotword": " ".join(hotwords) or None}
            ((theirs,), _) = model.inference([x.astype(np.float32) / 32768], key=["a"], **kwargs, **asked_for)
            assert hypothesis.text == theirs["text"].replace(" ", "")
            starts = [start / 1000 for start, _ in theirs["timestamp"]]
            assert [w.start for w in hypothesis.words] == pytest.approx(starts, abs=0.041)


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(recognizer, numbers, meeting):
    """Neither in its words nor in their times and confidence: what is behind the end of a row is not heard."""
    samples = [*(samples for _, samples in numbers[:6]), noise(5, 0.3), meeting]
    for options in (PLAIN, asked("金添")):
        alone = [recognizer.recognize([x], options)[0] for x in samples]
        together = recognizer.recognize(samples, options)
        assert texts(together) == texts(alone)
        for one, other in zip(alone, together, strict=True):
            assert [w.start for w in other.words] == [w.start for w in one.words]
            assert [w.stop for w in other.words] == [w.stop for w in one.words]
            assert [w.confidence for w in other.words] == pytest.approx([w.confidence for w in one.words], abs=2e-3)


def test_answers_keep_the_order_of_the_segments(recognizer, numbers):
    samples = [samples for _, samples in numbers]
    order = random.Random(1).sample(range(len(samples)), len(samples))
    heard = recognizer.recognize([samples[n] for n in order], PLAIN)
    assert texts(heard) == [numbers[n][0] for n in order]


@pytest.mark.parametrize("hotwords", [(), ("金添",)])
def test_segments_in_which_nobody_speaks_empty_no_other(recognizer, numbers, hotwords):
    """FunASR answers a batch without tokens with one empty list for all of it."""
    mixed = [*SILENT[:3], numbers[0][1], noise(0.6), SILENT[3], numbers[1][1], SILENT[4]]
    heard = texts(recognizer.recognize(mixed, asked(*hotwords)))
    assert heard == ["", "", "", numbers[0][0], "", "", numbers[1][0], ""]
    nobody = recognizer.recognize([*SILENT, noise(0.6)], asked(*hotwords))
    assert texts(nobody) == [""] * 6
    assert all(h.confidence is None and h.words == () for h in nobody)


def test_input_no_model_should_see_does_no_harm(recognizer, numbers):
    odd = [np.full(8000, 32767, np.int16), np.full(16_000, -32768, np.int16), noise(1, 1.0), numbers[2][1]]
    heard = recognizer.recognize(odd, asked("金添"))
    assert len(heard) == 4
    assert heard[3].text == numbers[2][0]


def changed(folder, **biases):
    """The model with other biases of some of its layers."""
    copy = shutil.copytree(SEACO, folder)
    weights = torch.load(copy / "model.pt")
    for name, value in biases.items():
        weights[f"{name}.bias"].add_(value)
    torch.save(weights, copy / "model.pt")
    return Paraformer(copy, "cpu", threads=1, dtype="fp32")


@pytest.mark.parametrize("hotwords", [(), ("金添",)])
def test_rows_without_a_single_token_not_even_the_end_are_answers_too(meeting, tmp_path, hotwords):
    deaf = changed(tmp_path / "deaf", **{"predictor.cif_output": -100.0})
    assert texts(deaf.recognize([meeting, SILENT[4], meeting], asked(*hotwords))) == [""] * 3
    hard_of_hearing = changed(tmp_path / "hard", **{"predictor.cif_output": -2.0})
    samples = [SILENT[1], meeting, SILENT[1]]
    silent, spoken, _ = heard = texts(hard_of_hearing.recognize(samples, asked(*hotwords)))
    assert (silent, bool(spoken)) == ("", True)
    assert heard == [hard_of_hearing.recognize([x], asked(*hotwords))[0].text for x in samples]


@pytest.mark.parametrize("layer", ["predictor.cif_output", "predictor.cif_output2", "decoder.output_layer"])
def test_numbers_that_are_not_finite_are_an_error_and_no_answer(meeting, tmp_path, layer):
    broken = changed(tmp_path / "model", **{layer: torch.nan})
    with pytest.raises(FloatingPointError, match="not finite"):
        broken.recognize([meeting], PLAIN)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits_understand_what_thirty_two_do(recognizer, numbers, precision):
    short = Paraformer(SEACO, "cpu", threads=1, dtype=precision)
    assert short.dtype == precision
    samples = [samples for _, samples in numbers[:8]]
    for exact, found in zip(recognizer.recognize(samples, PLAIN), short.recognize(samples, PLAIN), strict=True):
        assert found.text == exact.text
        assert found.confidence == pytest.approx(exact.confidence, abs=0.01)
        assert [w.start for w in found.words] == pytest.approx([w.start for w in exact.words], abs=0.05)


# --- times ------------------------------------------------------------------------------------------


def test_words_stand_where_they_are_spoken(recognizer):
    parts = [say(word, "cmn") for word in "一七是"]
    pause = silence(0.5)
    samples = np.concatenate([pause, parts[0], pause, parts[1], pause, parts[2], pause])
    (heard,) = recognizer.recognize([pcm(samples)], PLAIN)
    assert [w.text for w in heard.words] == list("一七是")
    at = 0.5
    for word, part in zip(heard.words, parts, strict=True):
        assert at - 0.2 <= word.start <= at + 0.3
        assert word.start < word.stop <= word.start + LONGEST_SECONDS + 0.001
        at += len(part) / SAMPLE_RATE + 0.5


def test_times_are_inside_the_segment_and_go_on(recognizer, numbers):
    for _, samples in numbers[:6]:
        cut = samples[: len(samples) // 2]  # in the middle of a word
        for x in (samples, cut):
            (heard,) = recognizer.recognize([x], PLAIN)
            starts = [w.start for w in heard.words]
            assert starts == sorted(starts)
            assert all(0 <= w.start <= w.stop <= len(x) / SAMPLE_RATE + 0.001 for w in heard.words)


# --- hotwords ---------------------------------------------------------------------------------------


def test_a_hotword_changes_the_answer_and_is_forgotten_by_the_next_call(recognizer, meeting):
    """FunASR keeps the hotwords of one call in the model."""
    for hotwords, wanted in [((), "你好今天开会"), (("金添",), "你好金添开会"), ((), "你好今天开会")]:
        (heard,) = recognizer.recognize([meeting], asked(*hotwords))
        assert heard.text == wanted


def test_a_hotword_that_is_not_said_changes_nothing(recognizer, numbers, meeting):
    samples = [*(samples for _, samples in numbers), meeting]
    plain = texts(recognizer.recognize(samples, PLAIN))
    assert texts(recognizer.recognize(samples, asked("好不好", "事不事"))) == plain


def test_two_sets_of_hotwords_are_two(recognizer):
    samples = [pcm(say("五九", "cmn"))]
    for hotwords, wanted in [(("舞久",), "舞久"), (("舞九",), "舞九"), (("五久",), "五久"), (("舞久",), "舞久")]:
        assert texts(recognizer.recognize(samples, asked(*hotwords))) == [wanted]


@pytest.mark.parametrize(
    "hostile",
    [
        "http://127.0.0.1:9/words.txt",
        "/etc/passwd",
        "words.txt",
        "\0\n\t",
        "",
        "<s>",
        "</s> <unk> <blank>",
        "𬎆𬎆",
        "x" * 100_000,
        "六三" * 10_000,
    ],
)
def test_a_hostile_hotword_is_only_a_word(recognizer, meeting, hostile, tmp_path):
    """No file is read, nothing is fetched, and a hotword beside it counts still."""
    (tmp_path / "words.txt").write_text("金添\n")
    with contextlib.chdir(tmp_path):
        (alone,) = recognizer.recognize([meeting], asked(hostile))
        (beside,) = recognizer.recognize([meeting], asked(hostile, "金添"))
    assert alone.text == "你好今天开会"
    assert beside.text == "你好金添开会"


def test_of_too_many_hotwords_each_row_gets_those_that_suit_it(recognizer, meeting):
    """FunASR takes those that suit the first row for all rows."""
    dice = random.Random(2)
    others = {"".join(dice.choices("零二三六八好你", k=3)) for _ in range(3 * HOTWORDS_AT_ONCE)}
    options = asked(*sorted(others), "金添", "舞久")
    assert len(options.hotwords) > 2 * HOTWORDS_AT_ONCE
    samples = [noise(1), meeting, pcm(say("五九", "cmn")), meeting]
    assert texts(recognizer.recognize(samples, options)) == ["", "你好金添开会", "舞久", "你好金添开会"]


# --- other Paraformers, at random -------------------------------------------------------------------

V2 = {
    "predictor": "CifPredictorV2",
    "predictor_conf": {"idim": 128, "l_order": 1, "r_order": 1, "tail_threshold": 0.45},
}
OTHERS = {
    "BiCifParaformer": {},
    "Paraformer": V2,
    "ContextualParaformer": V2 | {"decoder": "ContextualParaformerDecoder"},
}


def at_random(folder, family, tokens="零一二三四五六七八九今天开会金添舞久", std=0.5, **changes):
    """A model directory without configuration.json, as some are, and weights that nothing taught."""
    config = yaml.safe_load((SEACO / "config.yaml").read_text()) | {"model": family} | changes
    folder.mkdir()
    shutil.copy(SEACO / "am.mvn", folder)
    (folder / "seg_dict").write_text("".join(f"{token} {token}\n" for token in tokens))
    (folder / "config.yaml").write_text(json.dumps(config))  # which is YAML, too
    funasr_imports.provide(json.dumps(config))
    from funasr.register import tables  # after what is needed: alone, it imports all of FunASR

    tokens = ["<blank>", "<s>", "</s>", *tokens, "<unk>"]
    (folder / "tokens.json").write_text(json.dumps(tokens))
    torch.manual_seed(8)
    model = tables.model_classes[family](input_size=560, vocab_size=len(tokens), **config["model_conf"], **config)
    torch.nn.init.normal_(model.decoder.output_layer.weight, std=std)  # 0.5: it is sure of what it says
    torch.save(model.state_dict(), folder / "model.pt")
    return folder


@pytest.mark.parametrize("family", OTHERS)
def test_other_paraformers_give_what_funasr_gives(funasr, numbers, tmp_path, family):
    directory = at_random(tmp_path / "model", family, **OTHERS[family])
    recognizer = Paraformer(directory, "cpu", threads=1, dtype="fp32")
    model, kwargs = load(directory, "cpu", threads=1)
    samples = [samples for _, samples in numbers[:3]]
    for hotwords in ((), ("金添", "舞久")):
        ours = recognizer.recognize(samples, asked(*hotwords))
        for x, hypothesis in zip(samples, ours, strict=True):
            options = kwargs | {"hotword": " ".join(hotwords) or None}
            ((theirs,), _) = model.inference([x.astype(np.float32) / 32768], key=["a"], **options)
            assert hypothesis.text.replace(" ", "") == theirs["text"].replace(" ", "")
            assert hypothesis.words
    plain, told = (recognizer.recognize(samples, options) for options in (PLAIN, asked("金添")))
    listens = [h.confidence for h in plain] != [h.confidence for h in told]
    assert listens == (family in families.HOTWORDS)


PUBLIC = {  # funasr/models/seaco_paraformer/template.yaml
    "encoder_conf": {"output_size": 512, "linear_units": 2048, "num_blocks": 50},
    "decoder_conf": {"linear_units": 2048, "num_blocks": 16, "att_layer_num": 16},
    "seaco_decoder_conf": {"linear_units": 1024, "num_blocks": 4, "att_layer_num": 6},
    "predictor_conf": {"idim": 512},
    "model_conf": {"inner_dim": 512, "NO_BIAS": 8377},
}


@pytest.mark.slow
def test_a_model_of_the_public_size_gives_what_funasr_gives(funasr, numbers, tmp_path):
    """With more hotwords than a row has an ear for, too: of one row, FunASR asks the first."""
    config = yaml.safe_load((SEACO / "config.yaml").read_text())
    sizes = {name: config[name] | conf for name, conf in PUBLIC.items()}
    characters = [chr(0x4E00 + n) for n in range(8400)]
    directory = at_random(tmp_path / "model", "SeacoParaformer", characters, std=0.3, **sizes)
    model, kwargs = load(directory, "cpu", threads=2)
    recognizer = Paraformer(directory, "cpu", threads=2, dtype="fp32")
    pairs = [first + second for first, second in zip(characters[:70], characters[70:140], strict=True)]
    for hotwords in ([], characters[:10], pairs):
        for _, samples in numbers[:2]:
            options = kwargs | {"hotword": " ".join(hotwords) or None}
            ((theirs,), _) = model.inference([samples.astype(np.float32) / 32768], key=["a"], **options)
            (ours,) = recognizer.recognize([samples], asked(*hotwords))
            wanted = theirs["text"].replace(" ", "")
            assert len(ours.text) == len(wanted) > 3
            assert sum(a == b for a, b in zip(ours.text, wanted, strict=True)) >= 0.95 * len(wanted)


def test_a_paraformer_of_unknown_parts_is_refused(funasr, tmp_path):
    conf = yaml.safe_load((SEACO / "config.yaml").read_text())["encoder_conf"]
    directory = at_random(tmp_path / "model", "BiCifParaformer", encoder_conf=conf | {"normalize_before": False})
    with pytest.raises(Misconfigured, match="has parts that are not supported"):
        Paraformer(directory, "cpu", threads=1)


# --- the canary -------------------------------------------------------------------------------------


def test_a_model_with_a_canary_must_recognize_it(recognizer, tmp_path):
    worker_factory.check_canary("seaco", recognizer, SEACO, PHRASES["en"])
    copy = shutil.copytree(SEACO, tmp_path / "model")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"canary": manifest["canary"] | {"text": "今天"}}))
    with pytest.raises(Misconfigured, match="the result is '今天开会' instead of '今天'"):
        worker_factory.check_canary("seaco", recognizer, copy, PHRASES["en"])


def test_a_model_without_a_canary_must_be_sure_of_plain_speech(recognizer, tmp_path):
    """A Paraformer with random weights writes as much as one with good ones."""
    worker_factory.check_canary("seaco", recognizer, tmp_path, PHRASES["zh"])
    many = [chr(0x4E00 + n) for n in range(8400)]
    wrong = Paraformer(at_random(tmp_path / "model", "BiCifParaformer", many, std=0.01), "cpu", threads=1)
    (heard,) = wrong.recognize([samples_of(PHRASES["zh"])], PLAIN)
    assert heard.text
    with pytest.raises(Misconfigured, match="instead of confident words"):
        worker_factory.check_canary("wrong", wrong, tmp_path, PHRASES["zh"])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_understands_what_the_cpu_does(recognizer, numbers, meeting, precision):
    if not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    fast = Paraformer(SEACO, "cuda:0", 2, precision)
    samples = [SILENT[1], *(samples for _, samples in numbers), meeting]
    for options in (PLAIN, asked("金添", "舞久")):
        for wanted, found in zip(recognizer.recognize(samples, options), fast.recognize(samples, options), strict=True):
            assert found.text == wanted.text
            assert [w.start for w in found.words] == pytest.approx([w.start for w in wanted.words], abs=0.05)


# --- from the inbox to the outbox -------------------------------------------------------------------


# --- words and tokens --------------------------------------------------------------------------------


def tokens(*texts):
    """One every half second, each a quarter long."""
    return [Token(text, n / 2, n / 2 + 0.25, 1 / (n + 1)) for n, text in enumerate(texts)]


def written(*texts):
    return join(word.text for word in words_of(tokens(*texts)))


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ("今 天 开 会", "今天开会"),
        ("hel@@ lo wor@@ ld", "hello world"),
        ("我 用 py@@ th@@ on 写", "我用 python 写"),
        ("c p u 和 g p u", "CPU 和 GPU"),
        ("i am a b@@ c", "i am a bc"),
        ("a t@@ v", "a tv"),
        ("hel@@ 好 lo", "hel 好 lo"),
        ("don't stop", "don't stop"),
    ],
)
def test_marked_pieces_are_joined_and_letters_are_abbreviations(pieces, text):
    assert written(*pieces.split()) == text


def test_a_word_spans_its_pieces_and_is_as_sure_as_they_are():
    first, second = words_of(tokens("好", "a@@", "b@@", "c"))[0], words_of(tokens("好", "a@@", "b@@", "c"))[1]
    assert (first.text, first.start, first.stop, first.confidence) == ("好", 0.0, 0.25, 1.0)
    assert (second.text, second.start, second.stop) == ("abc", 0.5, 1.75)
    assert second.confidence == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3, abs=1e-4)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["好", "天", "ab", "ab@@", "c", "d@@"]), max_size=12))
def test_no_character_is_lost_and_time_goes_on(pieces):
    words = words_of(tokens(*pieces))
    spoken = "".join(pieces).replace("@@", "")
    assert "".join(word.text for word in words).lower() == spoken
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(word.start < word.stop for word in words)
