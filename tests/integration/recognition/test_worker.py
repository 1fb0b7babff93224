"""What a worker makes of trouble: PyTorch's own errors, a card that others fill, answers that are wrong."""

from dataclasses import replace

import pytest
import torch

from tests.support.fakes import OPTIONS, CardMemory, Clock, segments
from transcribed.core.errors import (
    AudioLost,
    DeviceFaulty,
    DeviceLost,
    MemoryShortage,
    Misconfigured,
    OutOfMemory,
    Unavailable,
)
from transcribed.core.telemetry import Footprint, WorkerProfile
from transcribed.core.types import Assignment, Batch, Hypothesis, ReleaseMemory
from transcribed.recognition.device import allocator_variable
from transcribed.recognition.worker import CANARY_SECONDS, Model, Worker


class Bench:
    """A worker on a card of 1,000 bytes whose batches take 100 bytes a segment; `trouble` is raised instead."""

    dtype = "fp32"

    word_lag_seconds = 0.0

    def __init__(self, tmp_path, **card):
        self.memory, self.clock = CardMemory(**card), Clock()
        self.trouble, self.canary, self.answers, self.mark_trouble = None, None, None, None
        self.path = tmp_path / "1.pcm"
        self.path.write_bytes(bytes(2 * 16_000 * 60))
        model = Model(self, self.check)
        marks = {"marks": self}
        self.worker = Worker({OPTIONS.model: model}, self.memory, WorkerProfile("GPU-1"), self.clock, punctuation=marks)
        self.checks = 0

    def recognize(self, samples, options):
        self.memory.take(100 * len(samples))
        if self.trouble:
            raise self.trouble
        return [Hypothesis("words")] * (len(samples) if self.answers is None else self.answers)

    def punctuate(self, hypotheses):
        if self.mark_trouble:
            raise self.mark_trouble
        return [replace(h, text=f"{h.text}.") for h in hypotheses]

    def check(self):
        self.checks += 1
        if self.canary:
            raise self.canary

    def ask(self, rows=2, seconds=1.0, punctuation="", hotwords=(), corrections=(), **facts):
        options = replace(OPTIONS, punctuation=punctuation, hotwords=hotwords, corrections=corrections)
        batch = Batch(options, segments(1, *[seconds] * rows, path=self.path))
        return self.worker(self.worker.fetch(Assignment(batch, **facts)), lambda: None)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_an_answer_tells_what_the_batch_took(bench):
    answer = bench.ask(rows=3)
    assert len(answer.hypotheses) == 3
    assert answer.footprint == Footprint(resting=100, peak=400, reserved=400, free=600)


def test_marks_are_put_where_they_are_asked_for(bench):
    assert [h.text for h in bench.ask().hypotheses] == ["words", "words"]
    assert [h.text for h in bench.ask(punctuation="marks").hypotheses] == ["words.", "words."]


@pytest.mark.parametrize(("takes_hotwords", "text"), [(False, "Words"), (True, "words")])
def test_what_sounds_like_a_hotword_becomes_one_unless_the_model_knew_it(bench, takes_hotwords, text):
    bench.worker = Worker(
        {OPTIONS.model: Model(bench, bench.check, takes_hotwords)}, bench.memory, WorkerProfile("GPU-1"), bench.clock
    )
    assert [h.text for h in bench.ask(rows=1, hotwords=("Words",)).hypotheses] == [text]
    assert [h.text for h in bench.ask(rows=1, corrections=(("words", "meant"),)).hypotheses] == ["meant"]


def test_memory_that_ran_out_while_marks_were_put_is_met_as_elsewhere(bench):
    bench.mark_trouble = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    with pytest.raises(OutOfMemory):
        bench.ask(punctuation="marks")
    assert bench.ask(rows=1).hypotheses


