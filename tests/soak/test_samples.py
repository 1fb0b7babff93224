"""What the kernel tells of a process: descriptors, threads, watches, private memory."""

import mmap
import os
import threading

from tests.soak.samples import measure

BYTES = 32 * 2**20


def test_descriptors_of_a_process_are_counted(tmp_path):
    before = measure(os.getpid())[1]
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert measure(os.getpid())[1] == before + 2


def test_threads_of_a_process_are_counted():
    before, over = measure(os.getpid())[2], threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert measure(os.getpid())[2] == before + 1
    over.set()
    thread.join()


def test_private_memory_grows_by_what_is_touched():
    before = measure(os.getpid())[0]
    with mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE) as held:  # not what the allocator has at hand already
        held.write(b"\xa5" * BYTES)
        assert measure(os.getpid())[0] - before > 0.9 * BYTES
