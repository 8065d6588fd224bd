"""A client that leaves takes its run with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from weaver_ai.gateway.lifecycle import Lifecycle, shutting_down
from weaver_ai.gateway.problems import CLIENT_CLOSED_REQUEST

__all__ = ["client_left", "read_body", "run_while_connected", "wait_for_disconnect"]

T = TypeVar("T")


def client_left() -> HTTPException:
    """What becomes of a request whose client has gone; only logs, spans and metrics see it."""
    return HTTPException(CLIENT_CLOSED_REQUEST, "the client closed the connection before the answer was there")


async def read_body(request: Request) -> None:
    """Read a body that nobody asked for, so that only the disconnect comes after it.

    Raises:
        HTTPException: 413, when it is too large; 499, when the client left.
    """
    try:
        await request.body()
    except ClientDisconnect as error:
        raise client_left() from error


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone. The request's body must have been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def run_while_connected(request: Request, lifecycle: Lifecycle, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; cancel it, and wait until it has heeded that, when the client leaves or a drain's grace is over.

    Raises:
        HTTPException: 499, when the client left; nobody reads that response.
        Draining: when the process shut down before the work was done.
    """
    run = asyncio.create_task(work)
    watcher = asyncio.create_task(wait_for_disconnect(request.receive))
    try:
        with lifecycle.track(run):
            await asyncio.wait({run, watcher}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        has_left = watcher.done() and not run.done()
        for task in (run, watcher):
            task.cancel()
        await asyncio.wait({run, watcher})
    if has_left:
        raise client_left()
    if run.cancelled():
        raise shutting_down()
    return run.result()
