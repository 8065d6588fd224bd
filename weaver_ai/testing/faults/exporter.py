"""Faults of the telemetry backend, as exporters over HTTP meet them, and of the queue before them.

Struck in urllib3, which OTLP's exporters, Logfire's and everybody's on requests go through; a call is an export
if its path is one of OTLP's.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from weaver_ai.testing.faults.plan import Fault, current
from weaver_ai.testing.patches import Patches

__all__ = ["patch_exporters"]

_PATHS: Final = ("/v1/traces", "/v1/metrics", "/v1/logs")
_LOOK: Final = 0.02  # seconds between two looks whether the fault has been lifted
_BODY: Final = b'{"code": 7, "message": "rejected (injected by weaver\'s faults)"}'


def patch_exporters(patches: Patches) -> None:
    """Put a look at the faults before each export, and before the SDK's queues."""
    if find_spec("urllib3") is not None:
        import urllib3.connectionpool  # noqa: PLC0415 # only with the fixture

        patches.replace(urllib3.connectionpool.HTTPConnectionPool, "urlopen", _before_urlopen)
    if find_spec("opentelemetry.sdk") is not None:
        from opentelemetry.sdk._shared_internal import BatchProcessor  # noqa: PLC0415 # only with the fixture

        patches.replace(BatchProcessor, "_queue", lambda _: _Queue())
        patches.replace(BatchProcessor, "_max_queue_size", lambda _: _Size())
        patches.replace(BatchProcessor, "emit", _before_emit)


def _before_urlopen(original: Callable[..., Any]) -> Callable[..., Any]:
    def urlopen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        plan = current()
        if plan is None or not url.partition("?")[0].endswith(_PATHS):
            return original(pool, method, url, *args, **kwargs)
        struck = plan.strike(lambda spec: spec.edge == "exporter" and spec.kind != "full")
        if struck is None:
            return original(pool, method, url, *args, **kwargs)
        if struck.spec.kind == "hangs" and _lifted_in_time(struck, _seconds(kwargs.get("timeout"))):
            return original(pool, method, url, *args, **kwargs)
        return _fail(struck, pool, url, kwargs.get("timeout"))

    return urlopen


def _fail(fault: Fault, pool: Any, url: str, timeout: Any) -> Any:
    from urllib3 import HTTPResponse  # noqa: PLC0415 # only where a fault struck
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError  # noqa: PLC0415

    match fault.spec.kind:
        case "down":
            raise MaxRetryError(pool, url, NewConnectionError(pool, "[Errno 111] Connection refused"))
        case "hangs":
            raise ReadTimeoutError(pool, url, f"Read timed out. (read timeout={_seconds(timeout)})")
        case _:
            headers = {"content-type": "application/json", "content-length": str(len(_BODY))}
            return HTTPResponse(
                io.BytesIO(_BODY), headers=headers, status=fault.spec.status, reason="Rejected", preload_content=False
            )


def _lifted_in_time(fault: Fault, limit: float | None) -> bool:
    """Wait until the fault is lifted (True), or until the client's own limit."""
    pause = threading.Event()  # not the clock, which the test may have stopped
    looks = None if limit is None else round(limit / _LOOK)
    while fault.active and looks != 0:
        pause.wait(_LOOK)
        looks = None if looks is None else looks - 1
    return not fault.active


def _seconds(timeout: Any) -> float | None:
    """A timeout as urllib3 takes it: a number, nothing, or its `Timeout`."""
    if timeout is None or isinstance(timeout, int | float):
        return timeout
    read = getattr(timeout, "read_timeout", None)
    return read if isinstance(read, int | float) else None


def _is_full() -> bool:
    plan = current()
    return plan is not None and any(fault.spec.kind == "full" for fault in plan.on("exporter"))


def _before_emit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Count what the full queue drops; the dropping is the SDK's own, and so are its warning and its metric."""

    def emit(processor: Any, data: Any) -> None:
        plan = current()
        if plan is not None:
            plan.strike(lambda spec: spec.edge == "exporter" and spec.kind == "full")
        original(processor, data)

    return emit


class _Kept:
    """An attribute that reads as something else while the queue is to look full; the instance keeps its own."""

    _name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, processor: Any, value: Any) -> None:
        vars(processor)[self._name] = value

    def _own(self, processor: Any) -> Any:
        try:
            return vars(processor)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


class _NoRoom(deque[Any]):
    """Takes nothing; a queue that counts what it loses counts that."""

    def __init__(self, own: Any) -> None:
        super().__init__(maxlen=0)
        self._lose = getattr(own, "lose", None)

    def appendleft(self, item: Any, /) -> None:
        del item
        if self._lose is not None:
            self._lose()


class _Queue(_Kept):
    _name = "_queue"

    def __get__(self, processor: Any, owner: type | None = None) -> Any:
        if processor is None:
            return self
        own = self._own(processor)
        return _NoRoom(own) if _is_full() else own


class _Size(_Kept):
    _name = "_max_queue_size"

    def __get__(self, processor: Any, owner: type | None = None) -> Any:
        if processor is None:
            return self
        return 0 if _is_full() else self._own(processor)
