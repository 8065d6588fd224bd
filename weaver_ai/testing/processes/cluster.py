"""Redis, gateways and workers, each a process of its own on this machine."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self, TypeAlias, final

from weaver_ai.testing.fakes.redis.real import RedisServer, free_port
from weaver_ai.testing.processes.process import Process, ProcessFailed
from weaver_ai.watchdog import Watchdog

__all__ = ["Cluster", "Member"]

Member: TypeAlias = Process | RedisServer


@final
class Cluster:
    """What a test hurts: `cluster.kill(cluster.workers[0])`. The next test finds it whole again.

    Args:
        target: `module:attribute` of the Weaver object; None for the built-in support desk.
        directory: for logs and Redis's data, which it keeps over a restart.
        env: of each gateway and worker.
        gateways: how many.
        workers: how many.
    """

    def __init__(
        self, target: str | None, directory: Path, env: Mapping[str, str], *, gateways: int, workers: int
    ) -> None:
        self._watchdog = Watchdog()
        self.redis = RedisServer("--appendonly", "yes", directory=directory, watchdog=self._watchdog)
        self.gateways: list[Process] = []
        self.workers: list[Process] = []
        self._target = [] if target is None else [target]
        self._directory = directory
        self._env = env
        self._counts = gateways, workers

    @property
    def url(self) -> str:
        """Of the first gateway that runs."""
        for gateway in self.gateways:
            if gateway.is_running:
                return gateway.url
        raise ProcessFailed("no gateway runs")

    @property
    def members(self) -> Iterator[tuple[str, Member]]:
        """All that were started, by name."""
        if self.redis.port:
            yield "redis", self.redis
        for process in (*self.gateways, *self.workers):
            yield process.name, process

    def start(self) -> Self:
        """Start all of them, and wait until they are ready.

        Raises:
            ProcessFailed: one of them ended, or isn't ready in time.
        """
        self.redis.start()
        gateways, workers = self._counts
        for _ in range(gateways):
            self.add_gateway(wait=False)
        for _ in range(workers):
            self.add_worker(wait=False)
        for process in (*self.gateways, *self.workers):
            process.wait_ready()
        return self

    def add_gateway(self, *, wait: bool = True) -> Process:
        """One more `weaver serve`."""
        port = free_port()
        process = self._process(
            f"gateway {len(self.gateways) + 1}",
            ["serve", *self._target, "--port", str(port)],
            f"http://127.0.0.1:{port}",
        )
        self.gateways.append(process)
        return process.wait_ready() if wait else process

    def add_worker(self, *, wait: bool = True) -> Process:
        """One more `weaver worker`."""
        process = self._process(f"worker {len(self.workers) + 1}", ["worker", *self._target])
        self.workers.append(process)
        return process.wait_ready() if wait else process

    def kill(self, member: Member) -> None:
        """End it as `kill -9` does."""
        member.kill()

    def restart(self, member: Member) -> None:
        """End it in order, if it still runs, and start it again: at the same address, with the same data."""
        member.stop()
        member.start()
        if isinstance(member, Process):
            member.wait_ready()

    def mend(self) -> None:
        """Start again whatever was killed, and wait until it is ready."""
        if not _answers(self.redis):
            self.redis.kill()
            self.redis.start()
        dead = [process for process in (*self.gateways, *self.workers) if not process.is_running]
        for process in dead:
            process.start()
        for process in dead:
            process.wait_ready()

    def stop(self) -> None:
        """End all of them at once: nobody waits for a test's processes."""
        for _, member in self.members:
            member.kill()

    def _process(self, name: str, arguments: list[str], url: str = "") -> Process:
        log = self._directory / f"{name.replace(' ', '-')}.log"
        env = {**self._env, "WEAVER_REDIS_URL": self.redis.url, "PYTHONUNBUFFERED": "1"}
        return Process(name, arguments, env, log, _is_ready, watchdog=self._watchdog, url=url).start()


def _is_ready(process: Process) -> bool:
    if not process.url:
        return "  engine     " in process.life  # what `weaver worker` prints once it works
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the shell has
    try:
        direct.open(f"{process.url}/ready", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def _answers(redis: RedisServer) -> bool:
    try:
        return redis.ask(b"PING").startswith(b"+PONG")
    except OSError:
        return False
