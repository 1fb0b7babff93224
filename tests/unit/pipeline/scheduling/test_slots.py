"""Which slots there are: never the CPU in place of a card that is only away."""

import pytest

from transcribed.core.telemetry import Card, Reading
from transcribed.pipeline.scheduling.slots import RememberedDevices, choose_slots, read, write

CARDS = Reading(tuple(Card(f"cuda:{n}", f"GPU-{n}", "a card", 10, 10, 0) for n in range(2)))
NOTHING = Reading(trouble="NVML is not installed.", absent=True)
SILENT = Reading(trouble="NVML does not answer.")
NOT_LOADED = Reading(trouble="The NVIDIA driver is not loaded.")


@pytest.mark.parametrize(
    ("device", "reading", "remembered", "names"),
    [
        ("cpu", SILENT, ["cuda:0"], ["cpu:0"]),
        ("cuda:1", NOTHING, [], ["cuda:1"]),
        ("MIG-5b1d", SILENT, [], ["MIG-5b1d"]),
        ("auto", CARDS, [], ["cuda:0", "cuda:1"]),
        ("cuda", CARDS, ["cuda:0"], ["cuda:0", "cuda:1"]),
        ("auto", NOTHING, [], ["cpu:0"]),
        ("auto", NOTHING, ["cuda:0", "cuda:1"], ["cuda:0", "cuda:1"]),  # a card that was there will come back
        ("auto", NOT_LOADED, [], ["cuda:0"]),
        ("auto", SILENT, [], ["cuda:0"]),
        ("cuda", NOTHING, [], ["cuda:0"]),
    ],
)
def test_the_cpu_is_used_only_if_requested_or_no_card_ever_existed(device, reading, remembered, names):
    assert list(choose_slots(device, reading, remembered).names) == names


def test_an_operator_is_told_why():
    assert "No NVIDIA device" in choose_slots("auto", NOTHING, []).note
    assert choose_slots("auto", NOT_LOADED, []).note == "The NVIDIA driver is not loaded.  Work waits for the card."
    assert choose_slots("auto", CARDS, []).note is None


def test_what_was_learned_is_remembered_and_the_unreadable_learned_anew(tmp_path):
    assert read(tmp_path) == RememberedDevices()
    known = RememberedDevices(("cuda:0",), {"GPU-0 demo bf16": {"version": "v1", "samples": [[1.0, 2.0, 3]]}})
    write(tmp_path, known)
    assert read(tmp_path) == known
    for text in ("", "[]", '{"cards": 3}', '{"cards": [], "needs": []}', "\0"):
        (tmp_path / "devices.json").write_text(text)
        assert read(tmp_path).needs == {}
