"""Who emits: the resource of the process, the same for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import uuid4

from weaver_ai.settings import Settings
from weaver_ai.telemetry.runtime import weaver_version

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["resource_attributes", "resource_of", "service_name"]


def service_name(settings: Settings) -> str:
    """The service's name: WEAVER_TELEMETRY_SERVICE_NAME, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, `weaver-ai`."""
    if "telemetry_service_name" in settings.model_fields_set:
        return settings.telemetry_service_name
    listed = _listed(settings.otel_resource_attributes)
    return settings.otel_service_name or listed.get("service.name") or settings.telemetry_service_name


def resource_attributes(settings: Settings) -> dict[str, str]:
    """What weaver knows of the process; OTEL_RESOURCE_ATTRIBUTES goes before all but the service's name."""
    return {
        "service.version": weaver_version(),
        "service.instance.id": str(uuid4()),
        "deployment.environment.name": settings.telemetry_environment,
        **_listed(settings.otel_resource_attributes),
        "service.name": service_name(settings),
    }


def resource_of(attributes: dict[str, str]) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the SDK, only when it is needed

    return Resource.create(dict(attributes))


def _listed(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    pairs = (unquote(part).partition("=") for part in text.split(","))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals and key.strip()}
