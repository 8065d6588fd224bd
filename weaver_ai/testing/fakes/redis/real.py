"""A real redis-server on a free port, for as long as somebody needs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from weaver_ai.testing.fakes.redis.backend import Client
from weaver_ai.testing.fakes.redis.resp import Replies, pack
from weaver_ai.watchdog import Watchdog

__all__ = ["NOT_INSTALLED", "RealBackend", "RedisServer", "free_port"]

NOT_INSTALLED: Final = "redis-server is not installed: apt-get install redis-server, or brew install redis"
_READ_ONLY_SCRIPT: Final = (
    b"-ERR Write commands are not allowed from read-only scripts.",
    b"-ERR Can not execute a script with write flag using *_ro command.",
)
_LOOKS: Final = 1000
_TRIES: Final = 5


class RedisServer:
    """A redis-server process with nothing in it and nothing kept on disk, unless `arguments` say otherwise.

    Args:
        arguments: more of its configuration, as `("--appendonly", "yes")`.
        directory: where it keeps its files; a temporary one, removed at the end, where none is given.
        watchdog: ends it if nobody else can; one of its own where none is given.

    Raises:
        FileNotFoundError: there is no redis-server on the path.
    """

    def __init__(self, *arguments: str, directory: Path | None = None, watchdog: Watchdog | None = None) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError(NOT_INSTALLED)
        self._program = program
        self._arguments = arguments
        self._temporary = tempfile.TemporaryDirectory(prefix="weaver-redis-") if directory is None else None
        self.directory = Path(self._temporary.name) if self._temporary else directory or Path()
        self.port = 0
        self._watchdog = watchdog or Watchdog(self.directory if self._temporary else None)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the redis-server doesn't run")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.directory / "redis.log").read_text(errors="replace")

    def start(self) -> Self:
        """Start it, on the port that it had before if it had one, and wait until it answers."""
        for _ in range(_TRIES):
            port = self.port or free_port()
            if self._started(port):
                self.port = port
                return self
        raise RuntimeError(f"redis-server did not start:\n{self.log}")

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def stop(self) -> None:
        """End it in order, and remove its temporary files."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
            self._forget()
        if self._temporary is not None:
            self._temporary.cleanup()

    def ask(self, *command: bytes) -> bytes:
        """One command on a connection of its own; the reply as it came."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(pack(command))
            replies = Replies()
            while data := connection.recv(65536):
                for reply in replies.feed(data):
                    return reply
        raise ConnectionResetError("redis-server closed the connection")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(self, port: int) -> bool:
        fixed = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.directory))
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 # the program that the path has, as asked for
                [self._program, *fixed, *self._arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._watchdog.watch(self._process.pid)
        pause = threading.Event()  # not the clock, which a test may have stopped
        for _ in range(_LOOKS):
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(pack([b"PING"]))
                    if connection.recv(16).startswith(b"+PONG"):
                        return True
            except OSError:
                pass  # not yet
            pause.wait(0.01)
        self.kill()
        return False

    def _forget(self) -> None:
        if self._process is not None:
            self._watchdog.forget(self._process.pid)
            self._process = None


class RealBackend:
    """A redis-server behind the port; each client has a connection of its own to it."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def open(self, client: Client) -> _RealSession:
        return _RealSession(self.server.port, client)

    def reset(self) -> None:
        for command in ((b"FLUSHALL",), (b"SCRIPT", b"FLUSH")):
            self.server.ask(*command)

    def stop(self) -> None:
        self.server.stop()


class _RealSession:
    def __init__(self, port: int, client: Client) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._refusal: bytes | None = None
        self._owed = 0
        self._all_here = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read, name="weaver-redis-replies", daemon=True)
        self._reader.start()

    def run(self, command: list[bytes]) -> None:
        with self._all_here:
            self._owed += 1
        self._connection.sendall(pack(command))

    def run_script(self, command: list[bytes], refusal: str) -> None:
        self._refusal = f"-{refusal}".encode()
        self.run([command[0] + b"_RO", *command[1:]])

    def settle(self) -> None:
        with self._all_here:
            self._all_here.wait_for(lambda: self._owed <= 0 or self._over)

    def close(self) -> None:
        with suppress(OSError):  # the server was faster
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()

    def _read(self) -> None:
        replies = Replies()
        try:
            while data := self._connection.recv(65536):
                for reply in replies.feed(data):
                    self._client.reply(self._refused(reply))
                    self._settled(reply)
        except OSError:
            pass  # closed from this side
        with self._all_here:
            self._over = True
            self._all_here.notify_all()
        self._client.close()

    def _refused(self, reply: bytes) -> bytes:
        """What a read-only script is refused with in the words of the fault, also where it stands in a transaction."""
        if self._refusal is None:
            return reply
        for words in _READ_ONLY_SCRIPT:
            reply = reply.replace(words, self._refusal)
        return reply

    def _settled(self, reply: bytes) -> None:
        if reply.startswith(b">"):
            return  # nobody asked for it
        with self._all_here:
            self._owed -= 1
            self._all_here.notify_all()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
