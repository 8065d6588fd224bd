"""What the code under test emits, and which test it belongs to; loaded when the first test records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver_ai.testing.capture.capture import Capture

__all__ = ["Capture"]


def __getattr__(name: str) -> Any:
    if name == "Capture":
        from weaver_ai.testing.capture.capture import Capture  # noqa: PLC0415 # with it comes the SDK

        return Capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
