"""`weaver demo cluster` as a person starts it, hurts it and ends it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.gateway import Gateway, free_port
from weaver_ai.testing.fakes.redis.real import NOT_INSTALLED

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason=NOT_INSTALLED),
]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Gateway]:
    """The running demonstration. Keys that are set are no reason to spend money."""
    command = [sys.executable, "-m", "weaver_ai", "demo", "cluster", "--port", str(free_port())]
    env = {"TMPDIR": str(tmp_path), "OPENAI_API_KEY": "-".join(["no", "key"])}
    process = Gateway(tmp_path, env, command=command).start()
    try:
        process.wait_for_line("  curl -s http://", 90)
        yield process
    finally:
        process.client.close()
        process.stop(60)


def until(look: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout:g} s: {what}")


def pids(output: str) -> dict[str, int]:
    found = re.findall(r"^  (gateway \d|worker \d|redis) .*?pid (\d+)", output, re.MULTILINE)
    return {name: int(pid) for name, pid in found}


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_look_at_the_cluster(demo: Gateway, tmp_path: Path) -> None:
    first, second = re.findall(r"gateway \d  (http://\S+)", demo.output)
    members = pids(demo.output)
    assert list(members) == ["gateway 1", "gateway 2", "worker 1", "worker 2", "redis"]

    curl = shlex.split(demo.wait_for_line("curl -s").strip())
    body = curl[curl.index("-d") + 1]
    assert curl[2] == f"{first}/v1/tasks"

    def task() -> str:
        answer = httpx2.post(curl[2], content=body, headers={"Content-Type": "application/json"}, trust_env=False)
        assert answer.status_code == 202, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id

    def finished(task_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] = httpx2.get(f"{second}/v1/tasks/{task_id}", trust_env=False).json()
        return found if found["state"] not in ("queued", "running") else None

    task_id = task()
    done = until(lambda: finished(task_id), "the task is done")
    assert (done["state"], done["result"]["output"][:15]) == ("succeeded", "[offline model]")
    demo.wait_for_line("gateway 1 | ")
    assert re.search(r"^worker \d  \| .*task support", demo.wait_for_line("task support"))

    os.kill(members["worker 1"], signal.SIGKILL)
    told = demo.wait_for_line("worker 1 (pid", 30)
    assert told == (
        f"worker 1 (pid {members['worker 1']}) was killed by SIGKILL; "
        "still running: redis, gateway 1, gateway 2, worker 2"
    )
    again = [task() for _ in range(5)]
    assert {until(lambda each=each: finished(each), "done without it")["state"] for each in again} == {"succeeded"}

    demo.terminate()
    assert demo.wait(60) == 0
    assert [name for name, pid in members.items() if runs(pid)] == []
    assert list(tmp_path.glob("weaver-demo-*")) == []


def test_what_does_not_start_is_shown_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys\nfrom weaver_ai.agents import Weaver\nweaver = Weaver('broken')\n"
        "if 'worker' in sys.argv:\n    raise RuntimeError('not on this machine')\n"
    )
    process = Gateway(
        tmp_path,
        {"TMPDIR": str(tmp_path)},
        command=[sys.executable, "-m", "weaver_ai", "demo", "cluster", "broken:weaver", "--port", "0"],
    ).start()
    process.client.close()
    assert process.wait(90) == 1
    assert re.search(r"^worker \d  \| .*not on this machine", process.output, re.MULTILINE), process.output
    assert re.search(r"^weaver: worker \d ended with \d$", process.output, re.MULTILINE)
    assert list(tmp_path.glob("weaver-demo-*")) == []


def test_without_redis_server_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "weaver_ai", "demo", "cluster"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "weaver: 'weaver demo cluster' needs redis-server, which is not installed "
        "(apt-get install redis-server, or brew install redis)\n"
    )
