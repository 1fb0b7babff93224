"""Signals at awkward moments: daemons of the test's making, real signals, in the main thread as it must be."""

import os
import signal
import threading

import pytest

from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import Misconfigured
from transcribed.core.troubles import CONFIGURATION, Troubles
from transcribed.daemon.supervisor import Supervisor


class Daemon:
    """Runs until it is stopped, and then until `may_leave`."""

    def __init__(self, settings):
        self.settings = settings
        self.told = threading.Event()
        self.ready = threading.Event()
        self.may_leave = threading.Event()
        self.may_leave.set()
        self.troubles = Troubles()

    def run(self):
        self.ready.set()
        assert self.told.wait(patient(20))
        assert self.may_leave.wait(patient(20))

    def stop(self):
        self.told.set()


class World:
    """`file` is what the configuration says now; `act` runs beside the service, and ends it."""

    def __init__(self):
        self.file = "first"
        self.daemons = []
        self.loads = 0
        self.making = lambda settings: None
        self.reading = lambda: None

    def load(self, strict):
        found = self.file
        self.reading()
        self.loads += 1
        return found

    def make(self, settings):
        self.making(settings)
        self.daemons.append(Daemon(settings))
        return self.daemons[-1]

    def running(self, count):
        return wait_for(lambda: len(self.daemons) == count and self.daemons[-1].ready.is_set() and self.daemons[-1], 20)

    def reload(self, settings):
        before, self.file = self.loads, settings
        os.kill(os.getpid(), signal.SIGHUP)
        wait_for(lambda: self.loads > before, 20)

    def run(self, act):
        failures = []

        def beside():
            try:
                act()
            except BaseException as error:
                failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        thread = threading.Thread(target=beside)
        thread.start()
        try:
            Supervisor(self.load, self.make).run()
        finally:
            thread.join()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if failures:
            raise failures[0]
        return [daemon.settings for daemon in self.daemons]


@pytest.fixture
def world():
    return World()


def test_other_settings_make_another_daemon_and_the_same_ones_none(world):
    def act():
        first = world.running(1)
        first.troubles.set(CONFIGURATION, "The new configuration is not used: a typing error.")
        world.reload("first")
        wait_for(lambda: not first.troubles.sentences(), 20)
        world.reload("second")
        world.running(2)

    assert world.run(act) == ["first", "second"]


def test_settings_taken_back_while_the_daemon_still_leaves_are_taken_back(world):
    def act():
        first = world.running(1)
        first.may_leave.clear()
        world.reload("second")
        wait_for(first.told.is_set, 20)
        world.reload("first")
        first.may_leave.set()
        second = world.running(2)
        assert second.settings == "first"

    world.run(act)


def test_settings_read_while_a_daemon_is_made_lead_to_another_daemon(world):
    being_made, made, being_read, read = (threading.Event() for _ in range(4))

    def making(settings):
        if settings == "second":
            being_made.set()
            assert made.wait(patient(20))

    def act():
        first = world.running(1)
        first.may_leave.clear()
        world.making = making
        world.reload("second")
        assert first.told.wait(patient(20))
        world.reading = lambda: (being_read.set(), read.wait(patient(20)))
        world.file = "third"
        os.kill(os.getpid(), signal.SIGHUP)
        assert being_read.wait(patient(20))
        first.may_leave.set()
        assert being_made.wait(patient(20))
        read.set()
        wait_for(lambda: world.loads == 3, 20)
        made.set()
        world.running(3)

    assert world.run(act) == ["first", "second", "third"]


def test_what_no_daemon_can_be_made_of_leaves_the_old_settings(world):
    def making(settings):
        if settings == "second":
            raise Misconfigured("No.", "Do not.")

    def act():
        world.running(1)
        world.making = making
        world.reload("second")
        assert world.running(2).troubles.sentences() == ("The new configuration is not used: No. Do not.",)

    assert world.run(act) == ["first", "first"]
