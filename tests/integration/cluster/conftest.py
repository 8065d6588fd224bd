"""A cluster of real processes: a redis-server that keeps its data, gateways and workers, to be hurt."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.gateway import Gateway, run_weaver
from tests.fixtures.otlp_receiver import OtlpReceiver
from weaver_ai.testing.fakes.redis.real import NOT_INSTALLED, RedisServer

TARGET = "tests.integration.cluster.desk:weaver"
PATIENCE = 30.0
START = 90.0
"""Seconds for four processes to start at once beside other tests."""


class Cluster:
    """Redis, gateways and workers. What a test kills it puts back: `start_worker`, `start_gateway`, `redis.start`."""

    def __init__(self, directory: Path, redis: RedisServer, receiver: OtlpReceiver, stack: ExitStack) -> None:
        self.redis = redis
        self.receiver = receiver
        self.effects_file = directory / "effects.txt"
        self.effects_file.touch()
        self._directory = directory
        self._stack = stack
        self._env = {
            **receiver.env,
            "DESK_EFFECTS": str(self.effects_file),
            "WEAVER_REDIS_URL": redis.url,
            "WEAVER_TASK_LEASE_SECONDS": "2",
            "WEAVER_SHUTDOWN_GRACE_SECONDS": "2",
            "WEAVER_TASK_QUEUE_SIZE": "5000",
        }
        self.gateways: list[Gateway] = []
        self.workers: list[Gateway] = []

    @property
    def gateway(self) -> Gateway:
        return self.gateways[-1]

    @property
    def env(self) -> dict[str, str]:
        return dict(self._env)

    def start_gateway(self) -> Gateway:
        gateway = Gateway(self._directory, self._env, (TARGET,)).start()
        self._stack.callback(_end, gateway)
        self.gateways.append(gateway)
        return gateway

    def start_worker(self, *arguments: str, **env: str) -> Gateway:
        command = [sys.executable, "-m", "weaver_ai", "worker", TARGET, "--concurrency", "8", *arguments]
        worker = Gateway(self._directory, {**self._env, **env}, command=command).start()
        self._stack.callback(_end, worker)
        self.workers.append(worker)
        return worker

    def kill(self, process: Gateway) -> None:
        """`kill -9`."""
        process.process.kill()
        process.wait()
        for running in (self.gateways, self.workers):
            if process in running:
                running.remove(process)

    def submit(self, capability: str = "chore", gateway: Gateway | None = None, **given: Any) -> str:
        """The id of an accepted task; `key` is its Idempotency-Key, what isn't a field of its is its input."""
        headers = {"Idempotency-Key": key} if (key := given.pop("key", None)) else {}
        fields = {name: given.pop(name) for name in ("priority", "delay_seconds") if name in given}
        body = {"capability": capability, "input": given, **fields}
        response = (gateway or self.gateway).post("/v1/tasks", body, headers=headers)
        assert response.status_code == 202, response.text
        task_id: str = response.json()["task_id"]
        return task_id

    def task(self, task_id: str) -> dict[str, Any]:
        response = self.gateway.get(f"/v1/tasks/{task_id}")
        assert response.status_code == 200, response.text
        task: dict[str, Any] = response.json()
        return task

    def finished(self, task_id: str, timeout: float = PATIENCE) -> dict[str, Any]:
        return self.until(lambda: self._finished(task_id), f"task {task_id} finished", timeout)

    def _finished(self, task_id: str) -> dict[str, Any] | None:
        try:
            task = self.task(task_id)
        except (AssertionError, httpx2.TransportError):
            return None  # Redis or the gateway is just being hurt
        return task if task["state"] not in ("scheduled", "queued", "running") else None

    def until(self, look: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """What `look` gives once it gives something."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {timeout:g} s: {what}\n{self.logs()}")

    def engine(self) -> dict[str, Any]:
        """The engine as `/health` has it."""
        component: dict[str, Any] = self.gateway.get("/health").json()["components"]["engine"]
        return component

    def workers_in(self, state: str) -> float:
        """How many workers are in that state, as `/metrics` has it."""
        sample = rf'^weaver_worker_count\S*\{{[^}}]*weaver_worker_state="{state}"[^}}]*\}} (\S+)$'
        found = re.search(sample, self.gateway.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ready(self) -> None:
        """Wait until the workers are seen. One that was killed stays in sight for four leases, as silent."""
        self.until(lambda: self.workers_in("ok") == len(self.workers), f"{len(self.workers)} workers are ok")

    def worker_of(self, name: str) -> Gateway:
        """The worker that runs a workflow of that name which tells its process, once it has."""
        line = self.until(
            lambda: re.search(rf"^pid {name} (\d+)$", self.effects_file.read_text(), re.MULTILINE), f"{name} runs"
        )
        (found,) = [worker for worker in self.workers if worker.process.pid == int(line[1])]
        return found

    def weaver(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `weaver` command against the cluster's Redis."""
        return run_weaver(*arguments, env={"WEAVER_REDIS_URL": self.redis.url}, cwd=self._directory)

    def effects(self, line: str) -> int:
        return self.effects_file.read_text().splitlines().count(line)

    def logs(self) -> str:
        return "\n".join(f"--- {each.output[-3000:]}" for each in (*self.gateways, *self.workers))


def _end(process: Gateway) -> None:
    process.client.close()
    if process.process.poll() is None:
        process.process.kill()
    process.wait()


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if shutil.which("redis-server") is None:
        pytest.skip(NOT_INSTALLED)
    directory = tmp_path_factory.mktemp("cluster")
    data = tmp_path_factory.mktemp("redis")
    with (
        RedisServer("--appendonly", "yes", directory=data) as redis,
        OtlpReceiver() as receiver,
        ExitStack() as stack,
    ):
        cluster = Cluster(directory, redis, receiver, stack)
        for start in (cluster.start_gateway, cluster.start_worker) * 2:
            start()
        for gateway in cluster.gateways:
            gateway.wait_ready(START)
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """Two gateways and two workers at least, all well."""
    while len(_cluster.gateways) < 2:
        _cluster.start_gateway()
    while len(_cluster.workers) < 2:
        _cluster.start_worker()
    for gateway in _cluster.gateways:
        gateway.wait_ready(START)
    for worker in _cluster.workers:
        worker.wait_for_line("engine", START)
    _cluster.ready()
    return _cluster


def in_background(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread
