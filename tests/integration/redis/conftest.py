"""Redis servers as people run them: with a password, an ACL, TLS, on a socket, behind Sentinels."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme

from tests.fixtures.gateway import free_port
from weaver_ai.tasks import EngineHealth, TaskContext, TaskOutcome, TaskRecord, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import NOT_INSTALLED, RedisServer
from weaver_ai.testing.fakes.redis.resp import Replies, pack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("redis-server") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=NOT_INSTALLED))


async def echo(context: TaskContext) -> TaskOutcome:
    return TaskOutcome(result=context.record.input)


async def run_a_task(url: str) -> TaskRecord:
    """Submit a task and run it, gateway and worker in one."""
    engine = DocketEngine(url, echo, prefix=f"test-{uuid4().hex}", unwind_seconds=0.5)
    await engine.start()
    try:
        record = await engine.submit(TaskRequest(capability="echo", input="order 7"))
        return await engine.result(record.id, timeout_seconds=30)
    finally:
        await engine.drain(0)
        await engine.aclose()


async def health_of(url: str) -> EngineHealth:
    """What a gateway says of that Redis."""
    engine = DocketEngine(url, prefix=f"test-{uuid4().hex}")
    await engine.start()
    try:
        async with asyncio.timeout(10):
            return await engine.health()
    finally:
        await engine.aclose()


@dataclass(frozen=True)
class Certificates:
    """Files of one authority, and of another that signed nothing here."""

    authority: Path
    certificate: Path
    key: Path
    stranger: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    files = Certificates(
        directory / "ca.pem", directory / "redis.crt", directory / "redis.key", directory / "stranger.pem"
    )
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(files.authority)
    trustme.CA().cert_pem.write_to_path(files.stranger)
    own.private_key_pem.write_to_path(files.key)
    own.cert_chain_pems[0].write_to_path(files.certificate)
    return files


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@dataclass(frozen=True)
class TlsServer:
    server: RedisServer
    port: int


def has_tls() -> bool:
    program = shutil.which("redis-server")
    if program is None:
        return False
    # Without TLS in it, it stumbles over the first option that is about TLS; with it, over the missing certificate.
    asked = subprocess.run(
        [program, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, timeout=30, check=False
    )
    return "tls-cert-file" in asked.stdout + asked.stderr


@pytest.fixture(scope="session")
def tls_server(certificates: Certificates) -> Iterator[TlsServer]:
    """A server that also listens with TLS, and wants a client's certificate there."""
    if not has_tls():
        pytest.skip("this redis-server was built without TLS")
    port = free_port()
    files = {
        "ca-cert-file": certificates.authority,
        "cert-file": certificates.certificate,
        "key-file": certificates.key,
    }
    arguments = [word for name, path in files.items() for word in (f"--tls-{name}", str(path))]
    with RedisServer("--tls-port", str(port), *arguments) as running:
        yield TlsServer(running, port)


SERVICE = "weaver-test"


class Watched:
    """A primary, a replica, and three Sentinels of which two have to agree."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.primary = RedisServer("--appendonly", "yes").start()
        self.replica = RedisServer("--appendonly", "yes", "--replicaof", "127.0.0.1", str(self.primary.port)).start()
        self.ports: list[int] = []
        self._sentinels: list[subprocess.Popen[bytes]] = []
        for number in range(3):
            self._start_sentinel(number)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def is_ready(self) -> bool:
        """Whether every Sentinel knows the replica and the two others."""
        return all(
            self._asked(port, b"replicas").count(b"runid") >= 1 and self._asked(port, b"sentinels").count(b"runid") >= 2
            for port in self.ports
        )

    @property
    def is_replicated(self) -> bool:
        """Whether the replica has all that the primary has."""
        told = self.primary.ask(b"INFO", b"replication").decode()
        fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        return f"offset={fields['master_repl_offset']}," in fields.get("slave0", "")

    def stop(self) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        for server in (self.primary, self.replica):
            server.kill()
            server.stop()

    def _asked(self, port: int, what: bytes) -> bytes:
        return ask(port, b"SENTINEL", what, SERVICE.encode())

    def _start_sentinel(self, number: int) -> None:
        port = free_port()
        config = self._directory / f"sentinel-{number}.conf"  # which the Sentinel rewrites
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 1500\nsentinel failover-timeout {SERVICE} 6000\n"
        )
        program = shutil.which("redis-server") or ""
        with (self._directory / f"sentinel-{number}.log").open("wb") as log:
            self._sentinels.append(
                subprocess.Popen([program, str(config), "--sentinel"], stdout=log, stderr=log, cwd=self._directory)
            )
        self.ports.append(port)


def ask(port: int, *command: bytes) -> bytes:
    """One command to whoever listens there; nothing when nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(pack(command))
            replies = Replies()
            while data := connection.recv(65536):
                for reply in replies.feed(data):
                    return reply
    except OSError:
        pass
    return b""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    found = Watched(tmp_path_factory.mktemp("sentinel"))
    try:
        until(lambda: found.is_ready, "the Sentinels know each other and the replica")
        yield found
    finally:
        found.stop()


def until(look: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout:g} s: {what}")
