from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent

from weaver_ai.agents import Run, Weaver
from weaver_ai.agents.registry import did_you_mean
from weaver_ai.errors import (
    AgentNotFound,
    CapabilityNotFound,
    InvalidInput,
    RegistrationError,
    WeaverError,
    WorkflowNotFound,
)


class Order(BaseModel):
    number: int


def desk() -> Weaver:
    weaver = Weaver("desk")
    weaver.agent(Agent(name="billing", description="Refunds."), capability="money")
    weaver.agent(Agent(name="technical"), description="Repairs.")

    @weaver.workflow("support")
    async def support(run: Run, text: str) -> str:
        """Answers customers.

        At length.
        """
        return text

    return weaver


def test_what_is_registered_can_be_listed_in_order() -> None:
    weaver = desk()
    assert list(weaver.agents) == ["billing", "technical"]
    assert list(weaver.workflows) == ["support"]
    assert {capability: entry.name for capability, entry in weaver.capabilities.items()} == {
        "money": "billing",
        "technical": "technical",
        "support": "support",
    }
    assert [entry.description for entry in weaver.capabilities.values()] == [
        "Refunds.",
        "Repairs.",
        "Answers customers.",
    ]
    assert repr(weaver) == "Weaver('desk', agents=['billing', 'technical'], workflows=['support'])"


def test_an_agent_comes_back_as_it_is_and_a_workflow_too() -> None:
    weaver = Weaver("desk")
    agent = Agent(name="billing")

    async def flow(run: Run, text: str) -> str:
        return text

    assert weaver.agent(agent) is agent
    assert weaver.workflow("flow")(flow) is flow


def test_lookups_find_what_is_there() -> None:
    weaver = desk()
    assert weaver.find_agent("billing") is weaver.find("billing") is weaver.find_capability("money")
    assert weaver.find_workflow("support") is weaver.find("support") is weaver.find_capability("support")
    assert weaver.capability_of(weaver.agents["billing"].agent) is weaver.agents["billing"]


def test_a_hint_doesn_t_list_hundreds() -> None:
    names = {f"agent-{number}": None for number in range(100)}
    shown = did_you_mean("xyz", names)
    assert shown == f"there is {', '.join(map(repr, list(names)[:12]))}, and 88 more"


LOST: dict[str, tuple[Any, type[WeaverError], str, str | None]] = {
    "agent": (lambda w: w.find_agent("biling"), AgentNotFound, "no agent 'biling'", "did you mean 'billing'?"),
    "agent, far off": (
        lambda w: w.find_agent("xyz"),
        AgentNotFound,
        "no agent 'xyz'",
        "there is 'billing', 'technical'",
    ),
    "a workflow's name": (
        lambda w: w.find_agent("support"),
        AgentNotFound,
        "no agent 'support'",
        "'support' is a workflow",
    ),
    "an agent's name": (
        lambda w: w.find_workflow("billing"),
        WorkflowNotFound,
        "no workflow 'billing'",
        "'billing' is an agent",
    ),
    "workflow": (
        lambda w: w.find_workflow("suport"),
        WorkflowNotFound,
        "no workflow 'suport'",
        "did you mean 'support'?",
    ),
    "either": (
        lambda w: w.find("suport"),
        AgentNotFound,
        "no agent or workflow 'suport'",
        "did you mean 'support'?",
    ),
    "capability": (
        lambda w: w.find_capability("mony"),
        CapabilityNotFound,
        "nobody has the capability 'mony'",
        "did you mean 'money'?",
    ),
    "name for a capability": (
        lambda w: w.find_capability("billing"),
        CapabilityNotFound,
        "nobody has the capability 'billing'",
        "'billing' is a name; its capability is 'money'",
    ),
    "another's agent": (
        lambda w: w.capability_of(Agent(name="stranger")),
        CapabilityNotFound,
        "the agent 'stranger' isn't registered with 'desk'",
        "register it with weaver.agent(...)",
    ),
    "nothing there": (
        lambda w: Weaver("empty").find("x"),
        AgentNotFound,
        "no agent or workflow 'x'",
        None,
    ),
}


@pytest.mark.parametrize(("ask", "kind", "message", "hint"), LOST.values(), ids=LOST.keys())
def test_what_is_not_there_is_named_with_a_guess(ask: Any, kind: type[WeaverError], message: str, hint: str) -> None:
    with pytest.raises(kind) as lost:
        ask(desk())
    assert (type(lost.value), lost.value.message, lost.value.hint) == (kind, message, hint)


NAME_HINT = "up to 64 letters, digits, '.', '_' and '-', the first a letter or a digit"


def _two_parameters(weaver: Weaver, function: Any, name: str = "flow") -> None:
    weaver.workflow(name)(function)


async def _one(run: Run) -> str:
    return ""


