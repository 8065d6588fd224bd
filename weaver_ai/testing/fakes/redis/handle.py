"""What a test holds of its Redis: the fixture `fake_redis`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, final

import redis

from weaver_ai.testing.fakes.redis.backend import Backend
from weaver_ai.testing.fakes.redis.fake import FakeBackend
from weaver_ai.testing.fakes.redis.gate import is_down
from weaver_ai.testing.fakes.redis.joining import joined
from weaver_ai.testing.fakes.redis.redirect import redirected
from weaver_ai.testing.fakes.redis.server import Server
from weaver_ai.testing.faults.plan import on_change

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["TestRedis", "running"]


@final
class TestRedis:
    """The Redis of one test: empty at its start, gone at its end.

    Attributes:
        is_real: whether a redis-server stands behind it (`--weaver-redis=real`).
        port: on 127.0.0.1, for who has to be told.
        url: the same as a URL.
    """

    __test__ = False

    def __init__(self, server: Server, *, is_real: bool) -> None:
        self.is_real = is_real
        self.port = server.port
        self.url = f"redis://127.0.0.1:{server.port}"
        self._server = server

    @property
    def env(self) -> Mapping[str, str]:
        """For a subprocess: `REDIS_URL`, and Weaver's own `WEAVER_REDIS_URL`."""
        return {"REDIS_URL": self.url, "WEAVER_REDIS_URL": self.url}

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return self._server.connections

    @property
    def commands(self) -> int:
        """How many commands came by, those included that a client sends when it connects."""
        return self._server.commands

    @property
    def refused(self) -> list[str]:
        """Commands that were asked for and that only a real server has."""
        backend = self._server.backend
        return list(backend.refused) if isinstance(backend, FakeBackend) else []

    def client(self, *, decode_responses: bool = True) -> redis.Redis:
        """A client for the test's own use; answers are `str` unless told otherwise."""
        return redis.Redis(port=self.port, decode_responses=decode_responses)

    def async_client(self, *, decode_responses: bool = True) -> redis.asyncio.Redis:
        """As `client`, for asyncio."""
        import redis.asyncio  # noqa: PLC0415 # only where it is asked for

        return redis.asyncio.Redis(port=self.port, decode_responses=decode_responses)

    def lines(self) -> Iterator[str]:
        """What the fake could not do, for the report of a test that failed."""
        for name in dict.fromkeys(self.refused):
            yield f"the fake Redis has no {name}; a real server has: pytest --weaver-redis=real"


def follow(server: Server) -> None:
    """Close or open the port as the faults of the moment say."""
    if is_down():
        server.refuse()
    else:
        server.resume()


@contextmanager
def running(backend: Backend) -> Iterator[TestRedis]:
    """Start a server before `backend` and send every client of the process to it; the faults of the test reach it."""
    backend.reset()
    server = Server(backend)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        stack.callback(on_change(lambda: follow(server)))
        follow(server)
        stack.enter_context(redirected(server.port))
        if isinstance(backend, FakeBackend):
            stack.enter_context(joined(backend.server))
        yield TestRedis(server, is_real=not isinstance(backend, FakeBackend))
