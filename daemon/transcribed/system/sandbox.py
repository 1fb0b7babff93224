"""Deny this process what the decoding of an untrusted file does not need: network, memory, time, files.

FFmpeg still contains undiscovered bugs; an exploit of the next one lacks whatever is denied here.  Knows Linux; nothing
of audio.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import signal
import struct

import psutil

from transcribed.core.types import SAMPLE_RATE

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_PR_SET_PDEATHSIG = 1
_ALLOW, _REFUSE_EACCES = 0x7FFF0000, 0x00050000 | 13  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_SOCKET_CALL = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # AUDIT_ARCH_*, __NR_socket

CPU_SECONDS = 60
CPU_SHARE = 0.05  # of the longest audio allowed: ten times slower than the slowest codec measured


def limit_process(max_seconds: float, extra_bytes: int) -> None:
    """Limit this process from now on: address space, size of a file it writes, open files.

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
        resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def limit_cpu(max_seconds: float) -> None:
    """Limit the CPU time of the next file; the kernel kills a process that exceeds it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = used.ru_utime + used.ru_stime + CPU_SECONDS + CPU_SHARE * max_seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(allowed), hard))


def refuse_network() -> bool:
    """Forbid this thread, and all that it starts, to open sockets from now on, by seccomp(2).

    Return False if the machine's system calls are not known.  Call it before other threads exist.
    """
    known = _SOCKET_CALL.get(platform.machine())
    if known is None:
        return False
    architecture, socket_call = known
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (_LOAD, 0, 0, 4),  # seccomp_data.arch
            (_JUMP_EQUAL, 0, 3, architecture),
            (_LOAD, 0, 0, 0),  # seccomp_data.nr
            (_JUMP_EQUAL, 0, 1, socket_call),
            (_RETURN, 0, 0, _REFUSE_EACCES),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    steps = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0
    )


def die_with_parent() -> None:
    """Have this process killed when its parent ends, for whatever reason (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
