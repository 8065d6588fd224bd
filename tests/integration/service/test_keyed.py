"""The same agents on a real provider's wire format: OpenAI and Anthropic, seen from both of its ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.provider_answers import Request, Says, Slow, Structured, Usage, status, tool_call
from tests.fixtures.provider_server import ProviderServer, Vendor
from tests.fixtures.traced import Caller, ancestors, children, named
from tests.integration.service import sse

pytest_plugins = ["tests.fixtures.providers"]

REFUND = "Please refund order 7, it arrived broken."


def desk_model(request: Request) -> Any:
    """A model that plays the support desk: it classifies, calls the refund tool once, then answers."""
    if "refund" not in request.tools:
        return Structured({"team": "billing", "urgent": False})
    return "Your 249 EUR are on their way." if request.tool_results else tool_call("refund", order=7)


@pytest.fixture(params=["openai", "anthropic"])
def vendor_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def vendor(vendor_name: str, provider_server: ProviderServer) -> Vendor:
    found: Vendor = getattr(provider_server, vendor_name)
    return found.always(desk_model)


@pytest.fixture
def service(vendor_name: str, vendor: Vendor, request: pytest.FixtureRequest) -> Caller:
    found: Caller = request.getfixturevalue(f"{vendor_name}_service")
    return found


def test_the_workflow_runs_on_the_provider(service: Caller, vendor: Vendor, vendor_name: str) -> None:
    response, trace = service.post("/v1/workflows/support/run", {"input": REFUND})
    body = response.json()
    assert response.status_code == 200, body
    assert (body["text"], body["offline"], body["provider"]) == ("Your 249 EUR are on their way.", False, vendor_name)
    assert [(call["name"], call["arguments"]) for call in body["tool_calls"]] == [("refund", {"order": 7})]
    assert body["usage"]["requests"] == len(vendor.requests) == 3
    assert body["usage"]["input_tokens"] == vendor.usage.input
    assert body["usage"]["output_tokens"] == vendor.usage.output
    assert body["cost"] is not None
    assert 0 < body["cost"] < 1
    workflow = trace.one("workflow support")
    assert [span.name for span in children(trace.spans, workflow)] == [
        "invoke_agent classifier",
        "invoke_agent billing",
    ], trace.shape()
    billing = trace.one("invoke_agent billing")
    steps = [span.name.partition(" ")[0] for span in children(trace.spans, billing)]
    assert steps == ["chat", "execute_tool", "chat"], trace.shape()


def test_each_model_call_is_one_chat_span_around_one_http_span(
    service: Caller, vendor: Vendor, vendor_name: str
) -> None:
    _, trace = service.post("/v1/workflows/support/run", {"input": REFUND})
    chats = named(trace.spans, "chat *")
    assert len(chats) == 3
    for chat in chats:
        inside = children(trace.spans, chat)
        assert [(span.kind, span.attributes["http.request.method"]) for span in inside] == [("client", "POST")], (
            trace.shape()
        )
        assert inside[0].attributes["http.response.status_code"] == 200
        assert inside[0].attributes["server.address"] == "127.0.0.1"
        assert chat.kind in {"client", "internal"}
        assert chat.attributes["gen_ai.operation.name"] == "chat"
        assert chat.attributes["gen_ai.provider.name"] == vendor_name
        assert chat.attributes["gen_ai.request.model"] == vendor.requests[0].model
        assert chat.attributes["gen_ai.response.model"] == vendor.requests[0].model


def test_tokens_are_counted_once(service: Caller, vendor: Vendor) -> None:
    before = token_metrics(service)
    _, trace = service.post("/v1/workflows/support/run", {"input": REFUND})
    chats = named(trace.spans, "chat *")
    with_usage = [span for span in trace.spans if "gen_ai.usage.input_tokens" in span.attributes]
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in chats) == vendor.usage.input
    assert sum(span.attributes["gen_ai.usage.output_tokens"] for span in chats) == vendor.usage.output
    leaves = [span for span in with_usage if not any(span in ancestors(trace.spans, other) for other in with_usage)]
    assert leaves == chats, trace.shape()
    assert {span.scope.name for span in trace.spans} & {"anthropic", "openai"} == set()
    after = token_metrics(service)
    assert after["input"] - before["input"] == vendor.usage.input
    assert after["output"] - before["output"] == vendor.usage.output


def test_only_trace_context_goes_to_the_provider(service: Caller, vendor: Vendor) -> None:
    _, trace = service.post(
        "/v1/agents/billing/run",
        {"input": REFUND},
        headers={"baggage": "customer=c-42", "x-request-id": "order-7", "tracestate": "shop=1"},
    )
    http = [span for span in trace.spans if span.kind == "client" and "http.request.method" in span.attributes]
    assert len(http) == len(vendor.requests) == 2
    for request, span in zip(vendor.requests, http, strict=True):
        assert request.headers["traceparent"] == f"00-{trace.trace_id}-{span.span_id}-01"
        assert "baggage" not in request.headers
        assert "order-7" not in str(request.headers)
        assert "c-42" not in str(request.headers)


def test_an_agent_streams_what_the_provider_streams(service: Caller, vendor: Vendor) -> None:
    vendor.replies(Slow("One two three four five six seven eight.", between=0.05))
    trace = service.trace()
    headers = {"accept": "text/event-stream", "traceparent": trace.traceparent}
    with service.gateway.client.stream(
        "POST", "/v1/agents/billing/run", json={"input": "hi"}, headers=headers
    ) as stream:
        arrivals = [(event, time.monotonic()) for event in sse.events_of(stream.iter_lines())]
    texts = [(event.data["text"], at) for event, at in arrivals if event.name == "text.delta"]
    assert "".join(text for text, _ in texts) == "One two three four five six seven eight."
    assert len(texts) > 2
    assert texts[-1][1] - texts[0][1] > 0.05
    assert vendor.requests[0].stream
    assert arrivals[-1][0].data["usage"]["output_tokens"] == vendor.usage.output
    assert trace.one("chat *").attributes["gen_ai.usage.output_tokens"] == vendor.usage.output


def test_cached_and_reasoning_tokens_are_part_of_the_sums(service: Caller, vendor: Vendor) -> None:
    vendor.replies(Says("Hello.", usage=Usage(input=120, output=30, cached=100)))
    response, trace = service.post("/v1/agents/billing/run", {"input": "hi"})
    assert response.json()["usage"]["input_tokens"] == 120
    chat = trace.one("chat *")
    assert chat.attributes["gen_ai.usage.input_tokens"] == 120
    assert chat.attributes["gen_ai.usage.output_tokens"] == 30


def test_a_failed_call_has_a_duration_and_no_tokens(service: Caller, vendor: Vendor) -> None:
    before = durations(service)
    tokens = token_metrics(service)
    vendor.replies(status(400))
    service.post("/v1/agents/billing/run", {"input": "hi"})
    failed = {labels: count - before.get(labels, 0) for labels, count in durations(service).items()}
    assert sum(count for labels, count in failed.items() if dict(labels).get("error_type")) == 1
    assert token_metrics(service) == tokens


def test_a_task_runs_on_the_provider_in_the_same_trace(service: Caller, vendor: Vendor) -> None:
    from tests.integration.service.test_tasks import finished

    response, trace = service.post("/v1/tasks", {"capability": "support", "input": REFUND})
    task = finished(service, response.headers["location"])
    assert task["usage"]["input_tokens"] == vendor.usage.input
    assert task["cost"] > 0
    trace.wait_for("task support")
    assert len(named(trace.spans, "chat *")) == 3
    assert {request.headers["traceparent"].split("-")[1] for request in vendor.requests} == {trace.trace_id}


def test_the_chat_completions_dialect(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies("By the older API.")
    response, trace = desk.post("/v1/agents/chatty/run", {"input": "hi"})
    assert response.json()["text"] == "By the older API."
    assert provider_server.openai.requests[0].dialect == "openai-chat"
    assert trace.one("chat *").attributes["gen_ai.usage.output_tokens"] == provider_server.openai.usage.output


def test_steps_in_parallel_are_siblings(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.always(lambda request: Slow("Done.", seconds=0.3))
    response, trace = desk.post("/v1/workflows/fan/run", {"input": ["a", "b", "c"]})
    assert response.json()["output"] == ["Done.", "Done.", "Done."]
    workflow = trace.one("workflow fan")
    steps = children(trace.spans, workflow)
    assert [span.name for span in steps] == ["invoke_agent plain"] * 3, trace.shape()
    assert max(span.start for span in steps) < min(span.end or 0 for span in steps)


def test_a_workflow_in_a_workflow_is_one_tree(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(Structured({"team": "plain", "urgent": True}), "Hello.")
    response, trace = desk.post("/v1/workflows/nested/run", {"input": "hi"})
    assert response.json()["output"] == "plain: Hello."
    outer, inner = trace.one("workflow nested"), trace.one("workflow route")
    assert children(trace.spans, outer) == [inner], trace.shape()
    assert [span.name for span in children(trace.spans, inner)] == ["invoke_agent judge", "invoke_agent plain"]


def token_metrics(service: Caller) -> Mapping[str, float]:
    """The sums of `gen_ai.client.token.usage`, by kind of token."""
    sums = {"input": 0.0, "output": 0.0}
    for family in text_string_to_metric_families(service.gateway.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("gen_ai_client_token_usage") and sample.name.endswith("_sum"):
                sums[sample.labels["gen_ai_token_type"]] += sample.value
    return sums


def durations(service: Caller) -> Mapping[tuple[tuple[str, str], ...], float]:
    """The counts of `gen_ai.client.operation.duration` of model calls, by labels."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(service.gateway.get("/metrics").text)
        for sample in family.samples
        if sample.name == "gen_ai_client_operation_duration_seconds_count"
        and sample.labels["gen_ai_operation_name"] == "chat"
    }
