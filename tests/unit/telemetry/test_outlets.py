from typing import Any

import pytest

from weaver_ai.settings import load_settings
from weaver_ai.telemetry.outlets import Outlets, outlets_of

BASE = "http://collector:4318"
ALL = {"traces": f"{BASE}/v1/traces", "metrics": f"{BASE}/v1/metrics", "logs": f"{BASE}/v1/logs"}
LOCAL = "http://localhost:4318/v1/traces"
GRPC = (
    "{} is grpc, and weaver sends OTLP over HTTP only, so it sends no {}: set it to http/protobuf, "
    "and the endpoint to the receiver's port for HTTP (usually 4318, where gRPC has 4317)"
)

NO_URL = (
    "{} is no address that begins with http:// or https://, so weaver sends no {}: set it as in http://localhost:4318"
)
JSON = (
    "OTEL_EXPORTER_OTLP_PROTOCOL is http/json, and weaver sends http/protobuf to the same address: "
    "set it to http/protobuf"
)


def outlets(**given: Any) -> Outlets:
    return outlets_of(load_settings(env_file=None, **{f"otel_{name}": value for name, value in given.items()}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"exporter_otlp_endpoint": BASE + "/"}, ALL),
        ({"exporter_otlp_traces_endpoint": "http://t/x"}, {"traces": "http://t/x"}),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_logs_endpoint": "http://l/x"},
            {**ALL, "logs": "http://l/x"},
        ),
        (
            {"exporter_otlp_endpoint": BASE, "metrics_exporter": "none", "logs_exporter": "console"},
            {"traces": ALL["traces"]},
        ),
        ({"exporter_otlp_endpoint": BASE, "traces_exporter": " OTLP, console"}, ALL),
        ({"exporter_otlp_endpoint": BASE, "metrics_exporter": "otlp,prometheus"}, ALL),
        ({"traces_exporter": "otlp"}, {"traces": LOCAL}),
        ({"exporter_otlp_endpoint": BASE, "exporter_otlp_protocol": "http/protobuf"}, ALL),
    ],
)
def test_endpoints_by_the_specification(given: dict[str, Any], expected: dict[str, str]) -> None:
    found = outlets(**given)
    assert (found.endpoints, found.undone) == (expected, ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, set()),
        ({"traces_exporter": "otlp,console"}, {"traces"}),
        ({"traces_exporter": "console", "metrics_exporter": "console", "logs_exporter": "logging"}, set(ALL)),
        ({"traces_exporter": "none", "logs_exporter": "otlp"}, set()),
    ],
)
def test_what_is_written_to_the_console(given: dict[str, Any], expected: set[str]) -> None:
    assert outlets(**given).console == expected


@pytest.mark.parametrize(
    ("given", "endpoints", "undone"),
    [
        (
            {"exporter_otlp_endpoint": BASE, "traces_exporter": "a,b"},
            {"metrics": ALL["metrics"], "logs": ALL["logs"]},
            ["OTEL_TRACES_EXPORTER has a, b, to which weaver sends no traces: it takes otlp, console and none"],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "logs_exporter": "prometheus,otlp"},
            ALL,
            ["OTEL_LOGS_EXPORTER has prometheus, to which weaver sends no logs: it takes otlp, console and none"],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_protocol": "grpc"},
            {},
            [GRPC.format("OTEL_EXPORTER_OTLP_PROTOCOL", "traces, metrics or logs")],
        ),
        (
            {
                "exporter_otlp_endpoint": BASE,
                "exporter_otlp_protocol": "grpc",
                "exporter_otlp_logs_protocol": "http/protobuf",
            },
            {"logs": ALL["logs"]},
            [GRPC.format("OTEL_EXPORTER_OTLP_PROTOCOL", "traces or metrics")],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_traces_protocol": "GRPC"},
            {"metrics": ALL["metrics"], "logs": ALL["logs"]},
            [GRPC.format("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "traces")],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_protocol": "http/json"},
            ALL,
            [JSON],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_metrics_protocol": "udp"},
            ALL,
            ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL is 'udp', which is no protocol of OTLP: weaver sends http/protobuf"],
        ),
        ({"exporter_otlp_protocol": "grpc"}, {}, []),  # nothing is sent anyway
        (
            {"exporter_otlp_endpoint": "collector:4318"},
            {},
            [NO_URL.format("OTEL_EXPORTER_OTLP_ENDPOINT", "traces, metrics or logs")],
        ),
        (
            {"exporter_otlp_endpoint": BASE, "exporter_otlp_traces_endpoint": "http://collector:port/v1/traces"},
            {"metrics": ALL["metrics"], "logs": ALL["logs"]},
            [NO_URL.format("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces")],
        ),
        (
            {"exporter_otlp_endpoint": "collector:4317", "exporter_otlp_protocol": "grpc"},
            {},
            [GRPC.format("OTEL_EXPORTER_OTLP_PROTOCOL", "traces, metrics or logs")],
        ),
    ],
)
def test_what_is_not_done_is_said(given: dict[str, Any], endpoints: dict[str, str], undone: list[str]) -> None:
    found = outlets(**given)
    assert (found.endpoints, list(found.undone)) == (endpoints, undone)
