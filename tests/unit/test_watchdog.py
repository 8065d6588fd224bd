"""Processes don't outlive the one that started them, even when nobody asks it to end them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.gateway import clean_env

PARENT = """
import asyncio, os, sys
from weaver_ai.cli.crew import Crew
from weaver_ai.cli.watchdog import Watchdog

async def main(directory):
    crew = Crew(await Watchdog.start(directory))
    said = "import time; print('up', flush=True); time.sleep(600)"
    for number in range(2):
        await crew.start(str(number), [sys.executable, "-c", said], os.environ, lambda line: line == "up")
    short = await crew.start("short", [sys.executable, "-c", "print('up')"], os.environ, lambda line: line == "up")
    await crew.all_ready(60)
    await short.ended()
    print(crew._watchdog._process.pid, *(member.pid for member in crew.members), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await crew.end(30)
    print("ended", flush=True)

asyncio.run(main(sys.argv[1]))
"""


def _runs(pid: int) -> bool:
    """A process that has ended and that nobody has asked about isn't one that runs."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def _until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("data")
    return made


def _started(directory: Path) -> tuple[subprocess.Popen[str], list[int]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory)],
        env=clean_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def test_a_crew_whose_leader_is_killed_ends(directory: Path) -> None:
    parent, (watchdog, first, second, short) = _started(directory)
    with parent:
        assert [_runs(pid) for pid in (watchdog, first, second, short)] == [True, True, True, False]
        parent.kill()
    _until(lambda: not any(map(_runs, (first, second, watchdog))), "they still run")
    assert not directory.exists()


def test_a_crew_that_is_ended_in_order_leaves_nothing_to_do(directory: Path) -> None:
    parent, pids = _started(directory)
    with parent:
        out, _ = parent.communicate("end\n", timeout=60)
    assert (out, parent.returncode) == ("ended\n", 0)
    assert not any(map(_runs, pids))
    assert (directory / "file").read_text() == "data"
