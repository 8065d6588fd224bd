"""One suite over the backends: Logfire and plain OpenTelemetry leave the same telemetry, and off leaves none.

Each scenario runs in a process of its own and exports over real OTLP/HTTP to a receiver of the test.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.telemetry_process import BACKENDS, run_scenario
from tests.contract.telemetry_recording import Recorded
from tests.contract.telemetry_scenarios import FAKE_KEY, FAKE_TOKEN
from tests.fixtures.otlp_receiver import tree
from weaver_ai.telemetry import names
from weaver_ai.testing.fakes.redis.real import RedisServer

pytest_plugins = ["tests.fixtures.redis_server"]

VOLATILE = {"gen_ai.agent.call.id", "gen_ai.conversation.id", "gen_ai.tool.call.id", "server.port", "network.peer.port"}


@functools.cache
def recorded(scenario: str, backend: str, where: Path) -> Recorded:
    return Recorded(scenario, backend, where)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each scenario runs once per backend, however many tests look at it."""
    where = tmp_path_factory.mktemp("scenarios")
    return lambda scenario, backend: recorded(scenario, backend, where)


def comparable(attributes: Any) -> dict[str, Any]:
    """Attributes without what Logfire adds for its own use, and without identifiers."""
    return {
        key: "<volatile>" if key in VOLATILE or "127.0.0.1:" in str(value) else value
        for key, value in attributes.items()
        if not key.startswith("logfire.")
    }


def whole(recording: Recorded) -> list[Any]:
    """Every span as plain data, its parent by name, in the order of their starts."""
    names = {span.span_id: span.name for span in recording.spans}
    return [
        {
            "name": span.name,
            "parent": names.get(span.parent_id or "", span.parent_id),
            "kind": span.kind,
            "status": (span.status.code, span.status.description),
            "attributes": comparable(span.attributes),
            "events": [(event.name, comparable(event.attributes)) for event in span.events],
            "links": [(link.trace_id, link.span_id) for link in span.links],
            "scope": (span.scope.name, span.scope.version),
        }
        for span in recording.spans
    ]


@pytest.mark.parametrize("scenario", ["spans", "service", "outgoing", "secrets", "mode", "reconfigure"])
def test_both_backends_export_the_same_spans(record: Any, scenario: str) -> None:
    logfire, plain = (record(scenario, backend) for backend in BACKENDS)
    assert whole(logfire) == whole(plain)
    assert whole(plain) != []


@pytest.mark.parametrize("scenario", ["spans", "secrets", "mode"])
def test_both_backends_export_the_same_logs(record: Any, scenario: str) -> None:
    def logs(recording: Recorded) -> list[Any]:
        names = {span.span_id: span.name for span in recording.spans}
        data = [(log.body, log.severity, names.get(log.span_id), log.attributes) for log in recording.logs]
        return sorted(data, key=lambda log: (log[0], str(log[3])))

    assert logs(record(scenario, "logfire")) == logs(record(scenario, "opentelemetry")) != []


@pytest.mark.parametrize("scenario", ["service", "outgoing"])
def test_both_backends_export_the_same_metrics(record: Any, scenario: str) -> None:
    assert record(scenario, "logfire").metrics == record(scenario, "opentelemetry").metrics


