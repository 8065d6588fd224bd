"""The GenAI readings and the contract of the design, on the spans that pydantic-ai really emits."""

import pytest
from opentelemetry import trace
from pydantic_ai import Agent, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.usage import RequestUsage

from weaver_ai.testing import contains, span, tree

tracer = trace.get_tracer("desk")


def replies(*parts):
    """A model that gives these answers in turn, each for 10 tokens in and 5 out."""
    answers = iter(parts)

    def answer(messages, info):
        return ModelResponse(parts=[next(answers)], usage=RequestUsage(input_tokens=10, output_tokens=5))

    return FunctionModel(answer, model_name="gpt-5")


@pytest.fixture(params=[True, False], ids=["aggregated names", "plain names"])
def agent(request):
    """Makes an instrumented agent."""

    def make(name, model):
        settings = InstrumentationSettings(use_aggregated_usage_attribute_names=request.param)
        return Agent(model, name=name, capabilities=[Instrumentation(settings=settings)])

    return make


@pytest.fixture
def desk(agent):
    """A classifier, and a billing agent whose tool asks a third agent."""
    classifier = agent("classifier", replies(TextPart("billing")))
    auditor = agent("auditor", replies(TextPart("fine")))
    billing = agent("billing", replies(ToolCallPart("refund", {"order": 7}), TextPart("done")))

    @billing.tool_plain
    async def refund(order: int) -> str:
        return (await auditor.run(f"may I refund order {order}?")).output

    async def run(question: str) -> str:
        with tracer.start_as_current_span("workflow support"):
            await classifier.run(question)
            return (await billing.run(question)).output

    return run


async def test_the_contract(spans, desk):
    assert await desk("refund order 7") == "done"

    run = spans.one("workflow support")
    run.expect(
        tree(
            "workflow support",
            span("invoke_agent classifier", {"gen_ai.operation.name": "invoke_agent"}),
            tree(
                "invoke_agent billing",
                "chat *",
                span("execute_tool refund", {"gen_ai.tool.call.arguments": contains({"order": 7})}),
                "chat *",
            ),
        )
    )
    assert run.tools == ["refund"]
    assert run.cost >= 0
    assert [s.name for s in run.children][0] == "invoke_agent classifier"  # noqa: RUF015 # as the design writes it
    spans.none(status="error")
    spans.in_order("invoke_agent classifier", "invoke_agent billing")


async def test_tokens_are_counted_once_at_every_level(spans, desk):
    await desk("refund order 7")

    def usage_of(name):
        usage = spans.one(name).usage
        return usage.input_tokens, usage.output_tokens

    assert usage_of("invoke_agent classifier") == (10, 5)
    assert usage_of("invoke_agent auditor") == (10, 5)
    assert usage_of("execute_tool refund") == (10, 5)
    assert usage_of("invoke_agent billing") == (30, 15)
    assert usage_of("workflow support") == (40, 20)


async def test_an_agent_that_fails(spans, agent):
    def broken(messages, info):
        raise ConnectionError("provider is away")

    classifier = agent("classifier", FunctionModel(broken, model_name="gpt-5"))
    with pytest.raises(ConnectionError):
        await classifier.run("hello")

    failed = spans.one("chat *", status="error", exception=ConnectionError, exception_message="provider is away")
    assert failed.parent == spans.one("invoke_agent classifier", status="error")
    assert (failed.usage.total_tokens, failed.cost.known, failed.cost) == (0, True, 0)
