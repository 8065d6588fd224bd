"""The fake server: fakeredis' commands and data, spoken over the wire.

fakeredis has a TCP server of its own; why it isn't used stands in docs/decisions/0701-redis-over-tcp.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis
from fakeredis import FakeServer
from fakeredis._commands import SUPPORTED_COMMANDS
from fakeredis._helpers import NoResponse, SimpleError, SimpleString
from fakeredis._msgs import WRONGTYPE_MSG
from fakeredis._socket import FakeSocket
from fakeredis.model import get_command_info, is_write_command

from weaver_ai.testing.fakes.redis.backend import Client
from weaver_ai.testing.fakes.redis.resp import encode, error, pack

__all__ = ["VERSION", "FakeBackend"]

VERSION: Final = (7, 4)
"""The version that the fake speaks of itself and whose commands it has."""

_REAL: Final = "--weaver-redis=real"
_POLL: Final = 0.02  # seconds between two looks whether the client of a blocking command is still there
_PUSHING: Final = frozenset(
    {b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
)
_ASKED_BY_CLIENTS: Final = frozenset({"CLIENT MAINT_NOTIFICATIONS"})  # redis-py tries, and goes on without
_EXPIRING: Final = frozenset({"expire", "expireat", "pexpire", "pexpireat", "getex"})
_READS: Final = frozenset({"xread", "xreadgroup"})
_SCRIPTS: Final = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro", "script load"})


class FakeBackend:
    """fakeredis behind the port.

    Attributes:
        server: its data, which clients of fakeredis itself can share.
        refused: names of commands that the fake has not and a real server has, in the order of the calls.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.server = FakeServer(version=VERSION)

    def open(self, client: Client) -> _FakeSession:
        return _FakeSession(self, client)

    def reset(self) -> None:
        self.server = FakeServer(version=VERSION)
        self.refused.clear()

    def stop(self) -> None:
        """Nothing runs."""


class _FakeSession:
    def __init__(self, backend: FakeBackend, client: Client) -> None:
        self._backend = backend
        self._client = client
        self._socket: Any = _WireSocket(backend.server, client)

    def run(self, command: list[bytes]) -> None:
        lacking = _lacking(command)
        if lacking is not None:
            if lacking not in _ASKED_BY_CLIENTS:
                self._backend.refused.append(lacking)
            self._client.reply(error(_why_not(lacking)))
            return
        self._socket.sendall(pack(command))
        if self._socket._transaction is None:
            self._socket.refusal = None
        if self._socket._killed or command[0].lower() == b"quit":
            self._client.close()

    def run_script(self, command: list[bytes], refusal: str) -> None:
        self._socket.refusal = refusal  # until it has run, which in a transaction is at its end
        self.run(command)

    def settle(self) -> None:
        """A command's reply comes before `run` returns."""

    def close(self) -> None:
        self._socket.close()


def _lacking(command: list[bytes]) -> str | None:
    """The name of a command that Redis has and fakeredis has not; None for what either knows or neither does."""
    name = command[0].decode("latin-1").lower()
    both = f"{name} {command[1].decode('latin-1').lower()}" if len(command) > 1 else name
    if both == "client maint_notifications":
        return "CLIENT MAINT_NOTIFICATIONS"  # fakeredis says OK, and redis-py would wait for what never comes
    if name in _SCRIPTS or both in _SCRIPTS:
        return None if _has_lua() else name.upper()
    if name in SUPPORTED_COMMANDS or both in SUPPORTED_COMMANDS:
        return None
    return name.upper() if name in _MISSING or get_command_info(name.encode()) is not None else None


_MISSING: Final = frozenset(
    {
        "cluster", "config", "debug", "failover", "fcall", "fcall_ro", "function", "info", "latency", "memory",
        "migrate", "module", "monitor", "psync", "readonly", "readwrite", "replicaof", "role", "shutdown", "slaveof",
        "slowlog", "sync", "wait", "waitaof",
    }
)  # fmt: skip


def _why_not(name: str) -> str:
    if name.lower() in _SCRIPTS:
        return f"ERR the fake Redis runs {name} with lupa only: pip install 'fakeredis[lua]'; or pytest {_REAL}"
    return f"ERR the fake Redis has no {name}; a real server has: pytest {_REAL}"


