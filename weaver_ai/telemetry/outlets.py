"""Where each signal goes, by OpenTelemetry's own variables; and what of them weaver doesn't do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from weaver_ai.settings import Settings, variable_of

__all__ = ["SIGNALS", "Outlets", "Signal", "outlets_of"]

Signal: TypeAlias = Literal["traces", "metrics", "logs"]

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
_OTLP: Final = frozenset({"otlp", "otlp_proto_http"})
_CONSOLE: Final = frozenset({"console", "logging"})  # the second is what the specification called it before
_NONE: Final = "none"
_PROMETHEUS: Final = "prometheus"  # of metrics, which weaver always has
_DEFAULT_BASE: Final = "http://localhost:4318"
_PROTOBUF: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Outlets:
    """What the settings ask for.

    Attributes:
        endpoints: the full URL per signal that is sent by OTLP.
        console: the signals that are written to the console whatever the environment is.
        undone: one line for each variable that asks for something else.
    """

    endpoints: Mapping[Signal, str]
    console: frozenset[Signal]
    undone: tuple[str, ...] = ()


def outlets_of(settings: Settings) -> Outlets:
    """By the specification: OTEL_<SIGNAL>_EXPORTER is a list; unset, it is OTLP where an endpoint is set."""
    endpoints: dict[Signal, str] = {}
    console: set[Signal] = set()
    undone: list[str] = []
    protocols: dict[str, tuple[str, list[Signal]]] = {}
    nowhere: dict[str, list[Signal]] = {}
    for signal in SIGNALS:
        asked = _asked(settings, signal)
        undone += _unknown(signal, asked or ())
        if asked is not None and not _CONSOLE.isdisjoint(asked):
            console.add(signal)
        place, url = _url(settings, signal, asked)
        if url is None:
            continue
        variable, protocol = _protocol(settings, signal)
        if protocol != _PROTOBUF:
            protocols.setdefault(variable, (protocol, []))[1].append(signal)
        if protocol == "grpc":
            continue
        if _leads_somewhere(url):
            endpoints[signal] = url
        else:
            nowhere.setdefault(place, []).append(signal)
    undone += (_no_url(variable, signals) for variable, signals in nowhere.items())
    undone += (_instead(variable, *found) for variable, found in protocols.items())
    return Outlets(endpoints, frozenset(console), tuple(undone))


def _asked(settings: Settings, signal: Signal) -> tuple[str, ...] | None:
    listed: str | None = getattr(settings, f"otel_{signal}_exporter")
    if listed is None:
        return None
    return tuple(name for part in listed.split(",") if (name := part.strip().lower()))


def _unknown(signal: Signal, asked: tuple[str, ...]) -> Iterator[str]:
    known = {*_OTLP, *_CONSOLE, _NONE, *([_PROMETHEUS] if signal == "metrics" else [])}
    if unknown := [name for name in asked if name not in known]:
        variable = variable_of(f"otel_{signal}_exporter")
        yield f"{variable} has {', '.join(unknown)}, to which weaver sends no {signal}: it takes otlp, console and none"


def _url(settings: Settings, signal: Signal, asked: tuple[str, ...] | None) -> tuple[str, str | None]:
    """The variable that says where a signal is sent, and what it says; None where it isn't sent."""
    field, common = f"otel_exporter_otlp_{signal}_endpoint", "otel_exporter_otlp_endpoint"
    if asked is not None and _OTLP.isdisjoint(asked):
        return "", None
    own: str | None = getattr(settings, field)
    if own is not None:
        return variable_of(field), own
    base = settings.otel_exporter_otlp_endpoint or (None if asked is None else _DEFAULT_BASE)
    return variable_of(common), f"{base.rstrip('/')}/v1/{signal}" if base else None


def _leads_somewhere(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address that is none
        return False


def _no_url(variable: str, signals: list[Signal]) -> str:
    return (
        f"{variable} is no address that begins with http:// or https://, so weaver sends no {_listed(signals)}: "
        f"set it as in {_DEFAULT_BASE}"
    )


def _protocol(settings: Settings, signal: Signal) -> tuple[str, str]:
    """The variable that says how a signal is sent, and what it says."""
    for field in (f"otel_exporter_otlp_{signal}_protocol", "otel_exporter_otlp_protocol"):
        if (given := getattr(settings, field)) is not None:
            return variable_of(field), given.strip().lower()
    return "", _PROTOBUF


def _instead(variable: str, protocol: str, signals: list[Signal]) -> str:
    if protocol == "grpc":
        return (
            f"{variable} is grpc, and weaver sends OTLP over HTTP only, so it sends no {_listed(signals)}: set it to "
            f"{_PROTOBUF}, and the endpoint to the receiver's port for HTTP (usually 4318, where gRPC has 4317)"
        )
    if protocol == "http/json":
        return f"{variable} is http/json, and weaver sends {_PROTOBUF} to the same address: set it to {_PROTOBUF}"
    return f"{variable} is {protocol!r}, which is no protocol of OTLP: weaver sends {_PROTOBUF}"


def _listed(signals: list[Signal]) -> str:
    *first, last = signals
    return f"{', '.join(first)} or {last}" if first else last
