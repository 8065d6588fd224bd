"""One process of the service, without the service: what is said when it doesn't come up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weaver_ai.testing.processes.process import Process, ProcessFailed

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}


def test_one_that_ends(tmp_path: Path) -> None:
    process = Process("worker 1", ["--no-such-option"], ENV, tmp_path / "log", lambda _: False).start()
    with pytest.raises(ProcessFailed) as caught:
        process.wait_ready()
    message, *log = str(caught.value).splitlines()
    assert message == "worker 1 ended with 2:"
    assert "\n".join(log) == process.log.rstrip()
    assert "--no-such-option" in process.log
    assert not process.is_running
    process.stop()  # it has ended: nothing to do


def test_one_that_is_not_ready_in_time_and_a_second_life(tmp_path: Path) -> None:
    process = Process("gateway 1", ["--help"], ENV, tmp_path / "log", lambda _: False, patience=0.05).start()
    with pytest.raises(ProcessFailed) as caught:
        process.wait_ready()
    assert str(caught.value).startswith("gateway 1 was not ready in 0.05 s:\n")
    process.kill()
    before = process.log
    process.start()
    assert process.pid > 0
    process.kill()
    assert process.log == before + process.life


def test_one_that_was_not_started(tmp_path: Path) -> None:
    process = Process("redis", [], ENV, tmp_path / "log", lambda _: True)
    with pytest.raises(ProcessFailed, match=r"^redis was not started:\n$"):
        process.wait_ready()
    with pytest.raises(RuntimeError, match=r"^redis doesn't run$"):
        process.pid  # noqa: B018
    process.kill()
    assert (process.is_running, process.log) == (False, "")
