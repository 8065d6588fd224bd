"""Where a Python process reaches the network, and the guard that is asked there.

Two lines. HTTP clients are asked for each request, with method and URL, where their mocks no longer
stand in between; so a connection that was open before, and one through a proxy on this machine, are
seen too. Below, the interpreter's audit events see every socket and every name, however it was
imported. What opens sockets in C of its own (gRPC, libpq, curl) passes by; uvloop is asked as well.
"""

from __future__ import annotations

import functools
import importlib.abc
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol, final

from weaver_ai.testing.patches import Patches

__all__ = ["Gate", "bracketed", "enter", "leave"]


class Gate(Protocol):
    """Who is asked. Each method raises to stop the caller."""

    def request(self, method: str, url: str) -> None: ...
    def reach(self, verb: str, host: str, port: object) -> None: ...
    def resolve(self, host: str) -> None: ...
    def learn(self, host: str, addresses: Iterable[str]) -> None: ...


_gates: list[Gate] = []
_lock = threading.RLock()
_patches = Patches()
_audited = False
_asked: ContextVar[tuple[str, str] | None] = ContextVar("weaver_asked", default=None)
"""Method and URL of the request that urllib3 is at, which opens a TLS connection before it says what for."""


def _gate() -> Gate | None:
    try:
        return _gates[-1]
    except IndexError:  # the last one left in another thread
        return None


def enter(gate: Gate) -> None:
    """From here on `gate` is asked."""
    with _lock:
        _gates.append(gate)
        if len(_gates) == 1:
            _install()


def leave(gate: Gate) -> None:
    """Ask it no more; the last one takes everything away, in reverse order."""
    with _lock:
        _gates.remove(gate)
        if not _gates:
            sys.meta_path.remove(_FINDER)
            with _beneath_mocks():
                _patches.undo()


def _install() -> None:
    global _audited  # noqa: PLW0603 - an audit hook is for the process, and forever
    if not _audited:
        sys.addaudithook(_audit)
        _audited = True
    with _beneath_mocks():
        for name, patch in _PATCHED.items():
            if (module := sys.modules.get(name)) is not None:
                patch(module)
    sys.meta_path.insert(0, _FINDER)


@contextmanager
def _beneath_mocks() -> Generator[None, None, None]:
    """Take respx's patches away for a moment, so that ours come and go below them."""
    respx = sys.modules.get("respx.mocks")
    running = [mocker for mocker in respx.Mocker.registry.values() if mocker.routers] if respx else []
    for mocker in reversed(running):
        mocker.stop(force=True)
    try:
        yield
    finally:
        for mocker in running:
            mocker.start()


# Sockets and names


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _gates and event in _EVENTS and (gate := _gate()) is not None:
        _EVENTS[event](gate, *arguments)


