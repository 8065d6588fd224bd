"""The line for a variable that OpenTelemetry or Logfire can't use: they read some as they are imported, and raise."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["wrong_variable"]

_READERS = ("opentelemetry", "logfire")
_PREFIXES = ("OTEL_", "LOGFIRE_")


def wrong_variable(error: ValueError, environment: Mapping[str, str]) -> str | None:
    """What `error` says, with the name of the variable; None if it comes from elsewhere."""
    if _origin(error) not in _READERS:
        return None
    said = " ".join(str(error).split())
    variables = {name: value for name, value in environment.items() if name.startswith(_PREFIXES) and value}
    if any(name in said for name in variables):
        return said
    quoted = [name for name, value in variables.items() if any(part in said for part in value.split(","))]
    named = max(quoted, key=lambda name: len(variables[name]), default="a variable of OpenTelemetry (OTEL_*)")
    return f"{named}: {said}"


def _origin(error: BaseException) -> str:
    """The package whose code raised it."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
