"""One trace from whoever submits a task to its last attempt, over every engine there is."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import Work, finished, wanted
from tests.fixtures.recorded_spans import Recorded
from weaver_ai.errors import (
    Draining,
)

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


async def test_a_task_is_in_the_trace_of_whoever_submitted_it(make_engine: EngineFactory, recorded: Recorded) -> None:
    async with make_engine(Work()) as engine:
        with recorded.tracer.start_as_current_span("POST /v1/tasks"):
            task = await engine.submit(wanted("hello", priority="low"))
        done = await finished(engine, task.id)
    assert recorded.tree() == "POST /v1/tasks\n  submit work\n    task work"
    assert recorded.trace_ids == {done.trace_id}
    common = {
        "messaging.system": engine.name,
        "messaging.destination.name": "work",
        "messaging.message.id": task.id,
        "weaver.task.id": task.id,
        "weaver.task.capability": "work",
        "weaver.task.priority": "low",
    }
    assert recorded.one("submit work").kind.name == "PRODUCER"
    assert recorded.attributes("submit work") == {
        **common, "messaging.operation.type": "send", "messaging.operation.name": "submit",
    }  # fmt: skip
    assert recorded.one("task work").kind.name == "CONSUMER"
    assert recorded.attributes("task work") == {
        **common, "messaging.operation.type": "process", "messaging.operation.name": "task", "weaver.task.attempt": 1,
        "weaver.task.state": "succeeded",
    }  # fmt: skip


async def test_a_task_joins_the_trace_that_its_request_names(make_engine: EngineFactory, recorded: Recorded) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("hello", traceparent=f"00-{trace_id}-b7ad6b7169203331-01"))
        done = await finished(engine, task.id)
    assert recorded.tree() == "submit work\n  task work"
    assert (recorded.trace_ids, done.trace_id) == ({trace_id}, trace_id)


async def test_what_vendors_add_to_a_trace_s_context_goes_with_the_task(
    make_engine: EngineFactory, recorded: Recorded
) -> None:
    traceparent, tracestate = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=t61rcWkgMzE,other=1"
    async with make_engine(Work()) as engine:
        named = await engine.submit(wanted("named", traceparent=traceparent, tracestate=tracestate))
        carrier = {"traceparent": traceparent, "tracestate": tracestate}
        token = attach(TraceContextTextMapPropagator().extract(carrier, Context()))
        try:
            current = await engine.submit(wanted("current"))
        finally:
            detach(token)
        records = [await finished(engine, task.id) for task in (named, current)]
    assert [record.tracestate for record in records] == [tracestate] * 2
    spans = [span for span in recorded.all if span.name in {"submit work", "task work"}]
    assert [span.context.trace_state.to_header() for span in spans] == [tracestate] * 4


@pytest.mark.parametrize(
    ("what", "line", "state"),
    [
        ("raise WeaverError", "task work !provider-rate-limited", "failed"),
        ("raise ValueError", "task work !ValueError", "failed"),
        ("fail", "task work !run-failed", "failed"),
    ],
)
async def test_a_failed_attempt_shows_on_its_span(
    make_engine: EngineFactory, recorded: Recorded, what: str, line: str, state: str
) -> None:
    async with make_engine(Work()) as engine:
        await finished(engine, (await engine.submit(wanted(what))).id)
    assert recorded.tree() == f"submit work\n  {line}"
    assert recorded.one("task work").status.status_code.name == "ERROR"
    assert recorded.attributes("task work")["weaver.task.state"] == state


async def test_a_cancelled_attempt_shows_on_its_span(make_engine: EngineFactory, recorded: Recorded) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        await engine.cancel(task.id)
    assert recorded.tree() == "submit work\n  task work !cancelled"
    assert recorded.attributes("task work")["weaver.task.state"] == "cancelled"


async def test_a_refusal_shows_on_the_span_that_asked(make_engine: EngineFactory, recorded: Recorded) -> None:
    async with make_engine(Work()) as engine:
        await engine.drain(0)
        with pytest.raises(Draining):
            await engine.submit(wanted("late"))
    assert recorded.tree() == "submit work !draining"
