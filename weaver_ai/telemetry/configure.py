"""The one place where a backend is selected."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from types import ModuleType
from typing import ClassVar, Final

from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator

from weaver_ai.settings import Settings
from weaver_ai.telemetry.api import Telemetry
from weaver_ai.telemetry.cloud import APPLICATION_SENDS, cloud_warning, sends_to_cloud
from weaver_ai.telemetry.instrument import refresh
from weaver_ai.telemetry.known_secrets import known_secrets
from weaver_ai.telemetry.log_bridge import install_bridge, remove_bridge
from weaver_ai.telemetry.off_backend import OffTelemetry
from weaver_ai.telemetry.propagation import InboundPropagator, propagator_of
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.resource import resource_attributes, resource_of, service_name
from weaver_ai.telemetry.runtime import current_telemetry, make_current
from weaver_ai.telemetry.spare_threads import SpareThreads

__all__ = ["LOGFIRE_MISSING", "configure_telemetry"]

LOGFIRE_MISSING: Final = "Logfire not available - install with: pip install 'weaver-ai[logfire]'"

_log = logging.getLogger("weaver_ai.telemetry")
_lock = threading.RLock()


class _State:
    """What the last call configured, and what the first one fixed for the process."""

    settings: Settings | None = None
    resource: dict[str, str] | None = None
    user_propagator: TextMapPropagator | None = None
    at_exit: SpareThreads | None = None
    said: ClassVar[set[str]] = set()


def configure_telemetry(settings: Settings) -> Telemetry:
    """Make the telemetry of this process what `settings` say, and return it.

    Logfire if it can be imported, else plain OpenTelemetry; off if disabled. An application that has
    set a tracer provider itself keeps it: weaver joins it with redaction and metrics.

    With the same settings again the same object is returned and nothing happens. With other settings
    the old pipeline is flushed (5 seconds at most) and replaced: exporters, console, sampling, payload
    switch and secrets are the new ones, for tracers obtained before as well. The resource (service
    name, environment) and the backend stay what the first call made them.
    """
    with _lock:
        previous = current_telemetry()
        if _State.settings == settings and not getattr(previous, "retired", False):
            return previous
        remove_bridge()  # what is said from here on goes to the application's handlers, or to standard error
        if previous.enabled:
            previous.shutdown()
        telemetry = _selected(settings)
        make_current(telemetry)
        _State.settings = settings
        _set_propagator(settings)
        install_bridge(telemetry)
        refresh(telemetry)
        return telemetry


def _selected(settings: Settings) -> Telemetry:
    redactor = Redactor(known_secrets(settings))
    enabled = settings.telemetry_enabled and not settings.otel_sdk_disabled
    if (line := cloud_warning(settings, installed=not enabled or _logfire_backend() is not None)) is not None:
        _log.warning(line)
    if not enabled:
        return OffTelemetry(service_name(settings), settings.telemetry_environment, redactor)
    return _enabled(settings, redactor)


def _enabled(settings: Settings, redactor: Redactor) -> Telemetry:
    # The SDK is imported here: with telemetry off nothing of it is needed.
    from weaver_ai.telemetry import otel_backend  # noqa: PLC0415
    from weaver_ai.telemetry.metrics import MeasuringSampler, observe_export  # noqa: PLC0415
    from weaver_ai.telemetry.pipeline import build_pipeline  # noqa: PLC0415
    from weaver_ai.telemetry.sampling import sampler_of  # noqa: PLC0415
    from weaver_ai.telemetry.sdk_telemetry import SdkTelemetry  # noqa: PLC0415

    resource = _fixed_resource(settings)
    sampler = MeasuringSampler(sampler_of(settings))
    logfire_backend = _logfire_backend()
    ours = logfire_backend is not None and logfire_backend.is_installed()
    if not ours and otel_backend.host_has_provider():
        if _cloud_token(settings) is not None:
            _log.warning(APPLICATION_SENDS)
        pipeline = build_pipeline(settings, redactor, host_owned=True)
        providers = otel_backend.join_host(pipeline, resource_of(resource))
        name = "logfire" if type(providers.tracer).__module__.startswith("logfire.") else "opentelemetry"
    elif logfire_backend is not None:
        pipeline = build_pipeline(settings, redactor)
        providers = logfire_backend.install(pipeline, resource, sampler, token=_cloud_token(settings))
        name = "logfire"
    else:
        _say_once(LOGFIRE_MISSING)
        pipeline = build_pipeline(settings, redactor)
        providers = otel_backend.install(pipeline, resource_of(resource), sampler)
        name = "opentelemetry"
    telemetry = SdkTelemetry(
        "logfire" if name == "logfire" else "opentelemetry",
        settings,
        resource["service.name"],
        pipeline,
        providers,
        spare_threads=_at_exit(),
    )
    observe_export(providers.meter, lambda: current_telemetry().exporter_health())
    return telemetry


def _logfire_backend() -> ModuleType | None:
    try:
        from weaver_ai.telemetry import logfire_backend  # noqa: PLC0415 - optional; the only file that imports Logfire
    except ImportError:
        return None
    return logfire_backend


def _cloud_token(settings: Settings) -> str | None:
    if settings.logfire_token is None or not sends_to_cloud(settings):
        return None
    return settings.logfire_token.get_secret_value()


def _say_once(line: str) -> None:
    if line not in _State.said:
        _State.said.add(line)
        _log.warning(line)


def _fixed_resource(settings: Settings) -> dict[str, str]:
    wanted = resource_attributes(settings)
    wanted = Redactor(known_secrets(settings)).attributes(wanted) or wanted
    fixed = _State.resource
    if fixed is None:
        _State.resource = wanted
        return wanted
    for key in ("service.name", "deployment.environment.name"):
        if fixed[key] != wanted[key]:
            _log.warning("%s stays %r: the resource is the first configure_telemetry's", key, fixed[key])
    return fixed


def _set_propagator(settings: Settings) -> None:
    if _State.user_propagator is None:
        _State.user_propagator = propagate.get_global_textmap()
    inner = propagator_of(settings.otel_propagators, _State.user_propagator)
    propagate.set_global_textmap(InboundPropagator(inner, settings.telemetry_inbound_trace))


def _at_exit() -> SpareThreads:
    """End what is current at the end of the process, in the threads that are returned."""
    if _State.at_exit is None:
        _State.at_exit = SpareThreads()
        atexit.register(_end)
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=_State.at_exit.hold_again)
    return _State.at_exit


def _end() -> None:
    end = getattr(current_telemetry(), "end", None)
    if end is not None:
        end()
