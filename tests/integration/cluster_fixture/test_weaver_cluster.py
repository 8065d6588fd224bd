"""The fixture `weaver_cluster`: real processes that a test hurts, in a test file of somebody else."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest

from tests.integration.plugin.conftest import Run, run  # noqa: F401 # the fixture

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
    pytest.mark.timeout(240),
]

HEAD = """
    import json, os, time, urllib.error, urllib.request

    pytestmark = pytest.mark.weaver_cluster(target="shop:weaver", env={"WEAVER_RUN_TIMEOUT_SECONDS": "30"})

    def ask(url, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"})) as answer:
            return json.loads(answer.read())

    def submit(cluster, number, seconds=0):
        body = {"capability": "ship", "input": {"number": number, "seconds": seconds}}
        return cluster.url + "/v1/tasks/" + ask(cluster.url + "/v1/tasks", body)["task_id"]

    def until(url, *states):
        for _ in range(1200):
            try:
                task = ask(url)
            except urllib.error.HTTPError as error:  # Redis is just being hurt
                error.close()
                task = {"state": error.code}
            if task["state"] in states:
                return task
            time.sleep(0.05)
        raise AssertionError(task)
"""


@pytest.fixture(autouse=True)
def shop(pytester: pytest.Pytester) -> None:
    shutil.copy(HERE / "shop.py", pytester.path / "shop.py")


def test_what_is_hurt_recovers_and_is_seen(run: Run) -> None:  # noqa: F811 # a fixture is a parameter
    """One module, so that the processes start once; the order of its tests is that of the file."""
    result = run(
        HEAD
        + """
    def test_one_trace_over_the_processes(weaver_cluster, spans):
        assert (len(weaver_cluster.gateways), len(weaver_cluster.workers)) == (1, 2)
        task = until(submit(weaver_cluster, 1), "succeeded")
        assert task["result"]["output"] == "shipped 1"
        accepted = spans.wait(20).one("POST /v1/tasks")
        ran = spans.wait(20).one("workflow ship")
        assert ran.trace_id == accepted.trace_id
        spans.wait(20).one("workflow ship", within=accepted)

    def test_nothing_of_the_test_before(weaver_cluster, spans):
        assert [span for span in spans.all() if "ship" in span.name] == []

    @pytest.mark.weaver(check_orphan=False, check_open=False)
    def test_a_killed_worker(weaver_cluster, spans):
        first, second = weaver_cluster.workers
        weaver_cluster.kill(second)
        url = submit(weaver_cluster, 2, seconds=1.5)
        until(url, "running")
        weaver_cluster.kill(first)
        assert not first.is_running and not second.is_running
        weaver_cluster.restart(second)
        task = until(url, "succeeded")
        assert (task["result"]["output"], task["attempts"]) == ("shipped 2", 2)

    @pytest.mark.weaver(check_orphan=False, check_open=False)
    def test_redis_restarts_and_the_workers_are_whole_again(weaver_cluster, spans):
        assert all(worker.is_running for worker in weaver_cluster.workers)
        port = weaver_cluster.redis.port
        url = submit(weaver_cluster, 3, seconds=1)
        until(url, "running", "succeeded")
        weaver_cluster.restart(weaver_cluster.redis)
        assert weaver_cluster.redis.port == port
        assert until(url, "succeeded")["result"]["output"] == "shipped 3"

    def test_logs_in_the_report(weaver_cluster):
        until(submit(weaver_cluster, 4), "succeeded")
        assert 0
    """,
        "--durations=0",
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*- log of gateway 1 -*", "*POST /v1/tasks * 202", "*- log of worker [12] -*"])
    result.stdout.fnmatch_lines(["shipping 4"])
    result.stdout.no_fnmatch_line("shipping 3")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("workres=1", "@pytest.mark.weaver_cluster has no keyword 'workres'; it has target, gateways, workers, env"),
        ("target='nowhere:weaver', workers=0", "gateway 1 ended with 2:"),
    ],
)
def test_what_can_not_start(run: Run, marker: str, message: str) -> None:  # noqa: F811
    source = f"""
        pytestmark = pytest.mark.weaver_cluster({marker})

        def test_it(weaver_cluster):
            pass
    """
    result = run(textwrap.dedent(source))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
