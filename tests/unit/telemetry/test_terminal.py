"""A console that takes nothing costs lines, and never who writes to it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver_ai.telemetry import terminal
from weaver_ai.telemetry.terminal import Console

PATIENCE = 30.0


class Held(io.StringIO):
    """A stream whose reader takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()

    def write(self, text: str, /) -> int:
        self.asked.set()
        assert self.released.wait(PATIENCE)
        return super().write(text)


@pytest.fixture
def held() -> Iterator[Held]:
    stream = Held()
    yield stream
    stream.released.set()


def test_lines_are_written_in_their_order() -> None:
    stream = io.StringIO()
    console = Console(stream)
    for number in range(100):
        console.write([f"{number}", "below"])
    console.write([])
    assert console.flush(PATIENCE)
    assert stream.getvalue() == "".join(f"{number}\nbelow\n" for number in range(100))


def test_nobody_waits_for_a_stalled_console_and_what_it_lost_is_counted(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_MOST", 3)
    console = Console(held)
    console.write(["being written"])
    assert held.asked.wait(PATIENCE)
    console.write(["waits", "too"])
    console.write(["lost", "both"])  # does not fit beside them
    console.write(["fits"])
    for _ in range(1_000):
        console.write(["lost"])
    assert not console.flush(0.05)
    held.released.set()
    assert console.flush(PATIENCE)
    console.write(["after"])
    assert console.flush(PATIENCE)
    assert held.getvalue().splitlines() == [
        "being written",
        "waits",
        "too",
        "fits",
        "1002 lines were lost: they came faster than the console took them",
        "after",
    ]


def test_a_closed_console_ends_its_thread_and_writes_at_once() -> None:
    stream = io.StringIO()
    console = Console(stream)
    before = set(threading.enumerate())
    console.write(["a"])
    (writer,) = set(threading.enumerate()) - before
    assert console.close(PATIENCE)
    console.write(["b"])
    assert stream.getvalue() == "a\nb\n"
    writer.join(PATIENCE)
    assert not writer.is_alive()


def test_a_console_that_wrote_nothing_before_it_was_closed_starts_no_thread_for_the_last_words() -> None:
    stream = io.StringIO()
    console = Console(stream)
    before = set(threading.enumerate())
    assert console.close(PATIENCE)
    console.write(["last words"])
    assert stream.getvalue() == "last words\n"
    assert set(threading.enumerate()) == before


def test_a_stream_that_raises_anything_costs_its_line_and_not_the_ones_after_it() -> None:
    class Odd(io.StringIO):
        def write(self, text: str, /) -> int:
            if text == "a\n":
                raise RuntimeError("not now")
            return super().write(text)

    stream = Odd()
    console = Console(stream)
    console.write(["a"])
    console.write(["b"])
    assert console.flush(PATIENCE)
    assert stream.getvalue() == "b\n"


def test_a_stalled_console_that_is_closed_writes_what_waits_when_it_can(held: Held) -> None:
    console = Console(held)
    console.write(["a"])
    assert held.asked.wait(PATIENCE)
    console.write(["b"])
    assert not console.close(0.0)
    console.write(["c"])
    held.released.set()
    assert console.flush(PATIENCE)
    assert held.getvalue() == "a\nb\nc\n"


def test_without_a_thread_lines_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(step: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(terminal, "start_thread", refuse)
    stream = io.StringIO()
    Console(stream).write(["a"])
    assert stream.getvalue() == "a\n"


def test_what_a_test_captures_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(terminal, "start_thread", pytest.fail)
    console = Console()
    console.write(["in memory"])
    assert capsys.readouterr().err == "in memory\n"
    with (tmp_path / "stderr").open("w+") as file, contextlib.redirect_stderr(file):
        console.write(["in a file"])
        assert (tmp_path / "stderr").read_text() == "in a file\n"


def test_a_pipe_in_the_place_of_stderr_is_waited_for_by_the_thread_only() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as stream, contextlib.redirect_stderr(stream):
        console = Console()
        console.write(["x" * 1_000_000])  # more than it holds, and nobody reads
        assert not console.flush(0.0)
        assert len(reader.read(1_000_001)) == 1_000_001
        assert console.flush(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_has_a_thread_of_its_own_and_a_process_ends_while_its_console_stalls() -> None:
    code = """
import os, sys
from weaver_ai.telemetry.terminal import Console
console = Console()
console.write(["parent"])
assert console.flush(30)
child = os.fork()
if child == 0:
    console.write(["child"])
    os._exit(0 if console.flush(30) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sys.stderr.write("before\\n")
console.write(["x" * 10_000_000])  # more than a pipe holds, and nobody reads
assert not console.flush(0.2)
print("ended")
"""
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
            stdout=subprocess.PIPE,
            stderr=write,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, b"ended\n")
        assert os.read(read, 64).startswith(b"parent\nchild\nbefore\nxxx")
    finally:
        os.close(read)
        os.close(write)
