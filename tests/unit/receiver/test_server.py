"""The receiver as an exporter meets it, over HTTP: what it takes, and each answer that it gives."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.unit.receiver.reference import as_json
from weaver_ai.receiver.delivery import Delivery
from weaver_ai.receiver.logs import LogRecord
from weaver_ai.receiver.metrics import DataPoint
from weaver_ai.receiver.server import OtlpReceiver
from weaver_ai.spans import Scope

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Box:
    """A receiver, and what came to it."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Delivery]] = []
        self.receiver = OtlpReceiver(self.take, limit=5000)

    def take(self, prefix: str, delivery: Delivery) -> None:
        if prefix == "/nobody":
            raise KeyError(prefix)
        self.came.append((prefix, delivery))

    def post(self, path: str, body: Any, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=5)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent, encode_chunked="transfer_encoding" in headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()


@pytest.fixture
def box() -> Iterator[Box]:
    box = Box()
    with box.receiver:
        yield box


def traces(*names: str, **fields: Any) -> ExportTraceServiceRequest:
    entry = {"trace_id": bytes.fromhex(TRACE), "span_id": bytes.fromhex(SPAN), "start_time_unix_nano": 1, **fields}
    spans = [{**entry, "name": name} for name in names]
    return ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": spans}]}])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_spans(box: Box, content_type: str, zipped: bool) -> None:
    request = traces("a", "b")
    body = request.SerializeToString() if content_type == PROTOBUF else json.dumps(as_json(request)).encode()
    coding = {"content_encoding": "gzip"} if zipped else {}
    status, headers, answer = box.post(
        "/t/1/v1/traces",
        gzip.compress(body) if zipped else body,
        content_type=f"{content_type}; charset=utf-8",
        **coding,
    )
    assert (status, headers["content-type"], answer) == (200, content_type, b"" if content_type == PROTOBUF else b"{}")
    ((prefix, delivery),) = box.came
    assert (prefix, [span.name for span in delivery.spans], delivery.wrong) == ("/t/1", ["a", "b"], [])


def test_the_exporter_of_the_sdk(box: Box) -> None:
    exporter = OTLPSpanExporter(f"{box.receiver.url}/v1/traces", compression=Compression.Gzip)
    provider = TracerProvider(shutdown_on_exit=False)
    spans = [provider.get_tracer("x").start_span(name) for name in ("one", "two")]
    for span in spans:
        span.end()
    assert exporter.export(spans) is SpanExportResult.SUCCESS  # type: ignore[arg-type] # the SDK's spans
    exporter.shutdown()
    ((prefix, delivery),) = box.came
    assert (prefix, [span.name for span in delivery.spans]) == ("", ["one", "two"])


def test_deflate(box: Box) -> None:
    """As Python's SDK sends where OTEL_EXPORTER_OTLP_COMPRESSION says so."""
    body = zlib.compress(traces("a").SerializeToString())
    assert box.post("/v1/traces", body, content_type=PROTOBUF, content_encoding="deflate")[0] == 200
    assert [span.name for span in box.came[0][1].spans] == ["a"]
    status, _, answer = box.post("/v1/traces", body[:-1], content_type=PROTOBUF, content_encoding="deflate")
    assert (status, _message(answer)) == (400, "the body is not deflate: it is cut off")


def test_null_is_what_is_not_set(box: Box) -> None:
    """In protobuf's JSON; serializers write it for a message that is absent."""
    entry = {"traceId": TRACE, "spanId": SPAN, "parentSpanId": None, "name": "a", "status": None, "events": None}
    values = [{"key": "k", "value": None}, {"key": "n", "value": {"stringValue": None}}]
    request = {"resourceSpans": [{"resource": None, "scopeSpans": [{"scope": None, "spans": [entry]}]}]}
    entry["attributes"] = values
    assert box.post("/v1/traces", json.dumps(request), content_type=JSON)[2] == b"{}"
    record = {"body": None, "traceId": "0" * 32, "spanId": "0" * 16, "attributes": values}
    request = {"resourceLogs": [{"resource": None, "scopeLogs": [{"logRecords": [record]}]}]}
    assert box.post("/v1/logs", json.dumps(request), content_type=JSON)[2] == b"{}"
    metrics = [{"name": "m", "sum": None, "gauge": {"dataPoints": [{"asInt": None, "asDouble": 2.5}]}}]
    request = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    assert box.post("/v1/metrics", json.dumps(request), content_type=JSON)[2] == b"{}"
    (span,), (log,), (point,) = box.came[0][1].spans, box.came[1][1].logs, box.came[2][1].points
    assert (span.parent_id, span.status.code, dict(span.attributes)) == (None, "unset", {"k": None, "n": None})
    assert (log.body, log.trace_id, log.span_id) == (None, None, None)
    assert (point.kind, point.value) == ("gauge", 2.5)


