"""What `weaver serve` says when it has started."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from weaver_ai.agents import Run, Runner, Weaver
from weaver_ai.cli.serve import _banner, _bound, _url
from weaver_ai.settings import load_settings
from weaver_ai.telemetry.off_backend import OffTelemetry

OWN = "own:weaver"
KEYLESS = {"openai_api_key": None, "openai_base_url": None, "anthropic_api_key": None, "anthropic_base_url": None}


def _weaver() -> Weaver:
    weaver = Weaver("desk")
    weaver.agent(Agent(name="billing"))

    @weaver.workflow("support")
    async def support(run: Run, input: str) -> str:  # noqa: A002
        return (await run("billing", input)).text

    return weaver


def _lines(weaver: Weaver, **overrides: Any) -> list[str]:
    settings = load_settings(env_file=None, **{**KEYLESS, **overrides})
    return list(_banner(settings, Runner(weaver, settings), OffTelemetry(), "http://127.0.0.1:8000"))


def test_the_banner_in_full() -> None:
    first, *rest = _lines(_weaver())
    assert first.endswith(" serves the built-in support desk on http://127.0.0.1:8000")
    assert rest == [
        "  agents     billing",
        "  workflows  support",
        (
            "  models     offline: made-up answers, always the same, no cost; "
            "set OPENAI_API_KEY or ANTHROPIC_API_KEY for real ones"
        ),
        "  engine     embedded: 16 tasks at a time, kept in this process",
        "  telemetry  off, development",
        "  look       http://127.0.0.1:8000/docs   http://127.0.0.1:8000/health   http://127.0.0.1:8000/metrics",
        "Try it:",
        (
            "  curl -s http://127.0.0.1:8000/v1/workflows/support/run -H 'Content-Type: application/json' "
            """-d '{"input": "Please refund order 7, it arrived broken."}'"""
        ),
    ]


def test_real_models_are_named() -> None:
    weaver = Weaver("desk")
    weaver.agent(Agent(TestModel(model_name="a"), name="one"))
    weaver.agent(Agent(TestModel(model_name="b"), name="two"))
    assert "  models     test:a, test:b" in _lines(weaver, target=OWN)


def _tried(weaver: Weaver) -> tuple[str, object]:
    """The path and the input of the line that is printed for a user's own Weaver."""
    command = shlex.split(_lines(weaver, target=OWN)[-1])
    return command[2].removeprefix("http://127.0.0.1:8000"), json.loads(command[-1])["input"]


def test_an_agent_is_tried_where_there_is_no_workflow_and_nothing_where_there_is_nothing() -> None:
    weaver = Weaver("desk")
    assert _lines(weaver, target=OWN)[-1].startswith("  look")
    weaver.agent(Agent(name="billing"))
    assert _tried(weaver) == ("/v1/agents/billing/run", "Hello! What can you do?")


def test_a_users_own_workflow_is_tried_on_what_any_text_workflow_takes() -> None:
    assert _tried(_weaver()) == ("/v1/workflows/support/run", "Hello! What can you do?")


def test_the_built_in_desk_keeps_its_line_when_it_is_named() -> None:
    assert "Please refund order 7" in _lines(_weaver(), target="weaver_ai.agents.support_desk:weaver")[-1]


class Order(BaseModel):
    number: int
    urgent: bool = False


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _only_even(cls, number: int) -> int:
        if number % 2 == 0:
            raise RuntimeError("this isn't what a validator should raise")
        raise ValueError("odd")


def _typed(annotation: Any) -> Weaver:
    weaver = Weaver("desk")

    async def typed(run: Run, value: Any) -> str:
        return ""

    typed.__annotations__["value"] = annotation
    weaver.workflow("typed")(typed)
    return weaver


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Order, {"number": 1}), (list[int], [1]), (dict[str, Order], {}), (Literal["a", "b"], "a")],
)
def test_a_workflow_of_structured_input_is_tried_on_what_its_schema_asks_for(annotation: Any, value: object) -> None:
    assert _tried(_typed(annotation)) == ("/v1/workflows/typed/run", value)


@pytest.mark.parametrize("annotation", [Even, Annotated[str, Field(pattern="^[A-Z]{3}-[0-9]+$")]])
def test_a_workflow_for_which_no_input_is_found_is_not_what_is_tried(annotation: Any) -> None:
    weaver = _typed(annotation)
    assert _lines(weaver, target=OWN)[-1].startswith("  look")
    weaver.agent(Agent(name="billing"))
    assert _tried(weaver)[0] == "/v1/agents/billing/run"


def test_the_curl_line_has_no_key_in_it_but_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_API_KEYS", "key-of-a-client")
    curl = _lines(_weaver(), api_keys="key-of-a-client")[-1]
    assert "key-of-a-client" not in curl
    assert shlex.split(curl)[-1] == "Authorization: Bearer ${WEAVER_API_KEYS%%,*}"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 # a value, nothing is bound
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_the_address_can_be_opened(host: str, url: str) -> None:
    assert _url(host, 80) == url


def test_port_0_is_a_free_one() -> None:
    with _bound("127.0.0.1", 0) as first, _bound("localhost", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
