"""The HTTP gateway.

`weaver_ai.gateway:app` is an application from the settings, made when it is first asked for; importing this
package makes nothing. `create_app` makes one from objects. The module that holds it isn't called `app`: importing it
would put the module where `weaver_ai.gateway:app` is looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

    from weaver_ai.gateway.application import create_app

    app: FastAPI

__all__ = ["app", "create_app"]


def __getattr__(name: str) -> Any:
    if name == "app":
        from weaver_ai.gateway.from_settings import app_from_settings  # noqa: PLC0415 # no work at import

        globals()["app"] = app_from_settings()
        return globals()["app"]
    if name == "create_app":
        from weaver_ai.gateway.application import create_app  # noqa: PLC0415 # FastAPI is imported when it is needed

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
