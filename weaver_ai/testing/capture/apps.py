"""ASGI applications that a test calls in memory, and in which nobody makes spans."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from weaver_ai.testing.capture.living import living

__all__ = ["bypassed_apps"]

_CALLERS = (
    ("an httpx.ASGITransport", "httpx", "ASGITransport"),
    ("an httpx2.ASGITransport", "httpx2", "ASGITransport"),
    ("a TestClient", "starlette.testclient", "TestClient"),
)
_INSTRUMENTS = re.compile("telemetry|otel|logfire|tracing|tracer", re.IGNORECASE)


def bypassed_apps() -> Iterator[str]:
    """A reason for each: what calls it, and that nothing in it instruments it."""
    told: set[str] = set()
    for what, module, name in _CALLERS:
        caller: object = getattr(sys.modules.get(module), name, None)
        transports: Iterator[object] = living(caller) if isinstance(caller, type) else iter(())
        for transport in transports:
            app = getattr(transport, "app", None)
            if app is not None and not _is_instrumented(app):
                told.add(f"{what} calls {_name(app)} in memory, and nothing in that application instruments it")
    yield from sorted(told)


def _is_instrumented(app: object) -> bool:
    """Whether something in it makes spans, or may; also where no request can have come to it yet."""
    seen: set[int] = set()
    while app is not None and id(app) not in seen:
        seen.add(id(app))
        kind = app if callable(app) and hasattr(app, "__qualname__") else type(app)
        if _INSTRUMENTS.search(f"{kind.__module__}.{getattr(kind, '__qualname__', '')}"):
            return True
        if getattr(app, "_is_instrumented_by_opentelemetry", False):
            return True
        if hasattr(app, "middleware_stack"):  # Starlette builds it for the first request
            if app.middleware_stack is None:
                return True
            app = app.middleware_stack
        else:
            app = getattr(app, "app", None)
    return False


def _name(app: object) -> str:
    kind = type(app)
    named = getattr(app, "__qualname__", "")
    return f"{getattr(app, '__module__', '')}.{named}" if named else f"a {kind.__module__}.{kind.__qualname__}"
