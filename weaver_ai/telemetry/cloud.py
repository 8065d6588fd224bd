"""What keeps Logfire's cloud from getting what the settings seem to want it to get."""

from __future__ import annotations

from typing import Final

from weaver_ai.settings import Settings

__all__ = ["APPLICATION_SENDS", "cloud_warning", "sends_to_cloud"]

APPLICATION_SENDS: Final = (
    "nothing is sent to Logfire by weaver, for the application has set a tracer provider of its own: "
    "have that one send, or unset WEAVER_LOGFIRE_SEND_TO_CLOUD"
)
_KEPT_BACK: Final = (
    "WEAVER_LOGFIRE_TOKEN is set, but nothing is sent to Logfire: set WEAVER_LOGFIRE_SEND_TO_CLOUD=true, "
    "or remove the token"
)
_NOTHING_TO_SEND_WITH: Final = (
    "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but there is no token: set WEAVER_LOGFIRE_TOKEN to a write token "
    "of the project"
)
_MISSING: Final = (
    "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but Logfire isn't installed, so nothing is sent to it: "
    "pip install 'weaver-ai[logfire]'"
)
_DEVELOPMENT: Final = (
    "nothing is sent to Logfire in development: set WEAVER_TELEMETRY_ENVIRONMENT=staging or production to send"
)


def cloud_warning(settings: Settings, *, installed: bool) -> str | None:
    """The line that says so, and what to do; None where all is as it seems, or telemetry was switched off with it."""
    token, switch = settings.logfire_token is not None, settings.logfire_send_to_cloud
    if token != switch:
        return _KEPT_BACK if token else _NOTHING_TO_SEND_WITH
    if not switch or not settings.telemetry_enabled or settings.otel_sdk_disabled:
        return None
    if not installed:
        return _MISSING
    return _DEVELOPMENT if settings.telemetry_environment == "development" else None


def sends_to_cloud(settings: Settings) -> bool:
    """Whether Logfire, where it is installed, is to send."""
    has_both = settings.logfire_token is not None and settings.logfire_send_to_cloud
    return has_both and settings.telemetry_environment != "development"
