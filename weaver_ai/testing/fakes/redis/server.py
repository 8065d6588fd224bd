"""The port that clients connect to: takes commands, asks the faults, hands on to the fake or the real server."""

from __future__ import annotations

import select
import socket
import threading
from typing import Final

from weaver_ai.testing.fakes.redis.backend import Backend, Session
from weaver_ai.testing.fakes.redis.gate import Gate, Verdict
from weaver_ai.testing.fakes.redis.resp import Commands, ProtocolError, error

__all__ = ["Server"]

_READ: Final = 65536
_OK: Final = b"+OK\r\n"


class Server:
    """A port of 127.0.0.1, from `start` to `stop`.

    Any user name and password are taken, so an application's own URL works as it stands.

    Attributes:
        commands: how many came by, those included that a client sends when it connects.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.commands = 0
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self._listening = threading.Event()
        self._stopped = False

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        with self._lock:
            return sum(not connection.is_closing for connection in self._connections)

    def start(self) -> None:
        """Take connections."""
        self._socket.listen(128)
        self._listening.set()
        threading.Thread(target=self._accept, args=(self._socket,), name="weaver-redis", daemon=True).start()

    def refuse(self) -> None:
        """Close every connection and refuse new ones. The port stays this server's."""
        with self._lock:
            if not self._listening.is_set():
                return
            self._listening.clear()
            _close(self._socket)
            self._socket = _bound(self.port)
        self.drop()

    def resume(self) -> None:
        """Take connections again."""
        with self._lock:
            if self._listening.is_set() or self._stopped:
                return
            self.start()

    def drop(self) -> int:
        """Close every connection; how many there were."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close()
        return len(connections)

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads."""
        with self._lock:
            self._stopped = True
            self._listening.clear()
            _close(self._socket)
            connections = list(self._connections)
        for connection in connections:
            connection.close()
        for connection in connections:
            connection.join()

    def forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed: refused or stopped
            connection = _Connection(self, client)
            with self._lock:
                accepted = self._listening.is_set() and listener is self._socket
                if accepted:
                    self._connections.add(connection)
            if accepted:
                connection.start()
            else:
                client.close()


class _Connection(threading.Thread):
    """One client: its commands run here, one after the other; replies may come from other threads."""

    def __init__(self, server: Server, client: socket.socket) -> None:
        super().__init__(name="weaver-redis-client", daemon=True)
        self._server = server
        self._client = client
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._gate = Gate()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._unheard = 0  # replies to commands that the client did not send
        self._session: Session | None = None

    def run(self) -> None:
        commands = Commands()
        try:
            self._session = self._server.backend.open(self)
            while not self._closing.is_set() and (data := self._client.recv(_READ)):
                for command in commands.feed(data):
                    self._take(self._session, command)
        except ProtocolError as wrong:
            self.reply(error(f"ERR Protocol error: {wrong}"))
        except OSError:
            pass  # the client went away, or the server did
        finally:
            self._end()

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        """From any thread."""
        self._closing.set()
        _shut(self._client)

    def _end(self) -> None:
        self._closing.set()
        if self._session is not None:
            self._session.close()
        self._client.close()
        self._server.forget(self)

    def _take(self, session: Session, command: list[bytes]) -> None:
        command, answered = _without_credentials(command)
        if answered:
            session.settle()
            self.reply(_OK)
            return
        verdict = self._gate.judge(command)
        self._server.commands += 1
        if self._delayed(verdict) or self._closing.is_set():
            return
        match verdict.effect:
            case "pass" if verdict.script_reply is not None:
                session.run_script(command, verdict.script_reply)
            case "pass":
                session.run(command)
            case "refuse":
                session.settle()
                self.reply(error(verdict.reply))
            case "abort":
                session.settle()
                self._unheard = 1
                session.run([b"DISCARD"])
                session.settle()
                self.reply(error(verdict.reply))
            case "drop":
                self.close()
            case "restart":
                self._server.drop()

    def _delayed(self, verdict: Verdict) -> bool:
        """Wait as long as the fault says; True if the connection closed meanwhile."""
        return verdict.delay > 0 and self._closing.wait(verdict.delay)

    def reply(self, reply: bytes) -> None:
        """From any thread."""
        try:
            with self._writing:
                if self._unheard and not reply.startswith(b">"):
                    self._unheard -= 1
                    return
                self._client.sendall(reply)
        except OSError:
            self._closing.set()  # nobody reads any more

    def is_gone(self) -> bool:
        """Whether the client has closed its side, or this one is closing."""
        if self._closing.is_set():
            return True
        try:
            readable, _, _ = select.select([self._client], [], [], 0)
            return bool(readable) and not self._client.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


def _without_credentials(command: list[bytes]) -> tuple[list[bytes], bool]:
    """The command without a user name and a password; and whether nothing is left of it but an OK."""
    name = command[0].lower()
    if name == b"auth":
        return command, True
    if name == b"hello":
        for at, part in enumerate(command):
            if part.lower() == b"auth":
                return [*command[:at], *command[at + 3 :]], False
    return command, False


def _bound(port: int) -> socket.socket:
    """A socket that holds the port; without `listen` the system refuses who connects."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _shut(made: socket.socket) -> None:
    try:
        made.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it isn't connected any more


def _close(made: socket.socket) -> None:
    """Close a listening socket and wake who waits in `accept`."""
    _shut(made)
    made.close()
