"""A model provider fails, with a fallback model and without, whole answers and streams: response and trace."""

from __future__ import annotations

import pytest

from tests.integration.service import sse
from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.blame import (
    BOTH,
    CASES,
    FAILING,
    Vendors,
    assert_blamed,
    assert_stepped_in,
    assert_stream_failed,
    assert_told,
)
from tests.integration.under_fault.conftest import KEY, OTHER, Serve, Served
from tests.integration.under_fault.matrix import ProviderCase
from weaver_ai.testing import Spans, span
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.faults import Faults

pytestmark = pytest.mark.asyncio(loop_scope="module")  # as the gateways, which cost more than a run


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
