"""The connections of a process to its Redis: one pool, whichever kind of Redis it is, for records and docket alike."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from docket import Docket
from docket._redis import RedisConnection
from key_value.aio.stores.redis import RedisStore
from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis.asyncio import ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection, Connection
from redis.asyncio.observability.recorder import record_connection_timeout, record_connection_wait_time
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.observability.attributes import AttributeBuilder, get_pool_name

from weaver_ai.tasks.redis.address import RedisAddress
from weaver_ai.tasks.redis.trouble import CutOff, NoHandshake, trouble
from weaver_ai.telemetry import current_telemetry

__all__ = ["RedisPool"]

_SENTINEL_SECONDS: Final = 1.0
_DEFAULTS: Final = {
    "max_connections": 50,
    "timeout": 5.0,
    # Nothing that is asked of Redis takes longer; without a limit a worker would wait for a frozen one for good.
    "socket_timeout": 5.0,
    "socket_connect_timeout": 5.0,
    # hiredis leaks a little memory for each message of a subscription in version 3.
    "protocol": 2,
}


class RedisPool:
    """At most so many connections, for which everyone else waits. Made without connecting; used in one event loop.

    Args:
        url: as `RedisAddress` reads it. Its options `max_connections` (50) and `timeout` (5: seconds that one waits for
            a connection) are those of the pool.

    Raises:
        SettingsError: the URL can't be used.
    """

    def __init__(self, url: str) -> None:
        self.address: Final = RedisAddress.parse(url)
        self.connections: Final = _pool_of(self.address)
        self.client: Final = Redis(connection_pool=self.connections)

    def docket(self, name: str) -> Docket:
        """A docket, not entered, that uses this pool and none of its own."""
        return _PooledDocket(name, self)

    async def trouble(self) -> str | None:
        """Why a ping fails, for people; None when it doesn't. It is in no trace."""
        try:
            with suppress_instrumentation():
                await self.client.execute_command("PING")  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            return trouble(error)
        return None

    async def aclose(self) -> None:
        """Close all connections, those in use included. It can be used again."""
        await self.connections.close_all()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Waiting(ConnectionPool):
    """A pool whose users wait for a connection when all are in use.

    redis-py's own one that waits miscounts its connections in `db.client.connection.count`, and knows no Sentinel.
    """

    def __init__(self, *, timeout: float, max_connections: int, **kwargs: Any) -> None:
        super().__init__(max_connections=max_connections, **kwargs)
        self._timeout = timeout
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._gauges: _Gauges | None = None

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        del command_name, keys, options  # redis-py passes them no more
        if self._gauges is None:
            self._gauges = _Gauges(get_pool_name(self), self.max_connections)
        began = time.monotonic()
        while True:
            try:
                connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
            except MaxConnectionsError:
                await self._freed(began + self._timeout)
            else:
                await record_connection_wait_time(get_pool_name(self), time.monotonic() - began)
                return connection

    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
        finally:  # a cancelled release has freed its place all the same
            self._wake_one()

    async def close_all(self) -> None:
        """Close all connections, and count them no more."""
        await self.disconnect()
        if self._gauges is not None:
            self._gauges.close()
            self._gauges = None

    async def _freed(self, until: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        gauges = self._gauges
        if gauges is not None:
            gauges.waiting(1)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._place(waiter)
        except TimeoutError:
            await record_connection_timeout(get_pool_name(self))
            raise MaxConnectionsError(f"all {self.max_connections} connections are in use") from None
        finally:
            if gauges is not None:
                gauges.waiting(-1)

    async def _place(self, waiter: asyncio.Future[None]) -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._wake_one()  # it was woken already: the place is somebody else's now
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class _WaitingForPrimary(_Waiting, SentinelConnectionPool):
    """The same, of connections to the primary that Sentinels name."""

    async def get_master_address(self) -> Any:
        with suppress_instrumentation():  # the question is no part of whatever work needs the connection
            return await super().get_master_address()  # type: ignore[no-untyped-call]

    async def close_all(self) -> None:
        await super().close_all()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _pool_of(address: RedisAddress) -> _Waiting:
    options: dict[str, Any] = {**_DEFAULTS, **address.options}
    if not address.sentinels:
        kind = _Tls if address.tls else _Unix if "path" in options else _Tcp
        return _Waiting(connection_class=kind, **_patient(options))
    sentinels: Any = Sentinel([])  # type: ignore[no-untyped-call]
    sentinels.sentinels = [_sentinel(address, host, port) for host, port in address.sentinels]
    return _WaitingForPrimary(
        service_name=address.service,
        sentinel_manager=sentinels,
        connection_class=_PrimaryTls if address.tls else _PrimaryTcp,
        # What metrics call it: the server itself changes.
        host=address.service,
        port=address.sentinels[0][1],
        **_patient(options),
    )


def _sentinel(address: RedisAddress, host: str, port: int) -> Redis:
    """A client of one Sentinel. One that doesn't answer is passed over soon: the next one knows as much."""
    limits = {"reply_seconds": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS, "protocol": 2}
    options = {**limits, **address.sentinel_options, "host": host, "port": port, "socket_timeout": None}
    return Redis.from_pool(ConnectionPool(connection_class=_Tls if address.tls else _Tcp, **options))


def _patient(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "reply_seconds": options["socket_timeout"], "socket_timeout": None}


class _Impatient(AbstractConnection):
    """A connection that gives a reply up after a while.

    redis-py's own `socket_timeout` is left unset: with it, redis-py sends through `asyncio.wait_for`, which on Python
    3.11 may swallow a cancellation, and a worker that is told to end then never does.
    """

    def __init__(self, *, reply_seconds: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reply_seconds = reply_seconds

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        try:
            await super().on_connect_check_health(check_health)
        except RedisConnectionError as error:
            if type(error) is RedisConnectionError:  # and none of those that say what is wrong
                raise CutOff(tls=isinstance(self, SSLConnection)) from error
            raise

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 # redis-py's signature
        **kwargs: Any,
    ) -> Any:
        if timeout is not None:  # a subscriber has a patience of its own
            return await super().read_response(disable_decoding, timeout, **kwargs)
        try:
            async with asyncio.timeout(self._reply_seconds):
                return await super().read_response(disable_decoding, **kwargs)  # cancelled, it closes the connection
        except TimeoutError:
            raise RedisTimeoutError(f"no reply within {self._reply_seconds:g} s") from None


class _Tcp(_Impatient, Connection):
    pass


class _Tls(_Impatient, SSLConnection):
    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except RedisTimeoutError as error:
            if self.is_connected:  # it was a reply that didn't come
                raise
            raise NoHandshake() from error


class _Unix(_Impatient, UnixDomainSocketConnection):
    pass


class _PrimaryTcp(_Impatient, SentinelManagedConnection):
    pass


class _PrimaryTls(_Tls, SentinelManagedSSLConnection):
    pass


class _Gauges:
    """What redis-py doesn't tell of a pool: how many connections it may have, and how many wait for one."""

    def __init__(self, name: str, most: int) -> None:
        meter = current_telemetry().meter_provider.get_meter("weaver_ai")
        self._most = most
        self._attributes = AttributeBuilder.build_connection_attributes(pool_name=name)
        self._max = meter.create_up_down_counter(
            "db.client.connection.max", "{connection}", "Connections that the pool may have."
        )
        self._pending = meter.create_up_down_counter(
            "db.client.connection.pending_requests", "{request}", "Requests that wait for a connection."
        )
        self._max.add(most, self._attributes)
        self._pending.add(0, self._attributes)

    def waiting(self, more: int) -> None:
        self._pending.add(more, self._attributes)

    def close(self) -> None:
        self._max.add(-self._most, self._attributes)


class _PooledDocket(Docket):
    """A docket that is given its connections; its own way makes five pools of each URL."""

    def __init__(self, name: str, pool: RedisPool) -> None:
        # Nothing is kept of a turn that has been taken: what there is to know is in the task's record.
        super().__init__(
            name, url="redis://", execution_ttl=timedelta(0), result_storage=RedisStore(client=pool.client)
        )
        self._redis = _Lent(pool)
        self.url = None  # type: ignore[assignment] # strikes, which nothing here uses, stay in the process then


class _Lent(RedisConnection):
    """docket's view of a pool that isn't its own to close."""

    def __init__(self, pool: RedisPool) -> None:
        super().__init__("redis://")
        self._pool = pool

    async def __aenter__(self) -> Self:
        self._connection_pool = self._pubsub_pool = self._pool.connections
        self._client = self._pool.client
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._connection_pool = self._pubsub_pool = self._client = None
