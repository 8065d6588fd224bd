"""`error.type` stands on every span that failed, as OpenTelemetry's conventions ask."""

from __future__ import annotations

from tests.fixtures.provider_answers import status
from tests.fixtures.provider_server import ProviderServer
from tests.fixtures.traced import Caller

pytest_plugins = ["tests.fixtures.providers"]


def test_the_spans_of_a_failure_have_an_error_type(desk: Caller, provider_server: ProviderServer) -> None:
    provider_server.openai.replies(status(500))
    _, trace = desk.post("/v1/agents/plain/run", {"input": "hi"})
    failed = [span for span in trace.spans if span.status.code == "error"]
    assert [span.name for span in failed if "error.type" not in span.attributes] == []
