"""What each export is sent with, by OpenTelemetry's own variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.util.re import parse_env_headers

from weaver_ai.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from weaver_ai.telemetry.outlets import Signal

__all__ = ["otlp_headers"]


def otlp_headers(settings: Settings, signal: Signal) -> dict[str, str] | None:
    """OTEL_EXPORTER_OTLP_<SIGNAL>_HEADERS, else OTEL_EXPORTER_OTLP_HEADERS; None if neither is set."""
    own: SecretStr | None = getattr(settings, f"otel_exporter_otlp_{signal}_headers")
    given = own or settings.otel_exporter_otlp_headers
    return None if given is None else dict(parse_env_headers(given.get_secret_value(), liberal=True))
