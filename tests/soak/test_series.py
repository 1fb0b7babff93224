"""Samples become series: processes by role, over their replacements; what grows by design as bytes per file."""

import pytest

from tests.soak.samples import ProcessSample, Sample
from tests.soak.series import MIB, OF_PLACE, arrange, peaks
from tests.soak.statistic import ALPHA, judge

FILES = 12  # between two samples
LIFE = 200  # files of a preparing process


def rest(role, handled, age):
    return 100


def run(samples=1000, memory=rest, log=lambda handled: 300 * handled, descriptors=rest):
    """`memory` in MiB and `descriptors` of a process that was `age` files old when `handled` files had been."""
    return [_sample(n * FILES, memory, log, descriptors) for n in range(samples)]


def _sample(handled, memory, log, descriptors):
    lives = {"daemon": 0, "prepare": handled - handled % LIFE}
    processes = [
        ProcessSample(
            role,
            began,
            began,
            int(memory(role, handled, handled - began) * MIB),
            descriptors(role, handled, handled - began),
            threads=4,
            watches=8,
        )
        for role, began in lives.items()
    ]
    totals = dict.fromkeys(OF_PLACE, 3) | {"ledger bytes": 560 * handled, "log bytes": int(log(handled))}
    return Sample(handled / 4, handled, processes, totals | {"wal bytes": 4 * MIB, "rotated log bytes": 100})


def grown(samples):
    found = arrange(samples)
    return [(s.role, s.measure) for s in found if judge(s.blocks, s.floor, ALPHA / len(found)).grows]


def test_nothing_grows_in_a_steady_run():
    assert grown(run()) == []


def test_every_series_of_a_long_run_is_decided():
    found = arrange(run(2000))
    assert {(s.role, s.measure) for s in found if not judge(s.blocks, s.floor, ALPHA).enough} == set()


def test_a_leak_in_the_daemon_is_found():
    leak = run(memory=lambda role, handled, age: 100 + (handled // 100 if role == "daemon" else 0))
    assert grown(leak) == [("daemon", "memory, MiB")]


def test_memory_may_creep_within_processes_that_are_replaced():
    assert grown(run(memory=lambda role, handled, age: 100 + (age / 100 if role == "prepare" else 0))) == []


def test_fast_growth_within_processes_that_are_replaced_is_found():
    fast = run(memory=lambda role, handled, age: 100 + (age / 5 if role == "prepare" else 0))
    assert grown(fast) == [("prepare, within each", "memory, MiB")]


def test_descriptors_kept_by_processes_that_are_replaced_are_found():
    kept = run(descriptors=lambda role, handled, age: 9 + (age // 100 if role == "prepare" else 0))
    assert grown(kept) == [("prepare, within each", "descriptors")]


def test_a_run_that_ends_within_its_warm_up_has_no_series():
    assert arrange(run(10)) == arrange([]) == []


def test_growth_from_one_process_to_the_next_is_found():
    handed_on = run(2000, lambda role, handled, age: 100 + (handled // LIFE if role == "prepare" else 0))
    assert grown(handed_on) == [("prepare, from one to the next", "memory, MiB")]


def test_logs_may_grow_with_files_but_not_faster():
    assert grown(run(log=lambda handled: 300 * handled + handled**2 / 10)) == [("place", "log bytes per file")]


def test_the_warm_up_does_not_count():
    assert grown(run(memory=lambda role, handled, age: 100 + min(handled, 1500) / 10)) == []


@pytest.mark.parametrize(("bytes", "above"), [(4 * MIB, False), (9 * MIB, True)])
def test_a_write_ahead_log_that_never_ends_is_found(bytes, above):
    samples = run(50)
    samples[-1].totals["wal bytes"] = bytes
    assert [peak.measure for peak in peaks(samples) if peak.most > peak.ceiling] == ["wal bytes"] * above