def _on_connect(gate: Gate, sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        if (asked := _asked.get()) is not None:
            gate.request(*asked)
        gate.reach("connect", _host(address), address[1])


def _on_send(gate: Gate, sock: socket.socket, address: Any) -> None:
    if address is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        gate.reach("send to", _host(address), address[1])


def _on_resolve(gate: Gate, host: Any, *_: Any) -> None:
    name = _text(host)
    if (asked := _asked.get()) is not None:
        gate.request(*asked)
    gate.resolve(name)


def _on_reverse(gate: Gate, host: Any) -> None:
    gate.reach("resolve", _text(host), None)


def _on_name_of(gate: Gate, address: Any) -> None:
    gate.reach("resolve", _host(address), None)


_EVENTS: dict[str, Callable[..., None]] = {
    "socket.connect": _on_connect,
    "socket.sendto": _on_send,
    "socket.sendmsg": _on_send,
    "socket.getaddrinfo": _on_resolve,
    "socket.gethostbyname": _on_resolve,
    "socket.gethostbyaddr": _on_reverse,
    "socket.getnameinfo": _on_name_of,
}


def _host(address: Any) -> str:
    return _text(address[0])


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else str(host or "")


# Clients and loops. Each function patches one module, if it is or when it gets loaded.


def _patch_pool(module: ModuleType) -> None:
    """The pools of both cores. Named and declared as the originals: respx looks at both when it wraps them."""
    core = module.__name__.partition(".")[0]

    def make_sync(original: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(self: Any, request: Any) -> Any:
            _check_pool(core, self, request)
            return original(self, request)

        return handle_request

    def make_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(self: Any, request: Any) -> Any:
            _check_pool(core, self, request)
            return await original(self, request)

        return handle_async_request

    if hasattr(module, "ConnectionPool"):
        _patches.replace(module.ConnectionPool, "handle_request", make_sync)
    else:
        _patches.replace(module.AsyncConnectionPool, "handle_async_request", make_async)


def _check_pool(core: str, pool: Any, request: Any) -> None:
    """The client maps its core's own error to one of its own, as it does where nobody listens."""
    if (gate := _gate()) is not None and getattr(pool, "_uds", None) is None:
        url = request.url
        port = f":{url.port}" if url.port else ""
        target = url.target.decode("ascii", "replace")
        try:
            gate.request(
                request.method.decode(), f"{url.scheme.decode()}://{bracketed(url.host.decode())}{port}{target}"
            )
        except ConnectionRefusedError as refused:
            raise sys.modules[core].ConnectError(str(refused.strerror)) from refused


def _patch_http_client(module: ModuleType) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def putrequest(self: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            on_a_unix_socket = getattr(self.sock, "family", None) == getattr(socket, "AF_UNIX", object())
            if (gate := _gate()) is not None and not on_a_unix_socket:
                gate.request(method, _http_client_url(self, url))
            return original(self, method, url, *arguments, **options)

        return putrequest

    _patches.replace(module.HTTPConnection, "putrequest", make)


def _http_client_url(connection: Any, url: str) -> str:
    if "://" in url:  # through a proxy
        return url
    scheme = "https" if connection.default_port == 443 else "http"  # noqa: PLR2004 - HTTPS
    host = connection._tunnel_host or connection.host
    port = connection._tunnel_port if connection._tunnel_host else connection.port
    return f"{scheme}://{bracketed(host)}{'' if port in (None, connection.default_port) else f':{port}'}{url}"


def _patch_urllib3(module: ModuleType) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def urlopen(self: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            if not _gates:
                return original(self, method, url, *arguments, **options)
            default = 443 if self.scheme == "https" else 80
            port = "" if self.port in (None, default) else f":{self.port}"
            whole = url if "://" in url else f"{self.scheme}://{bracketed(self.host)}{port}{url}"
            token = _asked.set((method, whole))
            try:
                return original(self, method, url, *arguments, **options)
            finally:
                _asked.reset(token)

        return urlopen

    _patches.replace(module.HTTPConnectionPool, "urlopen", make)


def _patch_aiohttp(module: ModuleType) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def connect(self: Any, req: Any, *arguments: Any, **options: Any) -> Any:
            if (gate := _gate()) is not None:
                gate.request(req.method, str(req.url))
            return await original(self, req, *arguments, **options)

        return connect

    _patches.replace(module.TCPConnector, "connect", make)


def _patch_asyncio(module: ModuleType) -> None:
    """Before the loop asks for the name in a thread, where the caller can't be seen."""
    _patches.replace(module.BaseEventLoop, "getaddrinfo", _asks_for_name)


def _patch_trio(module: ModuleType) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
            if (gate := _gate()) is not None:
                gate.resolve(_text(host))
            return await original(host, *arguments, **options)

        return getaddrinfo

    _patches.replace(module, "getaddrinfo", make)


def _patch_uvloop(module: ModuleType) -> None:
    """It connects without Python's sockets."""

    def make_create(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def create_connection(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
            if host is not None and (gate := _gate()) is not None:
                gate.reach("connect", _text(host), port)
            return await original(self, factory, host, port, **options)

        return create_connection

    def make_connect(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def sock_connect(self: Any, sock: socket.socket, address: Any) -> Any:
            if (gate := _gate()) is not None:
                _on_connect(gate, sock, address)
            return await original(self, sock, address)

        return sock_connect

    def make_datagram(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def create_datagram_endpoint(
            self: Any, factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
        ) -> Any:
            if isinstance(remote_addr, tuple) and (gate := _gate()) is not None:
                gate.reach("connect", _host(remote_addr), remote_addr[1])
            return await original(self, factory, local_addr, remote_addr, **options)

        return create_datagram_endpoint

    _patches.replace(module.Loop, "getaddrinfo", _asks_for_name)
    _patches.replace(module.Loop, "create_connection", make_create)
    _patches.replace(module.Loop, "sock_connect", make_connect)
    _patches.replace(module.Loop, "create_datagram_endpoint", make_datagram)


def _asks_for_name(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
        if (gate := _gate()) is not None:
            gate.resolve(_text(host))
        return await original(self, host, port, **options)

    return getaddrinfo


def _patch_socket(module: ModuleType) -> None:
    """Learns which addresses an allowed name has; whether it is allowed, the audit event says."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
            found = original(host, *arguments, **options)
            if host and (gate := _gate()) is not None:
                gate.learn(_text(host), [entry[4][0] for entry in found if isinstance(entry[4][0], str)])
            return found

        return getaddrinfo

    _patches.replace(module, "getaddrinfo", make)


def bracketed(host: str) -> str:
    """The host as a URL has it."""
    return f"[{host}]" if ":" in host else host


_PATCHED: dict[str, Callable[[ModuleType], None]] = {
    "aiohttp.connector": _patch_aiohttp,
    "asyncio.base_events": _patch_asyncio,
    "http.client": _patch_http_client,
    "httpcore._async.connection_pool": _patch_pool,
    "httpcore._sync.connection_pool": _patch_pool,
    "httpcore2._async.connection_pool": _patch_pool,
    "httpcore2._sync.connection_pool": _patch_pool,
    "socket": _patch_socket,
    "trio._highlevel_open_tcp_stream": _patch_trio,
    "trio.socket": _patch_trio,
    "urllib3.connectionpool": _patch_urllib3,
    "uvloop": _patch_uvloop,
}


@final
class _Finder(importlib.abc.MetaPathFinder):
    """Patches what is imported while a guard stands."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in _PATCHED:
            return None
        for finder in sys.meta_path:
            spec: ModuleSpec | None = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


@final
class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        with _lock:
            if _gates:
                _PATCHED[module.__name__](module)


_FINDER = _Finder()
