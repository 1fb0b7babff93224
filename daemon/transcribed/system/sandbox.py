"""Deny this process what the decoding of an untrusted file does not need: network, memory, time, other processes.

FFmpeg still contains undiscovered bugs; an exploit of the next one lacks whatever is denied here, and in landlock.py.
Knows Linux; nothing of audio.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
from dataclasses import dataclass

import psutil

from transcribed.core.types import SAMPLE_RATE

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_PR_SET_PDEATHSIG = 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 13, 0x80000000  # SECCOMP_RET_*: ALLOW, ERRNO (EACCES), KILL_PROCESS
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, |JGE|K, BPF_RET|K
_X32 = 0x40000000  # numbers of another way to call the 64-bit kernel

_Step = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Calls:
    """System calls by their numbers (linux/audit.h, asm/unistd.h)."""

    architecture: int
    refused: tuple[int, ...]
    signals: tuple[int, ...]


# Both lists: socket, ptrace, process_vm_readv and _writev, unshare, setns, mount, umount2, pivot_root, chroot, bpf,
# perf_event_open, userfaultfd, add_key, request_key, keyctl; then those with one number everywhere.
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442)  # io_uring, new mounts, pidfd_getfd, madvise
_PIDFD_SEND_SIGNAL = 424
# Signals, whose first argument is a process: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo.
_CALLS = {
    "x86_64": _Calls(
        0xC000003E,
        (41, 101, 310, 311, 272, 308, 165, 166, 155, 161, 321, 298, 323, 248, 249, 250, *_EVERYWHERE),
        (62, 200, 234, 129, 297),
    ),
    "aarch64": _Calls(
        0xC00000B7,
        (198, 117, 270, 271, 97, 268, 40, 39, 41, 51, 280, 241, 282, 217, 218, 219, *_EVERYWHERE),
        (129, 130, 131, 138, 240),
    ),
}

CPU_SECONDS = 60
CPU_SHARE = 0.05  # of the longest audio allowed: ten times slower than the slowest codec measured


def limit_process(max_seconds: float, extra_bytes: int) -> None:
    """Limit this process from now on, for good: address space, size of a file it writes, open files.

    The address space leaves room for the longest spool file: once written, it is mapped.
    """
    spool_file = int(max_seconds * SAMPLE_RATE * 2) + 2**20
    space = psutil.Process().memory_info().vms + extra_bytes + spool_file
    for what, limit in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, spool_file),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (least, least))


def limit_cpu(max_seconds: float) -> None:
    """Limit the CPU time of the next file; the kernel kills a process that exceeds it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = used.ru_utime + used.ru_stime + CPU_SECONDS + CPU_SHARE * max_seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(allowed), hard))


def restrict_calls(*, keep_signals: bool = True) -> bool:
    """Refuse this thread, and all that it starts, the system calls that only an intruder needs, by seccomp(2).

    Those are sockets and what can make them (io_uring), the memory and descriptors of other processes, namespaces and
    mounts, and without `keep_signals` a signal to another process.  They fail with EACCES.  A call by the number of
    another architecture ends the process: the numbers here would not apply to it.  Return False if the machine's system
    calls are not known.  Call it before other threads exist.
    """
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return False
    filter_ = _filter(calls, keep_signals)
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in filter_))
    steps = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(filter_), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(steps), 0, 0) == 0
    )


def _filter(calls: _Calls, keep_signals: bool) -> list[_Step]:
    """Return the program for the kernel; see seccomp(2) and linux/filter.h."""
    steps: list[_Step] = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_JUMP_EQUAL, 1, 0, calls.architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for number in (*calls.refused, *([] if keep_signals else [_PIDFD_SEND_SIGNAL])):
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    if not keep_signals:
        for number in calls.signals:  # to ourselves they are allowed: abort(3) sends one
            steps += [
                (_JUMP_EQUAL, 0, 4, number),
                (_LOAD, 0, 0, 16),  # seccomp_data.args[0], its lower half
                (_JUMP_EQUAL, 0, 1, os.getpid()),
                (_RETURN, 0, 0, _ALLOW),
                (_RETURN, 0, 0, _REFUSE),
            ]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def die_with_parent() -> None:
    """Have this process killed when its parent ends, for whatever reason (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
