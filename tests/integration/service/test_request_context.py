"""Request ids, trace context and baggage: what comes in, what goes back, what goes on."""

from __future__ import annotations

import re

import pytest

from tests.fixtures.traced import Caller

pytest_plugins = ["tests.fixtures.providers"]

HEX_32 = re.compile(r"[0-9a-f]{32}")


def test_a_request_id_is_returned(keyless: Caller) -> None:
    response, _ = keyless.get("/v1/agents", headers={"x-request-id": "order-7:retry.2"})
    assert response.headers["x-request-id"] == "order-7:retry.2"


def test_a_request_without_an_id_gets_one(keyless: Caller) -> None:
    first, second = (keyless.get("/v1/agents")[0].headers["x-request-id"] for _ in range(2))
    assert first != second
    assert len(first) >= 16


@pytest.mark.parametrize("forged", ["a" * 500, "id with spaces", 'x"\tlevel=error', ""])
def test_an_id_that_could_forge_a_log_line_is_replaced(keyless: Caller, forged: str) -> None:
    response, _ = keyless.get("/v1/agents", headers={"x-request-id": forged})
    assert re.fullmatch(r"[A-Za-z0-9-]{16,64}", response.headers["x-request-id"])


def test_an_inbound_trace_is_continued_and_returned(keyless: Caller) -> None:
    response, trace = keyless.get("/v1/agents")
    version, trace_id, span_id, flags = response.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", trace.trace_id, "01")
    assert span_id == trace.server().span_id


def test_a_request_without_a_trace_begins_one(keyless: Caller) -> None:
    response = keyless.gateway.get("/v1/agents")
    trace_id = response.headers["traceparent"].split("-")[1]
    spans = keyless.receiver.whole_trace(trace_id)
    assert [span.parent_id for span in spans if span.kind == "server"] == [None]


@pytest.mark.parametrize("garbage", ["00-zz-1-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "hello"])
def test_a_broken_traceparent_begins_a_new_trace(keyless: Caller, garbage: str) -> None:
    response = keyless.gateway.get("/v1/agents", headers={"traceparent": garbage})
    assert response.status_code == 200
    trace_id = response.headers["traceparent"].split("-")[1]
    assert HEX_32.fullmatch(trace_id)
    assert set(trace_id) != {"0"}


def test_an_unsampled_inbound_trace_stays_unsampled(keyless: Caller) -> None:
    trace = keyless.trace()
    response = keyless.gateway.get("/v1/agents", headers={"traceparent": trace.traceparent[:-2] + "00"})
    assert response.headers["traceparent"].split("-")[1] == trace.trace_id
    keyless.get("/v1/agents")[1].server()
    assert trace.so_far == []


def test_a_problem_carries_both_ids(keyless: Caller) -> None:
    response, trace = keyless.post("/v1/agents/nobody/run", {"input": "hi"}, headers={"x-request-id": "order-7"})
    body = response.json()
    assert (body["request_id"], body["trace_id"]) == ("order-7", trace.trace_id)
    assert response.headers["x-request-id"] == "order-7"


def test_the_server_span_carries_the_request_id(keyless: Caller) -> None:
    _, trace = keyless.get("/v1/agents", headers={"x-request-id": "order-7"})
    assert trace.server().attributes["weaver.request.id"] == "order-7"


def test_a_request_has_one_server_span_by_the_conventions(keyless: Caller) -> None:
    _, trace = keyless.get("/v1/agents")
    server = trace.server()
    assert server.name == "GET /v1/agents"
    assert [span.kind for span in trace.spans].count("server") == 1
    assert server.attributes["http.request.method"] == "GET"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["url.path"] == "/v1/agents"
    assert server.resource["service.name"] == "weaver-ai"
    assert server.status.code == "unset"


def test_inbound_baggage_is_on_no_span(keyless: Caller) -> None:
    _, trace = keyless.get("/v1/agents", headers={"baggage": "customer=c-42,plan=gold"})
    seen = " ".join(f"{key}={value}" for span in trace.spans for key, value in span.attributes.items())
    assert "c-42" not in seen
    assert "gold" not in seen
