"""The application that `weaver_ai.gateway:app` is: from the environment, for any ASGI server."""

from __future__ import annotations

from fastapi import FastAPI

from weaver_ai.agents import load_target
from weaver_ai.errors import WeaverError
from weaver_ai.gateway.application import create_app
from weaver_ai.settings import export_provider_variables, load_settings

__all__ = ["app_from_settings"]


def app_from_settings() -> FastAPI:
    """Read the settings, load what they name, and put the gateway together.

    Raises:
        SystemExit: with one readable line: this runs inside a server's start, which would print a traceback.
    """
    try:
        settings = load_settings()
        export_provider_variables()
        return create_app(settings, load_target(settings.target))
    except WeaverError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise SystemExit(f"weaver: {error.message}{hint}") from error