def _has_lua() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 # asked on EVAL only

    return find_spec("lupa") is not None


class _WireSocket(FakeSocket):
    """fakeredis' side of one connection, with replies as bytes, in order, from whichever thread."""

    def __init__(self, server: FakeServer, client: Client) -> None:
        self._client = client
        self._command = b""
        self._thread = 0
        self.refusal: str | None = None  # of what a script writes
        super().__init__(server, 0, client_class=redis.Redis, client_info=_client_info())

    def _process_command(self, fields: list[bytes]) -> None:
        self._thread = threading.get_ident()
        self._command = fields[0].lower()
        try:
            super()._process_command(fields)
        finally:
            self._thread = 0

    def _run_command(self, func: Callable[[Any], Any] | None, sig: Any, args: list[Any], from_script: bool) -> Any:
        """As fakeredis does, where it differs from a real server put right, and where it breaks said."""
        if from_script and self.refusal is not None and is_write_command(sig.name.encode()):
            return SimpleError(self.refusal)
        try:
            result = super()._run_command(func, sig, args, from_script)
        except Exception as broken:  # noqa: BLE001 # whatever breaks in fakeredis, the client is told and goes on
            if sig.name in _READS and isinstance(broken, AttributeError):
                return SimpleError(WRONGTYPE_MSG)
            return SimpleError(f"ERR the fake Redis broke on {sig.name.upper()}: {type(broken).__name__}: {broken}")
        if sig.name in _EXPIRING:
            self._drop_what_is_over(args[0])
        return None if sig.name in _READS and result in ([], {}) else result

    def _drop_what_is_over(self, key: bytes) -> None:
        """A real server deletes at once what expires now; in a transaction the fake's clock would never pass it."""
        item = self._db._dict.get(key)
        if item is not None and item.expireat is not None and item.expireat <= self._db.time:
            del self._db[key]

    def put_response(self, msg: Any) -> None:
        """A reply to this client's command, or what another client's command sends to it: a push, in RESP3."""
        push = threading.get_ident() != self._thread or self._command in _PUSHING
        self._client.reply(b"".join(encode_reply(msg, self._client_info.protocol_version, push=push)))

    def _decode_result(self, result: Any) -> Any:
        """As it is: the client behind the wire decodes, and errors keep the words that the server gave them."""
        return result

    def _blocking(
        self, timeout: float | None, func: Callable[[bool], Any], shape: Callable[[Any], Any] | None = None
    ) -> Any:
        """As a real server blocks: until there is something, or time is over, or the client has gone."""
        shaped = shape or (lambda found: found)
        found = func(True)
        if found is not None or self._in_transaction:
            return shaped(found)
        deadline = time.time() + timeout if timeout else None
        self._blocked = True
        try:
            while found is None and (deadline is None or time.time() < deadline):
                self._db.condition.wait(timeout=_POLL)
                if self._client.is_gone():
                    return NoResponse()
                if self._unblock_reason is not None:
                    self._take_unblock_reason()
                    break
                found = func(False)
        finally:
            self._blocked = False
            self._unblock_reason = None
        return shaped(found)


def encode_reply(value: Any, protocol: int, *, push: bool = False) -> list[bytes]:
    """A reply of fakeredis as bytes: its own classes for status and error, else a Python value."""
    if isinstance(value, SimpleString):
        return [b"+" + value.value + b"\r\n"]
    if isinstance(value, SimpleError):
        return [error(value.value)]
    if isinstance(value, list) and any(isinstance(item, SimpleString | SimpleError | list) for item in value):
        head = b">%d\r\n" if push and protocol == 3 else b"*%d\r\n"  # noqa: PLR2004
        return [head % len(value), *(piece for item in value for piece in encode_reply(item, protocol))]
    return list(encode(value, protocol, push=push))


def _client_info() -> dict[str, Any]:
    return {"addr": "127.0.0.1:0", "laddr": "127.0.0.1:0", "fd": 0, "name": "", "user": "default", "resp": 2}
