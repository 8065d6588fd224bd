"""A model provider fails, with a fallback model and without, whole answers and streams: response and trace."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import httpx2
import pytest
import pytest_asyncio

from tests.integration.service import sse
from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.conftest import KEY, MODELS, OTHER, Gateway, Serve, make_settings, serving
from tests.integration.under_fault.matrix import PROVIDERS, Problem, ProviderCase
from weaver_ai.testing import Spans, span
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.faults import Fault, Faults, fault

Served: TypeAlias = Callable[[float], Awaitable[Gateway]]
pytestmark = pytest.mark.asyncio(loop_scope="module")  # as the gateways, which cost more than a run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways() -> AsyncGenerator[Served, None]:
    """The module's gateway with that limit of seconds for a model call."""
    made: dict[float, Gateway] = {}
    async with AsyncExitStack() as stack:

        async def gateway(limit: float) -> Gateway:
            if limit not in made:
                made[limit] = await stack.enter_async_context(serving(make_settings(provider_timeout_seconds=limit)))
            return made[limit]

        yield gateway


@pytest.fixture
def served(gateways: Served) -> Served:
    return gateways


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


@BOTH
@CASES
async def test_without_a_fallback_model(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, vendor, case)
    gateway = await served(case.limit)
    response = await gateway.run(f"{vendor}-alone")
    await spans.eventually.one(kind="server")
    assert vendors.fault.struck == [1]
    assert vendors.other.calls == []
    if case.problem is None:
        assert (response.status_code, response.json()["text"]) == (200, "From the first.")
        spans.none(status="error")
        return
    assert_told(response, case.problem, vendors)
    assert_blamed(spans, vendors, case, case.problem)


@BOTH
@FAILING
async def test_a_stream_without_a_fallback_model(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, vendor, case)
    gateway = await served(case.limit)
    response = await gateway.run(f"{vendor}-alone", stream=True)
    await spans.eventually.one(kind="server")
    assert case.problem is not None
    assert_stream_failed(response, case, case.problem, vendors)
    assert_blamed(spans, vendors, case, case.problem, streamed=True)


@BOTH
@CASES
async def test_with_a_fallback_model(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, vendor, case)
    agent = f"{vendor}-then-{OTHER[vendor]}"
    gateway = await served(case.limit)
    response = await gateway.run(agent)
    await spans.eventually.one(kind="server")
    body = response.json()
    assert response.status_code == 200, body
    if case.problem is None:
        assert (body["text"], body["model"]) == ("From the first.", vendors.model)
        spans.none(status="error")
        return
    assert (body["text"], body["model"]) == ("From the other.", vendors.other_model)
    assert len(vendors.other.calls) == 1
    assert_stepped_in(spans, vendors, case.problem, agent)


@BOTH
@FAILING
async def test_a_stream_with_a_fallback_model(
    served: Served, spans: Spans, providers: Providers, faults: Faults, vendor: str, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, vendor, case)
    agent = f"{vendor}-then-{OTHER[vendor]}"
    gateway = await served(case.limit)
    response = await gateway.run(agent, stream=True)
    await spans.eventually.one(kind="server")
    assert case.problem is not None
    if case.begun:  # what the user has read can't be taken back
        assert_stream_failed(response, case, case.problem, vendors)
        assert vendors.other.calls == []
        assert_blamed(spans, vendors, case, case.problem, streamed=True)
        return
    events = sse.read(response)
    assert events[-1].name == "run.finished", response.text
    assert (events[-1].data["text"], events[-1].data["model"]) == ("From the other.", vendors.other_model)
    assert_stepped_in(spans, vendors, case.problem, agent)


@BOTH
async def test_when_both_fail_the_failure_that_is_likelier_to_pass_is_told(
    serve: Serve, spans: Spans, providers: Providers, faults: Faults, vendor: str
) -> None:
    getattr(faults, vendor).bad_key()
    getattr(faults, OTHER[vendor]).status(429, retry_after=5)
    async with serve() as gateway:
        response = await gateway.run(f"{vendor}-then-{OTHER[vendor]}")
        await spans.eventually.one(kind="server")
    assert_problem(response, 429, "provider-rate-limited", retry_after="5")
    assert [len(getattr(providers, each).calls) for each in (vendor, OTHER[vendor])] == [1, 1]
    assert spans.one("invoke_agent *").attributes["error.type"] == "provider-rate-limited"
    tried = spans.some("model request attempt *")
    assert [each.attributes["error.type"] for each in tried] == ["provider-rejected", "provider-rate-limited"]


@BOTH
async def test_retries_answer_in_the_end_and_show_in_the_trace(
    serve: Serve, spans: Spans, providers: Providers, faults: Faults, vendor: str
) -> None:
    getattr(providers, vendor).always("At last.")
    getattr(faults, vendor).status(500).on_call(1)
    async with serve(provider_max_retries=1) as gateway:
        response = await gateway.run(f"{vendor}-alone")
        await spans.eventually.one(kind="server")
    assert response.json()["text"] == "At last."
    spans.one("chat *", status="unset")
    spans.retries(span(kind="client", within=span("chat *")), attempts=2)
    spans.none("model request attempt *")


@FAILING
async def test_a_task_fails_as_the_run_does(
    served: Served, spans: Spans, providers: Providers, faults: Faults, case: ProviderCase
) -> None:
    vendors = Vendors(providers, faults, "openai", case)
    gateway = await served(case.limit)
    made = await gateway.client.post("/v1/tasks", json={"capability": "openai-alone", "input": "Hi"})
    assert made.status_code == 202
    events = await gateway.client.get(f"{made.headers['location']}/events")  # ends with the task
    assert events.status_code == 200
    task = (await gateway.client.get(made.headers["location"])).json()
    assert case.problem is not None
    assert (task["state"], task["error"]["code"]) == ("failed", case.problem.code)
    assert KEY not in str(task)
    assert vendors.fault.hits == 1
    failed = spans.one("task openai-alone", kind="consumer")
    assert (failed.status.code, failed.attributes["error.type"]) == ("error", case.problem.code)


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
