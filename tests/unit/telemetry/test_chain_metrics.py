"""`gen_ai.client.operation.duration` of fallback chains: each model that was tried is an operation of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import pytest
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from pydantic_ai import Agent
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import instrument_all, uninstrument_all
from weaver_ai.telemetry.processors import ATTEMPT

Answer: TypeAlias = Callable[[list[ModelMessage], AgentInfo], Any]
HTTP_ERROR = "pydantic_ai.exceptions.ModelHTTPError"
GROUP = "pydantic_ai.exceptions.FallbackExceptionGroup"
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    uninstrument_all()


def down(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise ModelHTTPError(503, "x")


def well(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("hello")])


def refuses(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("never")])


def breaks(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise LookupError("a bug")


def is_refusal(response: ModelResponse) -> bool:
    return response.text == "never"


def chain(*answers: Answer) -> FallbackModel:
    first, *others = [FunctionModel(answer, model_name=f"{answer.__name__}-1") for answer in answers]
    return FallbackModel(first, *others, fallback_on=[ModelHTTPError, is_refusal])


def counted(captured: Captured) -> dict[tuple[str, str], float]:
    """Operations by model and `error.type`; each is by the function models' provider."""
    counts = {}
    for line in captured.metrics():
        if line.startswith("gen_ai_client_operation_duration_seconds_count{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            assert labels["gen_ai_operation_name"] == "chat"
            assert set(re.sub("fallback:", "", labels["gen_ai_provider_name"]).split(",")) == {"function"}
            counts[labels["gen_ai_request_model"], labels.get("error_type", "")] = float(line.rpartition(" ")[2])
    return counts


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((well, down), {("well-1", ""): 1}),
        ((down, well), {("down-1", HTTP_ERROR): 1, ("well-1", ""): 1}),
        ((refuses, well), {("refuses-1", "rejected"): 1, ("well-1", ""): 1}),
        ((down, down), {("down-1", HTTP_ERROR): 2}),
        ((down, breaks, well), {("down-1", HTTP_ERROR): 1, ("breaks-1", "LookupError"): 1}),
    ],
)
@pytest.mark.parametrize("sample_rate", [1.0, 0.0])
async def test_each_model_counts_for_itself(
    capture: Callable[..., Captured], answers: tuple[Answer, ...], expected: dict[Any, int], sample_rate: float
) -> None:
    captured = capture(telemetry_sample_rate=sample_rate)
    instrument_all()
    try:
        await Agent(chain(*answers)).run("hi")
    except (ExceptionGroup, LookupError):
        assert well not in answers or breaks in answers
    assert counted(captured) == expected


def named(name: str, answer: Answer) -> FunctionModel:
    return FunctionModel(answer, model_name=name)


def nested(*models: Model) -> FallbackModel:
    first, *others = models
    return FallbackModel(first, *others, fallback_on=(ModelHTTPError, FallbackExceptionGroup))


A, B, C = named("down-a", down), named("down-b", down), named("well-c", well)
BUG = named("bug-b", breaks)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nested(A, nested(C, B)), {("down-a", HTTP_ERROR): 1, ("well-c", ""): 1}),
        (nested(A, nested(B, C)), {("down-a", HTTP_ERROR): 1, ("well-c", ""): 1}),  # nothing tells of the second
        (nested(nested(A, B), C), {("fallback:down-a,down-b", GROUP): 1, ("well-c", ""): 1}),
        (nested(nested(A, B), BUG, C), {("fallback:down-a,down-b", GROUP): 1, ("bug-b", "LookupError"): 1}),
        (nested(A, nested(B, A)), {("down-a", HTTP_ERROR): 1, ("fallback:down-b,down-a", GROUP): 1}),
        (nested(A, nested(BUG, C)), {("down-a", HTTP_ERROR): 1, ("fallback:bug-b,well-c", "LookupError"): 1}),
    ],
)
async def test_a_chain_inside_of_a_chain_never_counts_for_another_model(
    captured: Captured, model: FallbackModel, expected: dict[Any, int]
) -> None:
    instrument_all()
    try:
        await Agent(model).run("hi")
    except (ExceptionGroup, LookupError):
        assert ("well-c", "") not in expected
    assert counted(captured) == expected


async def test_a_streamed_answer_counts_likewise(captured: Captured) -> None:
    instrument_all()

    async def silent(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise ModelHTTPError(503, "x")
        yield ""

    async def speaks(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "hello"

    models = [FunctionModel(stream_function=each, model_name=each.__name__) for each in (silent, speaks)]
    async with Agent(FallbackModel(*models)).run_stream("hi") as answer:
        assert await answer.get_output() == "hello"
    assert counted(captured) == {("silent", HTTP_ERROR): 1, ("speaks", ""): 1}


async def test_a_chain_that_is_cancelled_counts_for_the_model_that_it_was_at(captured: Captured) -> None:
    instrument_all()
    asked = asyncio.Event()

    async def hangs(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    run = asyncio.create_task(Agent(chain(down, hangs, well)).run("hi"))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    ((failed, kind), (current, _)) = counted(captured)
    assert (failed, kind, current) == ("down-1", HTTP_ERROR, "hangs-1")


def test_the_answering_models_time_begins_where_the_last_failed_ones_ends(captured: Captured) -> None:
    tracer = captured.telemetry.tracer_provider.get_tracer("pydantic-ai")
    names = {"gen_ai.provider.name": "fallback:a,b", "gen_ai.request.model": "fallback:m,n"}
    whole = tracer.start_span(
        "chat", kind=SpanKind.CLIENT, attributes={"gen_ai.operation.name": "chat", **names}, start_time=0
    )
    failed = tracer.start_span(
        "model request attempt m",
        context=set_span_in_context(whole),
        attributes={ATTEMPT: 0, "gen_ai.provider.name": "a", "gen_ai.request.model": "m", "error.type": "e"},
        start_time=0,
    )
    failed.set_status(StatusCode.ERROR)
    failed.end(3 * SECOND)
    whole.set_attributes({"gen_ai.provider.name": "b", "gen_ai.request.model": "n"})
    whole.end(5 * SECOND)
    sums = [line for line in captured.metrics() if line.startswith("gen_ai_client_operation_duration_seconds_sum{")]
    assert [(re.findall(r'request_model="(.)"', line), line.rpartition(" ")[2]) for line in sums] == [
        (["m"], "3.0"),
        (["n"], "2.0"),
    ]
