"""System calls that a process has given up."""

import platform
import signal
import subprocess
import sys

import pytest

SIGNALS = """
import os, signal, sys
from transcribed.system import sandbox
assert sandbox.restrict_calls(keep_signals=sys.argv[1] == "kept")
os.kill(os.getpid(), 0)
signal.raise_signal(signal.SIGWINCH)
try:
    os.kill(os.getppid(), 0)
except PermissionError:
    sys.exit(13)
"""


@pytest.mark.parametrize(("signals", "status"), [("kept", 0), ("refused", 13)])
def test_signals_to_others_are_refused_where_nothing_else_does(signals, status):
    assert subprocess.run([sys.executable, "-c", SIGNALS, signals]).returncode == status


TRIED = """
import ctypes, errno, mmap, sys
from transcribed.system import sandbox
libc = ctypes.CDLL(None, use_errno=True)
assert sandbox.restrict_calls()
name, *arguments = sys.argv[1:]
if name == "int 0x80":
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000" "cd80" "c3"))  # getpid, by its number of 32 bits
    code = ctypes.addressof(ctypes.c_char.from_buffer(page))
    sys.exit(1 if ctypes.CFUNCTYPE(ctypes.c_int)(code)() else 2)
result = getattr(libc, name)(*(int(argument, 0) for argument in arguments))
sys.exit(13 if result == -1 and ctypes.get_errno() == errno.EACCES else 1)
"""


def tried(*call):
    """The exit status of a process that makes a call of libc after it has given up what it does not need."""
    return subprocess.run([sys.executable, "-c", TRIED, *call]).returncode


@pytest.mark.parametrize(
    "call",
    [
        ("socket", "1", "1", "0"),
        ("ptrace", "0", "0", "0", "0"),
        ("process_vm_readv", "1", "0", "0", "0", "0", "0"),
        ("unshare", "0"),
        ("setns", "0", "0"),
        ("mount", "0", "0", "0", "0", "0"),
        ("umount2", "0", "0"),
        ("chroot", "0"),
        ("syscall", "425", "1", "0"),  # io_uring_setup, which has this number everywhere
        ("syscall", "428", "0", "0", "0"),  # open_tree
        ("syscall", "438", "0", "0", "0"),  # pidfd_getfd
    ],
)
def test_calls_that_only_an_intruder_needs_are_refused(call):
    assert tried(*call) == 13


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only this processor has several ways to call the kernel")
@pytest.mark.parametrize("call", [("int 0x80",), ("syscall", "0x40000027")])  # 32 bits; getpid of x32
def test_a_call_by_the_numbers_of_another_architecture_ends_the_process(call):
    assert tried(*call) == -signal.SIGSYS


LIMITS = """
import resource
from transcribed.system import sandbox
sandbox.limit_process(60.0, 2**30)
for what in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
    soft, hard = resource.getrlimit(what)
    assert soft == hard != resource.RLIM_INFINITY
"""


def test_limits_are_for_good():
    subprocess.run([sys.executable, "-c", LIMITS], check=True)
