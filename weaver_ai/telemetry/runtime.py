"""The telemetry that is current in this process, and the tracer and logger of weaver's own code."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry._logs import Logger
from opentelemetry.trace import Tracer

from weaver_ai.telemetry.api import Telemetry
from weaver_ai.telemetry.off_backend import OffTelemetry

__all__ = ["SCOPE", "Active", "active", "current_telemetry", "make_current", "weaver_version"]

SCOPE: Final = "weaver_ai"


@dataclass(frozen=True, slots=True)
class Active:
    """The current telemetry with what is looked up once for it, not once per span."""

    telemetry: Telemetry
    tracer: Tracer
    logger: Logger
    enabled: bool
    redact_at_start: bool


def weaver_version() -> str:
    try:
        return version("weaver-ai")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"


def _activate(telemetry: Telemetry) -> Active:
    number = weaver_version()
    return Active(
        telemetry=telemetry,
        tracer=telemetry.tracer_provider.get_tracer(SCOPE, number),
        logger=telemetry.logger_provider.get_logger(SCOPE, number),
        enabled=telemetry.enabled,
        redact_at_start=telemetry.host_owned,
    )


_active: Active | None = None


def active() -> Active:
    global _active  # noqa: PLW0603 - one telemetry per process, as OpenTelemetry has one global provider
    if _active is None:
        _active = _activate(OffTelemetry())
    return _active


def make_current(telemetry: Telemetry) -> None:
    global _active  # noqa: PLW0603 - see above
    _active = _activate(telemetry)


def current_telemetry() -> Telemetry:
    """The telemetry that was configured last; an "off" one before the first `configure_telemetry`."""
    return active().telemetry
