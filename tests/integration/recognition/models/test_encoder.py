"""The short way through SenseVoiceSmall's weights against FunASR's own: the shipped model, larger ones at random."""

import copy
import random

import numpy as np
import pytest
import torch

from tests.support.speech import digits, pcm, say
from transcribed.core.frames import frames_in
from transcribed.core.types import SAMPLE_RATE, Options
from transcribed.recognition import model_store
from transcribed.recognition.features import log_mel, stack
from transcribed.recognition.models import funasr_imports
from transcribed.recognition.models.encoder import Encoder
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.precision import dtype_for
from transcribed.recognition.models.sensevoice import SenseVoice

SENSEVOICE = model_store.SHIPPED / "sensevoice"
WIDTH = 560  # of a frame: 7 times 80 bands
SPOKEN = 120
CLEAR = 0.001  # logits less apart than this are a tie, which rounding may decide


@pytest.fixture(scope="module")
def spoken():
    """Numbers of one to eight digits, no two batches of which are of one length."""
    dice = random.Random(11)
    return [say(digits(dice.randrange(10 ** dice.randint(1, 8))), speed=dice.randint(130, 170)) for _ in range(SPOKEN)]


@pytest.fixture(scope="module")
def shipped():
    return load(SENSEVOICE, "cpu", threads=2)[0]


@pytest.fixture(scope="module")
def frames(spoken):
    """What the encoder is given for the first dozen numbers, and the frames of each."""
    samples = spoken[:12]
    padded = torch.zeros(len(samples), max(map(len, samples)))
    for row, x in zip(padded, samples, strict=True):
        row[: len(x)] = torch.from_numpy(x)
    lengths = torch.tensor([frames_in(len(x)) for x in samples])
    features, counts = stack(log_mel(padded), lengths, 7, 6)
    return (features - 14.0) / 4.0, counts.tolist()  # about zero, about one, as CMVN would make them


def random_model(blocks, more_blocks, classes, **encoder):
    """A model as wide as the public one, of so many blocks."""
    funasr_imports.provide("model: SenseVoiceSmall")
    from funasr.models.sense_voice.model import SenseVoiceSmall

    torch.manual_seed(4)
    sizes = {"output_size": 512, "attention_heads": 4, "linear_units": 2048, "kernel_size": 11}
    conf = sizes | {"num_blocks": blocks, "tp_blocks": more_blocks, "input_layer": "pe"} | encoder
    model = SenseVoiceSmall(
        encoder="SenseVoiceEncoderSmall", encoder_conf=conf, input_size=WIDTH, vocab_size=classes
    ).eval()
    torch.nn.init.normal_(model.ctc.ctc_lo.weight, std=0.3)  # so that it is sure of what it says
    return model


@torch.inference_mode()
def answers_of_funasr(model, frames, lengths):
    """Of the frames that count: the likeliest class, its posterior, and how far its logit is above the next."""
    encoded, counts = model.encoder(frames.clone(), torch.tensor(lengths))
    logits = torch.cat([model.ctc.ctc_lo(row[:n]) for row, n in zip(encoded, counts, strict=True)])
    posterior, best = logits.softmax(-1).max(-1)
    first, second = logits.topk(2).values.unbind(-1)
    return best, posterior, first - second


@torch.inference_mode()
def answers_of_ours(encoder, frames, lengths):
    found = encoder(frames, lengths)
    return torch.cat([row[:, :n] for row, n in zip(found.unbind(1), lengths, strict=True)], 1)


def assert_alike(ours, theirs):
    ids, posteriors = ours
    best, posterior, gap = theirs
    assert (gap > CLEAR).float().mean() > 0.95
    assert torch.equal(ids[gap > CLEAR].long(), best[gap > CLEAR])
    torch.testing.assert_close(posteriors, posterior, atol=1e-3, rtol=0)


def test_a_padded_batch_gives_what_funasr_gives(shipped, frames):
    assert len(set(frames[1])) > 3
    ours = answers_of_ours(Encoder(copy.deepcopy(shipped), torch.float32), *frames)
    assert_alike(ours, answers_of_funasr(shipped, *frames))


def test_a_row_without_padding_gives_what_funasr_gives(shipped, frames):
    encoder = Encoder(copy.deepcopy(shipped), torch.float32)
    for row, length in zip(*frames, strict=True):
        alone = row[None, :length], [length]
        assert_alike(answers_of_ours(encoder, *alone), answers_of_funasr(shipped, *alone))


