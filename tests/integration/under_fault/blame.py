"""What a provider's failure looks like from outside and in the trace; shared by the tests of every route."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.integration.service import sse
from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.conftest import KEY, MODELS, OTHER
from tests.integration.under_fault.matrix import PROVIDERS, Problem, ProviderCase
from weaver_ai.testing import Spans, span
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.faults import Fault, Faults, fault

BOTH = pytest.mark.parametrize("vendor", ["openai", "anthropic"])
CASES = pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.fault(fault.openai).id.removeprefix("openai-")) for case in PROVIDERS]
)
FAILING = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.fault(fault.openai).id.removeprefix("openai-"))
        for case in PROVIDERS
        if case.problem is not None
    ],
)


class Vendors:
    """The providers of a test: `first` fails, `other` answers."""

    def __init__(self, providers: Providers, faults: Faults, vendor: str, case: ProviderCase) -> None:
        self.name = vendor
        self.model = MODELS[vendor].partition(":")[2]
        self.other_model = MODELS[OTHER[vendor]].partition(":")[2]
        self.first = getattr(providers, vendor)
        self.other = getattr(providers, OTHER[vendor])
        self.first.always("From the first.")
        self.other.always("From the other.")
        self.fault: Fault = faults.arm(case.fault(getattr(fault, vendor)))


def assert_told(response: httpx2.Response, problem: Problem, vendors: Vendors) -> None:
    body = assert_problem(response, problem.status, problem.code, retry_after=problem.retry_after)
    assert body["detail"].startswith(f"{vendors.name} ({vendors.model}) "), body
    assert_nothing_inside(response)


def assert_stream_failed(response: httpx2.Response, case: ProviderCase, problem: Problem, vendors: Vendors) -> None:
    """The status line said 200; the last event is the problem, and says what a whole answer would have."""
    assert response.status_code == 200
    events = sse.read(response)
    begun = ["text.delta"] if case.begun else []
    assert [event.name for event in events] == ["run.started", *begun, "error"], response.text
    told: dict[str, Any] = events[-1].data
    retry_after = None if problem.retry_after is None else float(problem.retry_after)
    assert (told["type"], told["status"]) == (f"urn:weaver:problem:{problem.code}", problem.status)
    assert told.get("retry_after") == retry_after
    # In a stream the answer itself may say which model it is from; that is believed of a model that was asked only.
    assert told["detail"].startswith((f"{vendors.name} ({vendors.model}) ", "the provider answered ")), told
    assert told["trace_id"] == response.headers["traceparent"].split("-")[1]
    assert_nothing_inside(response)


def assert_nothing_inside(response: httpx2.Response) -> None:
    """Neither the key nor a word of the provider's, which says of itself that it was injected."""
    assert [each for each in (KEY, "injected", "Traceback", "httpx2", "pydantic_ai") if each in response.text] == []


def assert_blamed(
    spans: Spans, vendors: Vendors, case: ProviderCase, problem: Problem, *, streamed: bool = False
) -> None:
    """Each span from the request down to the connection has the failure, in its own words."""
    server = spans.one(kind="server")
    assert server.attributes["weaver.problem.type"] == problem.code
    assert server.attributes["http.response.status_code"] == (200 if streamed else problem.status)
    by_the_server = ("error", problem.code if streamed else str(problem.status))
    expected = by_the_server if problem.status >= 500 else ("unset", None)
    assert (server.status.code, server.attributes.get("error.type")) == expected
    run = spans.one("invoke_agent *", within=server)
    call = spans.one(f"chat {vendors.model}", within=run)
    assert (run.status.code, run.attributes["error.type"]) == ("error", problem.code)
    assert (call.status.code, call.attributes["error.type"]) == ("error", problem.code)
    http = call.children.one(kind="client")
    expected = ("unset", None) if case.http is None else ("error", case.http)
    assert (http.status.code, http.attributes.get("error.type")) == expected
    assert KEY not in str([(each.attributes, each.events, each.status) for each in spans.all()])


def assert_stepped_in(spans: Spans, vendors: Vendors, problem: Problem, agent: str) -> None:
    run = spans.one(f"invoke_agent {agent}")
    attempt = run.descendants.one(f"model request attempt {vendors.model}", status="error")
    assert attempt.attributes["error.type"] == problem.code
    assert [each.name for each in run.descendants.all(kind="client") if problem.code in each.attributes.values()] == []
    run.expect_fallback(
        primary=span(f"chat {vendors.model}", status="error"),
        fallback=span(f"chat {vendors.other_model}", status="unset"),
    )
    server = spans.one(kind="server")
    assert (server.status.code, server.attributes["http.response.status_code"]) == ("unset", 200)
    assert "weaver.problem.type" not in server.attributes
    assert KEY not in str([(each.attributes, each.events, each.status) for each in spans.all()])