def _sync(run: Run, text: str) -> str:
    return ""


async def _unknown(run: Run, text: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821 # what is tested
    return ""


async def _fine(run: Run, text: str) -> str:
    return ""


WRONG: dict[str, tuple[Any, str, str | None]] = {
    "no agent": (
        lambda w: w.agent("billing"),
        "'billing' is no pydantic-ai Agent",
        "weaver.agent takes Agent(name=..., instructions=...); a function is a weaver.workflow",
    ),
    "no name": (
        lambda w: w.agent(Agent()),
        "the agent has no name",
        "give it one: Agent(name='billing', ...)",
    ),
    "bad name": (lambda w: w.agent(Agent(name="a/b")), "an agent's name can't be 'a/b'", NAME_HINT),
    "empty name": (lambda w: w.agent(Agent(name="")), "an agent's name can't be ''", NAME_HINT),
    "long name": (lambda w: w.workflow("x" * 65)(_fine), f"a workflow's name can't be '{'x' * 65}'", NAME_HINT),
    "bad capability": (
        lambda w: w.agent(Agent(name="ok"), capability="look up"),
        "a capability can't be 'look up'",
        NAME_HINT,
    ),
    "bad weaver": (lambda w: Weaver("my desk"), "a Weaver's name can't be 'my desk'", NAME_HINT),
    "name taken": (
        lambda w: w.agent(Agent(name="billing"), capability="other"),
        "the name 'billing' is taken by an agent",
        "names are unique among agents and workflows, for both are asked for by name",
    ),
    "name taken by a workflow": (
        lambda w: w.agent(Agent(name="support"), capability="other"),
        "the name 'support' is taken by a workflow",
        "names are unique among agents and workflows, for both are asked for by name",
    ),
    "capability taken": (
        lambda w: w.agent(Agent(name="other"), capability="money"),
        "the capability 'money' of 'other' is taken by an agent 'billing'",
        None,
    ),
    "not async": (
        lambda w: w.workflow("my-flow")(_sync),
        "the workflow 'my-flow' is no async function of two parameters",
        "write: async def my_flow(run: Run, input: str) -> str",
    ),
    "one parameter": (
        lambda w: w.workflow("flow")(_one),
        "the workflow 'flow' is no async function of two parameters",
        "write: async def flow(run: Run, input: str) -> str",
    ),
    "unknown annotation": (
        lambda w: w.workflow("flow")(_unknown),
        "the workflow 'flow' has a parameter 'text' whose annotation can't be used: name 'Nowhere' is not defined",
        "annotate it with a type that pydantic knows, defined at module level",
    ),
}


@pytest.mark.parametrize(("register", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_registered_says_why(register: Any, message: str, hint: str | None) -> None:
    weaver = desk()
    with pytest.raises(RegistrationError) as wrong:
        register(weaver)
    assert (wrong.value.message, wrong.value.hint) == (message, hint)
    assert list(weaver.capabilities) == ["money", "technical", "support"]


async def _order(run: Run, text: Order) -> str:
    return ""


async def _anything(run: Run, text) -> str:  # type: ignore[no-untyped-def]  # what is tested
    return ""


def test_a_workflow_takes_what_its_parameter_says() -> None:
    weaver = Weaver("desk")
    weaver.workflow("order")(_order)
    order = weaver.find_workflow("order")
    assert order.validate({"number": "7"}) == Order(number=7)
    assert order.input_schema == {
        "properties": {"number": {"title": "Number", "type": "integer"}},
        "required": ["number"],
        "title": "Order",
        "type": "object",
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "number: Field required"),
        (
            {"number": "secret"},
            "number: Input should be a valid integer, unable to parse string as an integer",
        ),
        ("text", "Input should be a valid dictionary or instance of Order"),
    ],
)
def test_an_input_that_does_not_fit_is_named_without_its_value(value: object, problem: str) -> None:
    weaver = Weaver("desk")
    weaver.workflow("order")(_order)
    with pytest.raises(InvalidInput) as wrong:
        weaver.find_workflow("order").validate(value)
    assert wrong.value.message == f"the input doesn't fit the workflow 'order': {problem}"


async def _constrained(run: Run, count: Annotated[int, Field(ge=1)]) -> int:
    return count


def test_constraints_of_an_annotation_are_kept() -> None:
    weaver = Weaver("desk")
    weaver.workflow("some")(_constrained)
    assert weaver.find_workflow("some").input_schema == {"type": "integer", "minimum": 1}
    with pytest.raises(InvalidInput, match="greater than or equal to 1"):
        weaver.find_workflow("some").validate(0)


def test_an_unannotated_workflow_takes_anything() -> None:
    weaver = Weaver("desk")
    weaver.workflow("any")(_anything)
    assert weaver.find_workflow("any").validate({"a": [1]}) == {"a": [1]}
