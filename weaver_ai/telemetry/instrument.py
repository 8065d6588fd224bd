"""`instrument_all`: FastAPI, HTTPX, httpx2, Redis, the system and pydantic-ai agents, as far as they are there."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from weaver_ai.telemetry.api import Telemetry
from weaver_ai.telemetry.redis_statements import statement_of
from weaver_ai.telemetry.runtime import current_telemetry

__all__ = ["HEALTH_PATHS", "fastapi_telemetry", "instrument_all", "refresh", "uninstrument_all"]

HEALTH_PATHS: Final = frozenset({"/health", "/ready", "/metrics"})

_SEMCONV: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
_SYSTEM_METRICS: Final[MappingProxyType[str, list[str] | None]] = MappingProxyType(
    {
        "system.cpu.utilization": ["idle", "user", "system", "irq"],
        "system.memory.usage": ["used", "free", "cached"],
        "system.memory.utilization": ["used", "free", "cached"],
        "system.disk.io": ["read", "write"],
        "system.network.io": ["transmit", "receive"],
        "system.network.errors": ["transmit", "receive"],
        "process.cpu.time": ["user", "system"],
        "process.cpu.utilization": ["user", "system"],
        "process.memory.usage": None,
        "process.open_file_descriptor.count": None,
        "process.thread.count": None,
        "cpython.gc.collections": None,
    }
)

_lock = threading.RLock()
_undo: dict[str, Callable[[], object]] = {}
_paused: set[str] = set()
"""What was instrumented when telemetry was switched off."""
_states: dict[str, str | None] = {}


def instrument_all(app: Any = None) -> Telemetry:
    """Instrument what is installed, once per process, with the current telemetry; returns it.

    What was instrumented and what wasn't, and why not, is in `instrumented` and `skipped` of the
    result. Called again it does nothing twice. With telemetry off it does nothing at all.

    Args:
        app: a FastAPI application. It traces itself since 0.165; its health endpoints are taken out
            of that here, unless WEAVER_TELEMETRY_TRACE_HEALTH is on or it has an `exclude` of its own.
    """
    with _lock:
        telemetry = current_telemetry()
        if not telemetry.enabled:
            return telemetry
        for name, library, instrument in _LIBRARIES:
            if name not in _undo:
                _states[name] = _attempt(name, library, instrument, telemetry)
        if app is not None:
            _states["fastapi"] = _instrument_app(app, telemetry)
        _publish(telemetry)
        return telemetry


def refresh(telemetry: Telemetry) -> None:
    """Carry what is instrumented over to a newly configured `telemetry`; undo it while that is off."""
    with _lock:
        if not telemetry.enabled:
            _paused.update(_undo)
            _undo_all()
            return
        for name, library, instrument in _LIBRARIES:
            if name in _paused:
                _states[name] = _attempt(name, library, instrument, telemetry)
        _paused.clear()
        if "pydantic-ai" in _undo:
            _instrument_agents(telemetry)
        if _undo:
            _publish(telemetry)


def uninstrument_all() -> None:
    """Undo `instrument_all`; for tests."""
    with _lock:
        _undo_all()
        _paused.clear()
        _states.clear()
        _publish(current_telemetry())


def _undo_all() -> None:
    for undo in reversed(list(_undo.values())):
        undo()
    _undo.clear()


def fastapi_telemetry(telemetry: Telemetry | None = None) -> Any:
    """The `TelemetryConfig` for `FastAPI(telemetry=...)`: its native instrumentation, with this telemetry's providers.

    FastAPI's own log records are off: they carry the texts of exceptions, and the gateway records
    exceptions and validation errors itself. Spans of single dependencies and of the endpoint are off too.
    """
    chosen = telemetry or current_telemetry()
    if not chosen.enabled:
        return {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    return {
        "tracer_provider": chosen.tracer_provider,
        "meter_provider": chosen.meter_provider,
        "logger_provider": chosen.logger_provider,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": None if chosen.trace_health else _is_health,
    }


def _is_health(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in HEALTH_PATHS


def _publish(telemetry: Telemetry) -> None:
    states = getattr(telemetry, "library_states", None)
    if states is not None:
        states.clear()
        states.update(_states)


def _attempt(
    name: str, library: str, instrument: Callable[[Telemetry], Callable[[], object]], telemetry: Telemetry
) -> str | None:
    if importlib.util.find_spec(library) is None:
        return f"{library} is not installed"
    try:
        with _stable_conventions():
            _undo[name] = instrument(telemetry)
    except ImportError as error:
        return f"{error.name or 'its instrumentation'} is not installed"
    return None


@contextmanager
def _stable_conventions() -> Iterator[None]:
    # The instrumentations read this variable, once, and have no argument for it; unset they emit the old names.
    if os.environ.get(_SEMCONV):
        yield
        return
    os.environ[_SEMCONV] = "http,database"
    try:
        yield
    finally:
        del os.environ[_SEMCONV]


def _instrument_app(app: Any, telemetry: Telemetry) -> str | None:
    native = getattr(app, "_telemetry", None)  # FastAPI has no public way to change it once the app is made
    if not isinstance(native, dict) or "exclude" not in native:
        return f"{type(app).__name__} does not trace itself; FastAPI does since 0.165"
    if native["exclude"] is None and not telemetry.trace_health:
        native["exclude"] = _is_health
    return None


def _instrument_httpx(telemetry: Telemetry) -> Callable[[], object]:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 - optional

    return _instrument_http(telemetry, HTTPXClientInstrumentor(), "httpx")


def _instrument_httpx2(telemetry: Telemetry) -> Callable[[], object]:
    from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor  # noqa: PLC0415 - optional

    return _instrument_http(telemetry, HTTPX2ClientInstrumentor(), "httpx2")


def _instrument_http(telemetry: Telemetry, instrumentor: Any, library: str) -> Callable[[], object]:
    from weaver_ai.telemetry.http_payloads import capture_payloads  # noqa: PLC0415 - needs wrapt

    if instrumentor.is_instrumented_by_opentelemetry:
        return lambda: None  # by the application; not ours to undo
    stop = capture_payloads(library)
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)

    def undo() -> None:
        instrumentor.uninstrument()
        stop()

    return undo


def _instrument_redis(telemetry: Telemetry) -> Callable[[], object]:
    from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415 - optional

    instrumentor = RedisInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        return lambda: None
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider, request_hook=_redis_statement)
    return instrumentor.uninstrument  # type: ignore[no-any-return]


def _redis_statement(span: Any, instance: Any, args: Any, kwargs: Any) -> None:
    del instance, kwargs
    telemetry = current_telemetry()
    if telemetry.capture_payloads and span.is_recording() and isinstance(args, tuple) and args:
        span.set_attribute("db.query.text", telemetry.redactor.text(statement_of(args)))


def _instrument_redis_pool(telemetry: Telemetry) -> Callable[[], object]:
    del telemetry  # redis takes the global meter provider
    from redis.observability import (  # noqa: PLC0415 - optional
        MetricGroup,
        OTelConfig,
        get_observability_instance,
        reset_observability_instance,
    )

    if get_observability_instance().is_enabled():
        return lambda: None  # by the application
    groups = [MetricGroup.CONNECTION_BASIC, MetricGroup.CONNECTION_ADVANCED, MetricGroup.RESILIENCY]
    get_observability_instance().init(OTelConfig(metric_groups=groups))
    return reset_observability_instance


def _instrument_system(telemetry: Telemetry) -> Callable[[], object]:
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor  # noqa: PLC0415 - optional

    instrumentor = SystemMetricsInstrumentor(config=dict(_SYSTEM_METRICS))
    if instrumentor.is_instrumented_by_opentelemetry:
        return lambda: None
    instrumentor.instrument(meter_provider=telemetry.meter_provider)
    return instrumentor.uninstrument  # type: ignore[no-any-return]


def _instrument_agents(telemetry: Telemetry) -> Callable[[], object]:
    from pydantic_ai import Agent  # noqa: PLC0415 - optional, and a second to import
    from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: PLC0415

    Agent.instrument_all(
        InstrumentationSettings(
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
            include_content=telemetry.capture_payloads,
            include_binary_content=False,
            include_model_request_parameters=telemetry.capture_payloads,
            version=6,
        )
    )
    return lambda: Agent.instrument_all(False)


_LIBRARIES: Final[tuple[tuple[str, str, Callable[[Telemetry], Callable[[], object]]], ...]] = (
    ("httpx", "httpx", _instrument_httpx),
    ("httpx2", "httpx2", _instrument_httpx2),
    ("redis", "redis", _instrument_redis),
    ("redis-pool", "redis", _instrument_redis_pool),
    ("system-metrics", "psutil", _instrument_system),
    ("pydantic-ai", "pydantic_ai", _instrument_agents),
)
