"""Processes don't outlive the one that started them, even when nobody asks it to end them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.gateway import clean_env
from weaver_ai.testing.fakes.redis.real import NOT_INSTALLED
from weaver_ai.watchdog import Watchdog

PARENT = """
import asyncio, os, sys
from pathlib import Path
from weaver_ai.cli.crew import Crew
from weaver_ai.watchdog import Watchdog

async def main(directory):
    crew = Crew(Watchdog(Path(directory)))
    said = "import time; print('up', flush=True); time.sleep(600)"
    for number in range(2):
        await crew.start(str(number), [sys.executable, "-c", said], os.environ, lambda line: line == "up")
    short = await crew.start("short", [sys.executable, "-c", "print('up')"], os.environ, lambda line: line == "up")
    await crew.all_ready(60)
    await short.ended()
    print(crew._watchdog.pid, *(member.pid for member in crew.members), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await crew.end(30)
    print("ended", flush=True)

asyncio.run(main(sys.argv[1]))
"""

OF_A_TEST = """
import os, sys
from pathlib import Path
from weaver_ai.testing.fakes.redis.real import RedisServer
from weaver_ai.testing.processes.cluster import Cluster

alone = RedisServer().start()
cluster = Cluster(None, Path(sys.argv[1]), os.environ, gateways=0, workers=0).start()
worker = cluster.add_worker(wait=False)
cluster.kill(cluster.redis)
cluster.mend()
print(alone.directory, alone.pid, cluster.redis.pid, worker.pid, flush=True)
sys.stdin.readline()
cluster.stop()
alone.stop()
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


def _parent(source: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", source, str(directory)],
        env=clean_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _started(directory: Path) -> tuple[subprocess.Popen[str], list[int]]:
    parent = _parent(PARENT, directory)
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


@pytest.mark.skipif(shutil.which("redis-server") is None, reason=NOT_INSTALLED)
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "in order"])
def test_what_a_test_session_started_ends_with_it(directory: Path, is_killed: bool) -> None:
    with _parent(OF_A_TEST, directory) as parent:
        assert parent.stdout is not None
        temporary, *numbers = parent.stdout.readline().split()
        pids = [int(number) for number in numbers]
        assert len(pids) == 3
        assert Path(temporary).is_dir()
        if is_killed:
            parent.kill()
        else:
            parent.communicate("end\n", timeout=60)
    assert parent.returncode == (-9 if is_killed else 0)
    _until(lambda: not any(map(_runs, pids)), "they still run")
    _until(lambda: not Path(temporary).exists(), "what one of them kept is still there")
    assert (directory / "worker-1.log").exists()  # logs are kept, for whoever wants to know


def test_it_runs_while_there_is_anything_to_watch() -> None:
    watchdog = Watchdog()
    assert watchdog.pid is None
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as watched:
        watchdog.watch(watched.pid)
        first = watchdog.pid
        assert first is not None
        assert _runs(first)
        watchdog.forget(watched.pid + 1_000_000)  # which it never knew
        assert watchdog.pid == first
        watchdog.forget(watched.pid)
        assert watchdog.pid is None
        assert not _runs(first)
        assert watched.poll() is None  # who was forgotten lives on