@pytest.mark.parametrize("shape", [{}, {"sanm_shfit": 2}, {"kernel_size": 8}, {"attention_heads": 8}])
def test_a_model_of_another_shape_gives_what_funasr_gives(frames, shape):
    model = random_model(3, 2, classes=900, **shape)
    theirs = answers_of_funasr(model, *frames)
    assert_alike(answers_of_ours(Encoder(model, torch.float32), *frames), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_the_public_size_gives_what_funasr_gives(frames, dtype):
    """Random weights are never sure, so in bfloat16 a few frames may differ."""
    model = random_model(50, 20, classes=25_055)
    best, posterior, gap = answers_of_funasr(model, *frames)
    ours = answers_of_ours(Encoder(model, dtype), *frames)
    if dtype == torch.float32:
        assert_alike(ours, (best, posterior, gap))
    assert (ours[0].long() == best).float().mean() > 0.95


@pytest.mark.parametrize(
    ("precision", "count"),
    [("bf16", 40), ("fp16", 20), pytest.param("bf16", SPOKEN, marks=pytest.mark.slow)],  # CPUs take long over fp16
)
def test_sixteen_bits_understand_what_thirty_two_do(spoken, precision, count):
    exact, short = (SenseVoice(SENSEVOICE, "cpu", 2, dtype) for dtype in ("fp32", precision))
    options = Options("demo")
    for at in range(0, count, 20):
        batch = list(map(pcm, spoken[at : at + 20]))
        for wanted, found in zip(exact.recognize(batch, options), short.recognize(batch, options), strict=True):
            assert found.raw == wanted.raw
            assert found.confidence == pytest.approx(wanted.confidence, abs=0.001)
            assert [w.start for w in found.words] == pytest.approx([w.start for w in wanted.words], abs=0.07)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_behind_the_end_of_a_row_is_not_heard(shipped, frames, dtype):
    encoder = Encoder(copy.deepcopy(shipped), dtype)
    features, lengths = frames
    loud = features.clone()
    for row, length in zip(loud, lengths, strict=True):
        row[length:] = 1000.0
    assert torch.equal(answers_of_ours(encoder, loud, lengths), answers_of_ours(encoder, features, lengths))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_answer_does_not_depend_on_its_neighbours_in_any_precision(spoken, precision):
    recognizer = SenseVoice(SENSEVOICE, "cpu", 2, precision)
    noise = np.random.default_rng(1).normal(0, 10_000, 5 * SAMPLE_RATE).clip(-32768, 32767).astype(np.int16)
    other = pcm(spoken[9])
    for samples in map(pcm, spoken[:5]):
        (alone,) = recognizer.recognize([samples], Options("demo"))
        _, among, _ = recognizer.recognize([noise, samples, other], Options("demo"))
        assert among.raw == alone.raw
        assert among.confidence == pytest.approx(alone.confidence, abs=1e-5 if precision == "fp32" else 1e-3)


def test_sixteen_bits_are_chosen_where_the_processor_multiplies_them():
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert SenseVoice(SENSEVOICE, "cpu", threads=2).dtype == ("bf16" if fast else "fp32")
    assert SenseVoice(SENSEVOICE, "cpu", threads=2, dtype="fp32").dtype == "fp32"
    assert dtype_for("fp16", torch.device("cpu")) == torch.float16


def test_the_weights_are_held_once(shipped):
    """In 16 bits nearly half of the model's bytes go, with nothing kept beside it."""
    model = copy.deepcopy(shipped)
    before = sum(weight.nbytes for weight in model.encoder.parameters())
    Encoder(model, torch.bfloat16)
    assert sum(weight.nbytes for weight in model.encoder.parameters()) < 0.55 * before


def test_the_precision_of_others_products_is_left_alone(shipped, frames):
    torch.set_float32_matmul_precision("highest")
    answers_of_ours(Encoder(copy.deepcopy(shipped), torch.float32), *frames)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_understands_what_the_cpu_does(spoken, precision):
    if not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    exact, fast = SenseVoice(SENSEVOICE, "cpu", 2, "fp32"), SenseVoice(SENSEVOICE, "cuda:0", 2, precision)
    for at in range(0, SPOKEN, 30):
        batch = list(map(pcm, spoken[at : at + 30]))
        heard = zip(exact.recognize(batch, Options("demo")), fast.recognize(batch, Options("demo")), strict=True)
        assert all(found.raw == wanted.raw for wanted, found in heard)
