"""`OTEL_PROPAGATORS`, looked at before OpenTelemetry does: it raises as it is imported, in the middle of anything."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_ai.errors import SettingsError

__all__ = ["check_propagators"]

_VARIABLE = "OTEL_PROPAGATORS"


def check_propagators(environment: Mapping[str, str]) -> None:
    """Raises `SettingsError` if it names one that isn't there."""
    listed = environment.get(_VARIABLE)
    if not listed:
        return
    from importlib.metadata import entry_points

    known = entry_points(group="opentelemetry_propagator").names
    for name in (part.strip() for part in listed.split(",")):
        if name.lower() == "none":
            return
        if name not in known:
            raise SettingsError(
                f"{_VARIABLE}: there is no propagator {name!r}",
                hint="it is misspelt, or the package that has it isn't installed",
            )