def test_out_of_memory_leaves_nothing_behind_and_the_worker_goes_on(bench):
    bench.ask(rows=5)
    with pytest.raises(
        OutOfMemory, match=r"^The device has no memory for 20 segments: CUDA out of memory\. Tried[^\n]*$"
    ):
        bench.ask(rows=20)
    assert bench.memory.reserved == bench.memory.resting
    assert bench.ask(rows=2)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_every_way_to_say_that_memory_ran_out_is_understood(bench, error):
    bench.trouble = error
    with pytest.raises(OutOfMemory):
        bench.ask()


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA"),
    ],
)
def test_an_error_that_sticks_to_the_process_ends_it(bench, error):
    bench.trouble = error
    with pytest.raises(DeviceLost) as caught:
        bench.ask()
    assert caught.value.ends_process
    assert "\n" not in str(caught.value)
    assert bench.checks == 0  # it could not be trusted, and might hang


def test_wrong_numbers_are_the_batchs_fault_only_while_the_canary_is_recognized(bench):
    bench.trouble = FloatingPointError("the model returned numbers that are not finite")
    with pytest.raises(FloatingPointError):
        bench.ask()
    bench.canary = Misconfigured("it gave nothing")
    with pytest.raises(DeviceFaulty, match="no longer gives correct results: it gave nothing") as caught:
        bench.ask()
    assert caught.value.ends_process
    assert isinstance(caught.value, Unavailable)  # nobody is blamed


def test_audio_that_is_shorter_than_it_was_is_no_silence(bench):
    bench.path.write_bytes(bytes(2 * 16_000))
    with pytest.raises(AudioLost, match="audio in the spool is incomplete"):
        bench.ask(rows=1, seconds=2.0)


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_another_number_of_answers_is_no_answer(bench, answers):
    bench.answers = answers
    with pytest.raises(RuntimeError, match=f"returned {answers} answers for 2 segments"):
        bench.ask()


def test_the_canary_is_recognized_again_every_hour(bench):
    bench.ask()
    bench.clock.now += CANARY_SECONDS + 1
    bench.ask()
    bench.ask()
    assert bench.checks == 1
    bench.clock.now += CANARY_SECONDS + 1
    bench.canary = Misconfigured("it gave nothing")
    with pytest.raises(DeviceFaulty):
        bench.ask()


def test_a_batch_is_not_tried_when_others_have_taken_its_memory_meanwhile(bench):
    bench.memory.others = 500
    with pytest.raises(MemoryShortage, match="Other processes have taken the memory"):
        bench.ask(rows=3, need_bytes=300, reserve_bytes=101)
    assert bench.memory.peak == bench.memory.resting
    assert bench.ask(rows=3, need_bytes=300, reserve_bytes=100)


def test_what_is_only_cached_goes_back_when_others_need_it(bench):
    assert bench.ask(rows=6, reserve_bytes=300).footprint.reserved == 700
    bench.memory.others = 200
    answer = bench.ask(rows=2, need_bytes=200, reserve_bytes=300)
    assert (answer.footprint.reserved, answer.footprint.free) == (100, 700)
    assert answer.footprint.peak == 300


def test_a_worker_that_is_to_rest_gives_its_cache_back(bench):
    bench.ask(rows=6)
    answer = bench.worker(bench.worker.fetch(ReleaseMemory()), lambda: None)
    assert (answer.hypotheses, answer.footprint.reserved) == ((), 100)


def test_a_canary_that_finds_no_memory_is_no_broken_device(bench):
    bench.clock.now += CANARY_SECONDS + 1
    bench.canary = torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(MemoryShortage) as caught:
        bench.ask()
    assert not caught.value.ends_process


@pytest.mark.parametrize(
    ("torch_version", "name"),
    [
        ("2.6.0", "PYTORCH_CUDA_ALLOC_CONF"),
        ("2.9.1+cu128", "PYTORCH_CUDA_ALLOC_CONF"),
        ("2.10.0", "PYTORCH_ALLOC_CONF"),
        ("2.13.0+cu130", "PYTORCH_ALLOC_CONF"),
    ],
)
def test_the_allocator_is_set_by_the_name_its_version_reads(torch_version, name):
    assert allocator_variable(torch_version) == name
