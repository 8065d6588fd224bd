"""What `weaver serve` says when it has started."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from weaver_ai.agents import Run, Runner, Weaver
from weaver_ai.cli.serve import _banner, _bound, _url
from weaver_ai.settings import load_settings
from weaver_ai.telemetry.off_backend import OffTelemetry

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
    assert "  models     test:a, test:b" in _lines(weaver)


def test_an_agent_is_tried_where_there_is_no_workflow_and_nothing_where_there_is_nothing() -> None:
    weaver = Weaver("desk")
    assert _lines(weaver)[-1].startswith("  look")
    weaver.agent(Agent(name="billing"))
    assert "/v1/agents/billing/run" in _lines(weaver)[-1]


def test_a_workflow_that_takes_no_text_is_not_what_is_tried() -> None:
    weaver = Weaver("desk")

    @weaver.workflow("add")
    async def add(run: Run, input: list[int]) -> int:  # noqa: A002
        return sum(input)

    assert _lines(weaver)[-1].startswith("  look")


def test_the_curl_line_has_no_key_in_it_but_finds_it() -> None:
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