@pytest.mark.parametrize("backend", BACKENDS)
class TestSpans:
    def test_the_whole_span(self, record: Any, backend: str) -> None:
        recording = record("spans", backend)
        assert recording.outcome.result["health"].pop("latency") > 0
        assert recording.outcome.result == {
            "name": backend,
            "flushed": True,
            "health": {"state": "ok", "queued": 0, "exported": 12, "dropped": 0, "failed": 0, "reason": None},
        }
        span = recording.one("agent.execute")
        assert comparable(span.attributes) == {"task_id": "t-1", "capability": "classify", "later": True}
        assert (span.kind, span.status.code, span.parent_id) == ("consumer", "unset", None)
        inner = recording.one("inner")
        assert comparable(inner.attributes) == {"weaver.task.id": "t-1", "nested": '{"a":[1,2]}', "f": 1.5}
        assert (inner.parent_id, inner.trace_id) == (span.span_id, span.trace_id)

    def test_an_exception_is_recorded_with_its_code(self, record: Any, backend: str) -> None:
        span = record("spans", backend).one("fails")
        assert (span.status.code, span.status.description) == ("error", "QueueFull: the queue is full")
        assert comparable(span.attributes) == {"error.type": "queue-full"}
        (event,) = span.events
        stack = event.attributes["exception.stacktrace"]
        assert dict(event.attributes) == {
            "exception.type": "weaver_ai.errors.QueueFull",
            "exception.message": "the queue is full",
            "exception.stacktrace": stack,
        }
        assert str(stack).endswith("weaver_ai.errors.QueueFull: the queue is full\n")

    def test_a_cancelled_block_is_no_exception(self, record: Any, backend: str) -> None:
        span = record("spans", backend).one("cancelled")
        assert (span.status.code, span.status.description, span.events) == ("error", "cancelled", ())

    def test_asynchronous_children_have_their_parent(self, record: Any, backend: str) -> None:
        recording = record("spans", backend)
        parent = recording.one("async.parent")
        children = [span for span in recording.spans if span.name == "async.child"]
        assert [child.parent_id for child in children] == [parent.span_id] * 2

    def test_logs_carry_the_ids_of_trace_request_and_task(self, record: Any, backend: str) -> None:
        recording = record("spans", backend)
        log = recording.log("careful")
        inner = recording.one("inner")
        assert (log.severity, log.trace_id, log.span_id) == ("WARN", inner.trace_id, inner.span_id)
        assert log.attributes == {"weaver.request.id": "r-1", "weaver.task.id": "t-1", "n": 3}

    def test_standard_logging_carries_them_too(self, record: Any, backend: str) -> None:
        recording = record("spans", backend)
        log = recording.log("from the standard library")
        assert log.span_id == recording.one("agent.execute").span_id
        assert log.attributes["weaver.request.id"] == "r-1"
        assert log.attributes["own"] == 1
        assert log.attributes["code.function.name"] == "spans"

    def test_a_logged_exception_has_type_message_and_stack(self, record: Any, backend: str) -> None:
        attributes = record("spans", backend).log("it failed").attributes
        assert attributes["error.type"] == "queue-full"
        assert attributes["exception.message"] == "the queue is full"
        assert "Traceback (most recent call last)" in attributes["exception.stacktrace"]


@pytest.mark.parametrize("backend", BACKENDS)
class TestService:
    def test_one_request_is_one_trace_without_doubled_spans(self, record: Any, backend: str) -> None:
        recording = record("service", backend)
        assert tree([span for span in recording.spans if span.trace_id == "ab" * 16]) == "\n".join(
            [
                "POST /ask/{topic} [server, unset]",
                "  workflow support [internal, unset]",
                "    invoke_agent helper [internal, unset]",
                "      chat test [client, unset]",
                "      execute_tool look_up [internal, unset]",
                "      chat test [client, unset]",
            ]
        )
        assert [span.name for span in recording.spans if span.kind == "server"] == [
            "POST /ask/{topic}",
            "POST /ask/{topic}",
            "GET /broken",
        ]
        assert recording.outcome.result["statuses"] == [200, 422, 500, 200]

    def test_inbound_baggage_is_neither_copied_nor_kept(self, record: Any, backend: str) -> None:
        assert not any(b"mallory" in body for body in record("service", backend).bodies)

    def test_durations_of_genai_operations_are_measured(self, record: Any, backend: str) -> None:
        recording = record("service", backend)
        assert {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} <= set(recording.metrics)
        counts = [
            line
            for line in recording.outcome.result["prometheus"].splitlines()
            if line.startswith("gen_ai_client_operation_duration_seconds_count")
        ]
        assert len(counts) == 1
        assert counts[0].endswith(" 2.0")
        assert 'gen_ai_operation_name="chat"' in counts[0]
        assert 'gen_ai_provider_name="test"' in counts[0]

    def test_cost_that_nobody_knows_is_absent(self, record: Any, backend: str) -> None:
        recording = record("service", backend)
        assert "operation.cost" not in recording.metrics
        assert all("operation.cost" not in span.attributes for span in recording.spans)

    def test_metrics_of_system_and_server(self, record: Any, backend: str) -> None:
        assert {
            "http.server.request.duration",
            "process.cpu.time",
            "process.memory.usage",
            "system.cpu.utilization",
            "system.disk.io",
            "system.memory.usage",
            "system.network.io",
        } <= set(record("service", backend).metrics)

    def test_what_was_instrumented_is_listed(self, record: Any, backend: str) -> None:
        result = record("service", backend).outcome.result
        assert set(result["instrumented"]) == {
            "fastapi",
            "httpx",
            "httpx2",
            "pydantic-ai",
            "redis",
            "redis-pool",
            "system-metrics",
        }
        assert result["skipped"] == {}


