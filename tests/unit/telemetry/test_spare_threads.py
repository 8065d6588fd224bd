"""Steps with a limit, also when Python starts no thread any more."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from weaver_ai.telemetry.spare_threads import SpareThreads, within


def test_within_waits_for_all_side_by_side() -> None:
    met = threading.Barrier(2, timeout=30)
    assert within(60.0, met.wait, met.wait, lambda: True)


def raising() -> None:
    raise RuntimeError("no")


@pytest.mark.parametrize("step", [lambda: False, raising])
def test_within_knows_what_failed(step: Callable[[], object]) -> None:
    assert within(60.0, lambda: True, step) is False


def test_within_leaves_behind_what_takes_too_long() -> None:
    gate = threading.Event()
    begun = time.monotonic()
    assert within(0.1, lambda: gate.wait(60)) is False
    assert time.monotonic() - begun < 20
    gate.set()


def test_nothing_to_do_is_done() -> None:
    assert within(0.0) is True


class TestWhenNoThreadCanBeStarted:
    @pytest.fixture
    def ended(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        def refuse(_thread: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)

    def test_steps_run_side_by_side_in_those_that_were_held(self, ended: Callable[[], None]) -> None:
        spare = SpareThreads()
        spare.hold(2)
        ended()
        met = threading.Barrier(2, timeout=30)
        assert within(60.0, met.wait, met.wait, start=spare.start)

    def test_one_that_hangs_is_left_behind(self, ended: Callable[[], None]) -> None:
        spare = SpareThreads()
        spare.hold(2)
        ended()
        gate, done = threading.Event(), threading.Event()
        begun = time.monotonic()
        assert within(0.5, lambda: gate.wait(60), done.set, start=spare.start) is False
        assert time.monotonic() - begun < 20
        assert done.wait(30)
        gate.set()

    def test_a_spare_thread_serves_again(self, ended: Callable[[], None]) -> None:
        spare = SpareThreads()
        spare.hold(1)
        ended()
        for _ in range(3):
            assert within(60.0, lambda: True, start=spare.start)

    def test_no_more_are_held_than_were_asked_for_at_once(self) -> None:
        before = threading.active_count()
        spare = SpareThreads()
        for threads in (1, 3, 2):
            spare.hold(threads)
        assert threading.active_count() == before + 3

    def test_without_any_the_step_runs_here(self, ended: Callable[[], None]) -> None:
        ended()
        seen: list[threading.Thread] = []
        assert within(60.0, lambda: seen.append(threading.current_thread()), start=SpareThreads().start)
        assert seen == [threading.current_thread()]


FORK = """
import os, sys, threading
from weaver_ai.telemetry.spare_threads import SpareThreads, within

spare = SpareThreads()
spare.hold(1)
os.register_at_fork(after_in_child=spare.hold_again)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))

def refuse(thread):
    raise RuntimeError

threading.Thread.start = refuse
os._exit(0 if within(30.0, lambda: None, start=spare.start) else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_child_of_a_fork_has_its_own() -> None:
    # A DeprecationWarning of Python's, for a fork beside threads, isn't what is tested.
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