def test_an_error_comes_in_the_encoding_of_the_request(box: Box) -> None:
    status, headers, answer = box.post("/v1/spans", b"{}", content_type=JSON)
    assert (status, headers["content-type"]) == (404, JSON)
    assert json.loads(answer)["message"].startswith("there is nothing at /v1/spans")


def test_chunks(box: Box) -> None:
    """As exporters send that compress while they send, as Node's does."""
    body = gzip.compress(traces("a").SerializeToString())
    parts = iter([body[:10], body[10:]])
    status, _, _ = box.post(
        "/v1/traces", parts, content_type=PROTOBUF, content_encoding="gzip", transfer_encoding="chunked"
    )
    assert (status, [span.name for span in box.came[0][1].spans]) == (200, ["a"])


def test_logs(box: Box) -> None:
    record = {
        "observed_time_unix_nano": 7,
        "severity_number": 14,
        "severity_text": "WARNING",
        "body": {"string_value": "late"},
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "event_name": "shop.late",
        "attributes": [{"key": "n", "value": {"int_value": 3}}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"string_value": "shop"}}]}
    scope_logs = {"scope": {"name": "orders", "version": "2"}, "log_records": [record, {}]}
    request = ExportLogsServiceRequest(resource_logs=[{"resource": resource, "scope_logs": [scope_logs]}])
    assert box.post("/v1/logs", request.SerializeToString(), content_type=PROTOBUF)[0] == 200
    log, empty = box.came[0][1].logs
    assert _fields(log) == {
        "body": "late",
        "severity": 14,
        "severity_text": "WARNING",
        "time": 7,
        "event_name": "shop.late",
        "trace_id": TRACE,
        "span_id": SPAN,
        "attributes": {"n": 3},
        "scope": Scope("orders", "2"),
        "resource": {"service.name": "shop"},
    }
    assert _fields(empty) == _fields(LogRecord(scope=log.scope, resource=log.resource))