@pytest.mark.parametrize("backend", BACKENDS)
class TestOutgoingCalls:
    def test_each_call_is_a_client_span_by_the_stable_conventions(self, record: Any, backend: str) -> None:
        recording = record("outgoing", backend)
        calls = [span for span in recording.spans if span.kind == "client"]
        assert [(call.name, call.attributes["http.request.method"]) for call in calls] == [
            (name, name) for name in ("POST", "POST", "POST", "GET", "POST", "GET")
        ]
        assert {call.parent_id for call in calls} == {recording.one("caller").span_id}

    def test_credentials_in_urls_are_gone(self, record: Any, backend: str) -> None:
        recording = record("outgoing", backend)
        url = str(recording.spans[1].attributes["url.full"])
        assert url.startswith("http://REDACTED:[redacted]@127.0.0.1:")
        assert url.endswith("/v1/chat?api_key=[redacted]&q=1")
        secret = "pass" + "word1"
        assert not any(secret.encode() in body or FAKE_KEY.encode() in body for body in recording.bodies)

    def test_bodies_are_recorded_redacted_and_bounded(self, record: Any, backend: str) -> None:
        spans = record("outgoing", backend).spans
        assert spans[1].attributes["weaver.http.request.body"] == '{"prompt":"hi","api_key":"[redacted]"}'
        assert spans[1].attributes["weaver.http.response.body"] == '{"echo":true}'
        big = str(spans[3].attributes["weaver.http.response.body"])
        assert len(big) == 16_385
        assert big.startswith('{"big": "xxx')
        assert "weaver.http.response.body" not in spans[4].attributes  # a stream of events

    def test_no_bodies_without_the_switch(self, backend: str, tmp_path: Path) -> None:
        recording = Recorded("outgoing", backend, tmp_path, WEAVER_TELEMETRY_CAPTURE_PAYLOADS="false")
        assert len(recording.spans) == 7
        assert not any("body" in key for span in recording.spans for key in span.attributes)

    def test_only_trace_context_goes_out(self, record: Any, backend: str) -> None:
        sent = record("outgoing", backend).outcome.result["headers"]
        assert all("traceparent" in headers and "baggage" not in headers for headers in sent)


@pytest.mark.parametrize("backend", BACKENDS)
class TestAnApplicationThatTracesItself:
    def test_nothing_is_doubled_and_health_is_left_out(self, record: Any, backend: str) -> None:
        recording = record("own_app", backend)
        assert [span.name for span in recording.spans if span.kind == "server"] == ["POST /orders", "GET /broken"]

    def test_validation_errors_stand_on_the_span_without_the_input(self, record: Any, backend: str) -> None:
        recording = record("own_app", backend)
        holding = [span for span in recording.spans if "weaver.validation.errors" in span.attributes]
        assert len(holding) == 1
        assert holding[0].trace_id == recording.one("POST /orders").trace_id
        assert holding[0].attributes["weaver.validation.error_count"] == 1
        (told,) = json.loads(str(holding[0].attributes["weaver.validation.errors"]))
        assert (told["loc"], told["type"]) == (["body", "count"], "int_parsing")
        assert not any(b"my diagnosis" in body for body in recording.bodies)

    def test_its_exceptions_are_logged_redacted(self, record: Any, backend: str) -> None:
        recording = record("own_app", backend)
        log = recording.log("Unhandled exception in FastAPI request")
        assert log.attributes["exception.message"] == "it broke with [redacted]"
        assert log.trace_id == recording.one("GET /broken").trace_id
        assert not any(FAKE_KEY.encode() in body for body in recording.bodies)


def test_logfire_that_the_application_configured_is_joined(tmp_path: Path) -> None:
    result = run_scenario("host_logfire", "logfire", tmp_path).result
    assert (result["name"], result["kept"]) == ("logfire", True)
    assert result["spans"] == [
        ["inside", "uses [redacted]"],  # while it is open
        ["of the application", None],
        ["inside", "uses [redacted]"],
    ]


def test_a_pipeline_that_is_overtaken_while_it_retires_does_not_undo_its_successor(record: Any) -> None:
    assert [span.name for span in record("overtaken", "logfire").spans] == ["after"]


