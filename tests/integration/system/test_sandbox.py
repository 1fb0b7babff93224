"""System calls that a process has given up."""

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
