"""Every redis-py client of the process connects to one port, whatever address it was made with.

Replaced is what opens the transport, on the connection classes of redis-py, so a client may be made anywhere, by
anybody, before or after, from a URL, a pool or a path. What a client says about itself stays as it was: its repr, its
errors and its spans name the address that the application configured.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis.asyncio.connection as of_asyncio
import redis.connection as of_threads

from weaver_ai.testing.fakes.redis.gate import refused
from weaver_ai.testing.patches import Patches

__all__ = ["redirected"]


@contextmanager
def redirected(port: int) -> Iterator[None]:
    """Send redis-py's connections to `port` of this machine; at the end, close those that are open.

    A connection that was open before is closed when it is next used, and comes back to this port.
    """
    redirect = _Redirect(("127.0.0.1", port))
    patches = Patches()
    for name in ("Connection", "SSLConnection", "UnixDomainSocketConnection"):
        patches.replace(getattr(of_threads, name), "_connect", redirect.opens)
    patches.replace(of_asyncio.Connection, "_connect", redirect.opens_async)
    patches.replace(of_asyncio.UnixDomainSocketConnection, "_connect", redirect.opens_async_path)
    patches.replace(of_threads.AbstractConnection, "connect", redirect.leaves_others)
    patches.replace(of_asyncio.AbstractConnection, "connect", redirect.leaves_others_async)
    try:
        yield
    finally:
        patches.undo()
        redirect.close()


class _Redirect:
    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._ours: weakref.WeakSet[Any] = weakref.WeakSet()

    def opens(self, _: Callable[..., Any]) -> Callable[..., Any]:
        def connect(connection: Any) -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.settimeout(connection.socket_connect_timeout)
                made.connect(self._address)
                made.settimeout(connection.socket_timeout)
            except OSError as reason:
                made.close()
                if isinstance(reason, ConnectionRefusedError):
                    refused()
                raise
            self._ours.add(connection)
            return made

        return connect

    def opens_async(self, _: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        async def connect(connection: Any) -> None:
            async with asyncio.timeout(connection.socket_connect_timeout):
                try:
                    connection._reader, connection._writer = await asyncio.open_connection(*self._address)
                except ConnectionRefusedError:
                    refused()
                    raise
            self._ours.add(connection)

        return connect

    def opens_async_path(self, original: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        opens = self.opens_async(original)

        async def connect(connection: Any) -> None:
            await opens(connection)
            await connection.on_connect()  # as the original does

        return connect

    def leaves_others(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Pools call `connect` on each connection that they hand out, open or not."""

        def connect(connection: Any) -> None:
            if connection.is_connected and connection not in self._ours:
                connection.disconnect()
            original(connection)

        return connect

    def leaves_others_async(self, original: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        async def connect(connection: Any) -> None:
            if connection.is_connected and connection not in self._ours:
                await connection.disconnect(nowait=True)
            await original(connection)

        return connect

    def close(self) -> None:
        for connection in list(self._ours):
            if isinstance(connection, of_threads.AbstractConnection):
                connection.disconnect()  # type: ignore[no-untyped-call] # redis-py's
            else:
                _close_async(connection)


def _close_async(connection: Any) -> None:
    """Close it without a running loop, and leave it as one that was never connected."""
    writer, connection._reader, connection._writer = connection._writer, None, None
    if writer is None:
        return
    transport = writer.transport
    with contextlib.suppress(RuntimeError):  # its loop is closed
        transport.abort()
        return
    held = getattr(transport, "_sock", None)
    if held is not None:
        held.close()
        transport._sock = None  # else it warns of a socket that nobody could have closed