@pytest.mark.parametrize("scenario", ["spans", "service", "outgoing", "own_app"])
def test_weavers_own_attributes_are_those_of_the_registry(record: Any, scenario: str) -> None:
    registry = Path(names.__file__).parent / "registry" / "weaver.yaml"
    groups = yaml.safe_load(registry.read_text(encoding="utf-8"))["groups"]
    types = {"string": str, "int": int, "double": float, "boolean": bool}
    known = {
        item["id"]: types[item["type"]]
        for group in groups
        if group["type"] == "attribute_group"
        for item in group["attributes"]
    }
    recording = record(scenario, "opentelemetry")
    emitted = [one.attributes for one in (*recording.spans, *recording.logs)]
    seen = {
        key: type(value) for attributes in emitted for key, value in attributes.items() if key.startswith("weaver.")
    }
    assert seen.items() <= known.items()
    assert seen != {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_redis_has_spans_and_metrics_of_its_connection_pool(
    backend: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    recording = Recorded("redis", backend, tmp_path, REDIS_PORT=str(redis_server.port))
    caller = recording.one("caller")
    assert [(span.name, span.parent_id) for span in recording.spans[1:]] == [
        ("SET", caller.span_id),
        ("GET", caller.span_id),
    ]
    assert {"db.client.connection.count", "db.client.connection.create_time"} <= set(recording.metrics)
    assert "# TYPE db_client_connection_count gauge" in recording.outcome.result


@pytest.mark.parametrize("backend", BACKENDS)
class TestSecrets:
    def test_nothing_that_left_holds_one(self, record: Any, backend: str) -> None:
        recording = record("secrets", backend)
        for secret in (FAKE_KEY, FAKE_TOKEN, "hunter2", "s3cr3t-value", "a-key-of-no-known-shape", "correct-horse"):
            assert not any(secret.encode() in body for body in recording.bodies), secret
            assert secret not in recording.outcome.console

    def test_a_processor_that_was_added_last_sees_none_either(self, record: Any, backend: str) -> None:
        (span,) = record("secrets", backend).outcome.result["added_last"]
        assert span["name"] == "call with [redacted]"
        assert comparable(span["attributes"]) == {
            "authorization": "[redacted]",
            "nested": '{"password":"[redacted]"}',
            "text": "uses [redacted] and [redacted]",
            "gen_ai.usage.input_tokens": 42,
            "gen_ai.request.max_tokens": 100,
            "error.type": "ConnectionError",
        }
        message = "https://me:[redacted]@example.org refused [redacted]"
        assert span["status"] == {"status_code": "ERROR", "description": f"ConnectionError: {message}"}
        assert span["events"][0]["name"] == "sent [redacted]"
        assert span["events"][0]["attributes"] == {"header": "Authorization: [redacted]"}
        assert span["events"][1]["attributes"]["exception.message"] == message
        cause = "LookupError: GET https://[redacted]@example.org, Cookie: [redacted]"
        assert cause in span["events"][1]["attributes"]["exception.stacktrace"]


@pytest.mark.parametrize("backend", BACKENDS)
class TestReconfiguring:
    def test_what_stays_and_what_changes(self, record: Any, backend: str) -> None:
        recording = record("reconfigure", backend)
        assert recording.outcome.result == {
            "same": True,
            "off": "off",
            "recorded while off": False,
            "objects": 4,
            "providers stay": True,
            "service": "first",
            "instrumented": True,
        }
        assert [span.name for span in recording.spans] == ["one", "open", "two", "three"]
        assert recording.one("open").attributes["api_key"] == "[redacted]"
        assert {span.resource["service.name"] for span in recording.spans} == {"first"}
        stays = "service.name stays 'first': the resource is the first configure_telemetry's"
        assert recording.outcome.console.count(stays) == 1

    def test_one_that_retires_late_does_not_undo_its_successor(self, record: Any, backend: str) -> None:
        assert [span.name for span in record("late", backend).spans] == ["after"]

    def test_a_provider_of_the_application_is_joined(self, record: Any, backend: str) -> None:
        recording = record("host", backend)
        result = dict(recording.outcome.result)
        logs = result.pop("logs")
        assert [log["body"] for log in logs] == ["uses [redacted]", "the key is [redacted]"]
        assert not any(secret in json.dumps(logs) for secret in ("hunter2", FAKE_KEY))
        assert result == {
            "name": "opentelemetry",
            "kept": True,
            "spans": [["inside", {"api_key": "[redacted]"}], ["again", {"api_key": "[redacted]"}]],
        }
        assert recording.spans == []  # where its spans go is the application's choice

    def test_an_inbound_trace_can_be_linked(self, record: Any, backend: str) -> None:
        recording = record("linked", backend)
        server = recording.one("GET /")
        assert server.parent_id is None
        assert server.trace_id != "ab" * 16
        assert [(link.trace_id, link.span_id) for link in server.links] == [("ab" * 16, "cd" * 8)]
        task = recording.one("task later")
        assert (task.trace_id, task.parent_id, task.links) == (server.trace_id, server.span_id, ())