def _fields(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


NUMBER: dict[str, Any] = {"start_time_unix_nano": 1, "time_unix_nano": 2}


@pytest.mark.parametrize(
    ("metric", "kind", "value", "count", "is_delta"),
    [
        ({"gauge": {"data_points": [{**NUMBER, "as_double": 0.5}]}}, "gauge", 0.5, None, False),
        (
            {"sum": {"data_points": [{**NUMBER, "as_int": -3}], "aggregation_temporality": 1}},
            "up_down_counter",
            -3,
            None,
            True,
        ),
        ({"sum": {"data_points": [{**NUMBER, "as_int": 3}], "is_monotonic": True}}, "counter", 3, None, False),
        ({"histogram": {"data_points": [{**NUMBER, "count": 2, "sum": 0.75}]}}, "histogram", 0.75, 2, False),
        (
            {"exponential_histogram": {"data_points": [{**NUMBER, "count": 2}], "aggregation_temporality": 1}},
            "histogram",
            0.0,
            2,
            True,
        ),
        ({"summary": {"data_points": [{**NUMBER, "count": 1, "sum": 4.0}]}}, "histogram", 4.0, 1, False),
    ],
)
def test_metrics(box: Box, metric: dict[str, Any], kind: str, value: float, count: int | None, is_delta: bool) -> None:
    request = ExportMetricsServiceRequest(
        resource_metrics=[{"scope_metrics": [{"metrics": [{"name": "m", "unit": "s", **metric}]}]}]
    )
    assert box.post("/v1/metrics", request.SerializeToString(), content_type=PROTOBUF)[0] == 200
    (point,) = box.came[0][1].points
    expected = DataPoint("m", kind, value, "s", count, is_delta, 1, 2)  # type: ignore[arg-type]
    assert _fields(point) == _fields(expected)


WRONG_SPANS = traces("good", "bad").resource_spans
WRONG_SPANS[0].scope_spans[0].spans[1].span_id = b"xyz"


@pytest.mark.parametrize(
    ("path", "request_", "response", "expected"),
    [
        (
            "/v1/traces",
            ExportTraceServiceRequest(resource_spans=WRONG_SPANS),
            ExportTraceServiceResponse,
            ExportTraceServiceResponse(
                partial_success={
                    "rejected_spans": 1,
                    "error_message": "spanId has 16 hexadecimal digits, unlike '78797a'",
                }
            ),
        ),
        (
            "/v1/logs",
            ExportLogsServiceRequest(resource_logs=[{"scope_logs": [{"log_records": [{"trace_id": b"x"}] * 200}]}]),
            ExportLogsServiceResponse,
            ExportLogsServiceResponse(
                partial_success={
                    "rejected_log_records": 200,
                    "error_message": "traceId has 32 hexadecimal digits, unlike '78'",
                }
            ),
        ),
    ],
)
def test_what_is_wrong_in_itself_is_left_out_and_said(
    box: Box, path: str, request_: Any, response: Any, expected: Any
) -> None:
    status, _, answer = box.post(path, request_.SerializeToString(), content_type=PROTOBUF)
    assert (status, response.FromString(answer)) == (200, expected)
    status, headers, answer = box.post(path, json.dumps(as_json(request_)), content_type=JSON)
    assert (status, headers["content-type"], Parse(answer, response())) == (200, JSON, expected)


def test_a_point_that_is_wrong(box: Box) -> None:
    points = [{"asInt": "many"}, {"asInt": "3"}]
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": points}}]}]}]})
    answer = Parse(box.post("/v1/metrics", body, content_type=JSON)[2], ExportMetricsServiceResponse())
    assert answer.partial_success.rejected_data_points == 1
    assert answer.partial_success.error_message == "asInt is an integer, not 'many'"
    assert [point.value for point in box.came[0][1].points] == [3]


GOOD = traces("a").SerializeToString()


@pytest.mark.parametrize(
    ("send", "status", "message", "extra"),
    [
        (lambda post: post("/v1/traces", b"\x0a\x05"), 400, "field 1 is cut off at byte 2", {}),
        (
            lambda post: post("/v1/traces", b"{", content_type=JSON),
            400,
            "the body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            {},
        ),
        (lambda post: post("/v1/traces", b"[]", content_type=JSON), 400, "request is an object, not []", {}),
        (
            lambda post: post("/v1/traces", GOOD, content_encoding="gzip"),
            400,
            "the body is not gzip: Error -3 while decompressing data: incorrect header check",
            {},
        ),
        (
            lambda post: post("/v1/traces", gzip.compress(GOOD)[:-5], content_encoding="gzip"),
            400,
            "the body is not gzip: it is cut off",
            {},
        ),
        (lambda post: post("/v1/traces", b"x" * 5001), 413, "the body has more than 5000 bytes", {}),
        (
            lambda post: post("/v1/traces", gzip.compress(b"\0" * 5001), content_encoding="gzip"),
            413,
            "the body has more than 5000 bytes",
            {},
        ),
        (
            lambda post: post("/v1/traces", iter([b"x" * 3000, b"x" * 3000]), transfer_encoding="chunked"),
            413,
            "the body has more than 5000 bytes",
            {},
        ),
        (
            lambda post: post("/v1/traces", GOOD, content_type="text/plain"),
            415,
            "Content-Type 'text/plain' is not known; OTLP is application/x-protobuf and application/json",
            {"accept": "application/x-protobuf, application/json"},
        ),
        (
            lambda post: post("/v1/traces", GOOD, content_encoding="zstd"),
            415,
            "Content-Encoding 'zstd' is not known; gzip, deflate and identity are",
            {"accept-encoding": "gzip, deflate"},
        ),
        (
            lambda post: post("/v1/traces", GOOD, transfer_encoding="gzip"),
            501,
            "Transfer-Encoding 'gzip' is not known",
            {},
        ),
        (
            lambda post: post("/v1/traces", b"", content_length="-1"),
            400,
            "Content-Length is a number, not '-1'",
            {},
        ),
        (
            lambda post: post("/v1/spans", GOOD),
            404,
            "there is nothing at /v1/spans; OTLP goes to /v1/traces, /v1/logs and /v1/metrics",
            {},
        ),
        (lambda post: post("/nobody/v1/traces", GOOD), 404, "nobody receives at /nobody", {}),
        (lambda post: post("/v1/traces", None, "GET"), 405, "GET is not POST", {"allow": "POST"}),
    ],
)
def test_what_can_not_be_taken(
    box: Box,
    send: Callable[[Any], tuple[int, dict[str, str], bytes]],
    status: int,
    message: str,
    extra: dict[str, str],
) -> None:
    def post(path: str, body: Any, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
        return box.post(path, body, method, **{"content_type": PROTOBUF, **headers})

    answered, headers, body = send(post)
    said = json.loads(body)["message"] if headers["content-type"] == JSON else _message(body)
    assert (answered, said) == (status, message)
    assert {name: headers[name] for name in extra} == extra
    assert box.came == []
    assert box.receiver.refusals == [f"{status} {message}"]


def _message(body: bytes) -> str:
    """Of a google.rpc.Status."""
    assert body[0] == 0x12
    at = 2 if body[1] < 0x80 else 3
    return body[at:].decode()


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n\r\n", b"HTTP/1.1 411 "),
        (
            b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 400 ",
        ),
        (
            (
                b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\n{}xx"
            ),
            b"HTTP/1.1 400 ",
        ),
        (
            b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}",
            b"HTTP/1.1 400 ",
        ),
        (
            (
                b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                b"Expect: 100-continue\r\n\r\n{}"
            ),
            b"HTTP/1.1 100 ",
        ),
    ],
)
def test_the_bytes_of_a_request(box: Box, sent: bytes, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", box.receiver.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(line)


def test_values_nested_without_end(box: Box) -> None:
    value: str = '{"arrayValue": {"values": [' * 4000 + "]}}" * 4000
    body = '{"resourceSpans": [{"resource": {"attributes": [{"key": "k", "value": ' + value + "}]}}]}"
    box.receiver._http.limit = 10**6
    status, _, answer = box.post("/v1/traces", body, content_type=JSON)
    assert status == 400
    assert "recursion" in json.loads(answer)["message"] or "nested" in json.loads(answer)["message"]


def test_it_ends_while_a_client_is_in_the_middle_of_a_request() -> None:
    before = set(threading.enumerate())
    box = Box()
    box.receiver.start()
    with socket.create_connection(("127.0.0.1", box.receiver.port), timeout=5) as slow:
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        assert box.post("/v1/traces", GOOD, content_type=PROTOBUF)[0] == 200  # it is served meanwhile
        box.receiver.stop()
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(10)
    assert [thread.name for thread in threading.enumerate() if thread not in before] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", box.receiver.port), timeout=5)


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            (
                "505 this is HTTP/2, as gRPC speaks it; OTLP is taken over HTTP/1.1: "
                "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or take the HTTP exporter in code"
            ),
        ),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
            "400 this is TLS; OTLP is taken over plain HTTP: the endpoint begins with http://",
        ),
        (b"POST /v1/traces HTTP/2.0\r\n\r\n", "505 Invalid HTTP version (2.0)"),
    ],
)
def test_another_protocol_is_named(box: Box, sent: bytes, refusal: str) -> None:
    """Many exporters speak gRPC unless they are told otherwise."""
    with socket.create_connection(("127.0.0.1", box.receiver.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert f"Error code: {refusal[:3]}".encode() in connection.recv(4096)
    assert box.receiver.refusals == [refusal]
