import math
import pickle

import pytest

from tests.unit.spans.building import UNSET, make
from weaver_ai.spans import Status
from weaver_ai.spans.conventions import Cost, UnknownCost, Usage, cost_of, tools_of, usage_of
from weaver_ai.spans.tree import Forest


def agent(number, parent=None, **attributes):
    return make(
        "invoke_agent a",
        number,
        parent,
        start=number,
        attributes={"gen_ai.operation.name": "invoke_agent", **attributes},
    )


def chat(number, parent=None, *, tokens=None, cost=None, status=UNSET):
    attributes = {"gen_ai.operation.name": "chat"}
    if tokens:
        attributes |= {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    if cost is not None:
        attributes["operation.cost"] = cost
    return make("chat m", number, parent, start=number, attributes=attributes, status=status)


def tool(name, number, parent=None):
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    return make(f"execute_tool {name}", number, parent, start=number, attributes=attributes)


def aggregated(input_tokens, output_tokens):
    return {
        "gen_ai.aggregated_usage.input_tokens": input_tokens,
        "gen_ai.aggregated_usage.output_tokens": output_tokens,
    }


@pytest.mark.parametrize(
    ("spans", "usage"),
    [
        ([make("root", 1)], Usage()),
        ([make("root", 1), chat(2, 1, tokens=(10, 3)), chat(3, 1, tokens=(5, 2))], Usage(15, 5)),
        # pydantic-ai: the agent's span repeats what its chats report
        ([agent(1, **aggregated(15, 5)), chat(2, 1, tokens=(10, 3)), chat(3, 1, tokens=(5, 2))], Usage(15, 5)),
        # and is all there is where the model isn't instrumented
        ([agent(1, **aggregated(15, 5)), chat(2, 1)], Usage(15, 5)),
        # an agent run in a tool of another isn't part of the outer run's numbers
        (
            [
                agent(1, **aggregated(10, 3)),
                chat(2, 1, tokens=(10, 3)),
                tool("t", 3, 1),
                agent(4, 3, **aggregated(5, 2)),
            ],
            Usage(15, 5),
        ),
        # other frameworks' agents report gen_ai.usage.*, with or without the runs in it
        (
            [
                agent(1, **{"gen_ai.usage.input_tokens": 15}),
                chat(2, 1, tokens=(10, 0)),
                agent(3, 1, **{"gen_ai.usage.input_tokens": 5}),
                chat(4, 3, tokens=(5, 0)),
            ],
            Usage(15, 0),
        ),
        # a client's own span below the framework's, for the same call
        ([chat(1, tokens=(10, 3)), chat(2, 1, tokens=(10, 3))], Usage(10, 3)),
        # two attempts below one call
        ([chat(1, tokens=(10, 3)), chat(2, 1, tokens=(10, 0)), chat(3, 1, tokens=(10, 3))], Usage(20, 3)),
        (
            [
                make(
                    "chat",
                    1,
                    attributes={
                        "gen_ai.usage.prompt_tokens": 7,
                        "gen_ai.usage.completion_tokens": 2,
                        "gen_ai.usage.cache_read.input_tokens": 4,
                        "gen_ai.usage.cache_creation.input_tokens": 1,
                    },
                )
            ],
            Usage(7, 2, 4, 1),
        ),
    ],
)
def test_tokens_are_counted_once(spans, usage):
    assert usage_of(Forest(spans), 0) == usage
    assert usage_of(Forest(spans), 0).total_tokens == usage.input_tokens + usage.output_tokens


@pytest.mark.parametrize(
    ("spans", "at_least", "unpriced"),
    [
        ([make("root", 1)], 0.0, 0),
        ([make("root", 1), chat(2, 1, cost=0.25), chat(3, 1, cost=0.5)], 0.75, 0),
        ([make("root", 1), chat(2, 1, cost=0.25), chat(3, 1)], 0.25, 1),
        ([make("root", 1), chat(2, 1), chat(3, 1)], 0.0, 2),
        # the same call twice: once is priced
        ([chat(1, cost=0.25), chat(2, 1)], 0.25, 0),
        ([chat(1), chat(2, 1, cost=0.25)], 0.25, 0),
        ([chat(1), chat(2, 1)], 0.0, 1),
        # a failed call without a price is free
        ([make("root", 1), chat(2, 1, status=Status("error")), chat(3, 1, cost=0.5)], 0.5, 0),
        # one that broke off in its answer cost at least what had come
        ([make("root", 1), chat(2, 1, cost=0.25, status=Status("error")), chat(3, 1, cost=0.5)], 0.75, 1),
        # a price on what is around the calls covers them
        ([agent(1, **{"operation.cost": 1.0}), chat(2, 1)], 1.0, 0),
    ],
)
def test_cost(spans, at_least, unpriced):
    cost = cost_of(Forest(spans), 0)
    assert (cost.at_least, cost.unpriced) == (at_least, unpriced)


def test_a_known_cost_is_a_float():
    cost = Cost(0.25)
    assert cost == 0.25
    assert cost == pytest.approx(0.25)
    assert (cost > 0.2, cost >= 0.25, cost < 0.25, cost <= 0.25, cost > 1) == (True, True, False, True, False)
    assert (cost + 1, repr(cost), f"{cost:.2f}", cost.known) == (1.25, "0.25", "0.25", True)


def test_an_unknown_cost_is_never_taken_for_a_number():
    cost = Cost(0.25, unpriced=2)
    assert not cost.known
    assert math.isnan(cost)
    assert math.isnan(cost + 1)
    assert cost != 0.25
    assert (cost >= 0, cost > 0.2, cost < 0.25, cost <= 0.2) == (True, True, False, False)
    assert 0 <= cost  # noqa: SIM300 # the reflected comparison
    for undecided in (lambda: cost < 1, lambda: cost <= 0.25, lambda: cost > 0.25, lambda: cost >= 1, lambda: 1 > cost):  # noqa: SIM300
        with pytest.raises(UnknownCost, match=r"<unknown cost, at least 0\.25: 2 model calls without a price>"):
            undecided()


def test_a_cost_survives_pickling_as_xdist_does_it():
    cost = pickle.loads(pickle.dumps(Cost(0.25, unpriced=1)))  # noqa: S301 # our own bytes
    assert (cost.at_least, cost.unpriced) == (0.25, 1)


def test_tools_stand_in_the_order_of_their_starts_and_once_each():
    captured = Forest(
        [
            agent(1),
            tool("lookup", 2, 1),
            tool("refund", 3, 1),
            tool("refund", 4, 3),  # the MCP client's span for the same call
            tool("charge", 5, 3),  # another tool, called by the first
            make("execute_tool mail", 6, 1, start=6, attributes={"gen_ai.operation.name": "execute_tool"}),
        ]
    )
    assert tools_of(captured, 0) == ["lookup", "refund", "charge", "mail"]
    assert tools_of(captured, 1) == ["lookup"]
