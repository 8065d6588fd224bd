"""What is optional isn't installed: the gateway says so in one line, and does the rest as ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.integration.under_fault.conftest import Serve
from weaver_ai.errors import MissingExtra
from weaver_ai.testing import Spans
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.faults import Faults

LOGFIRE_MISSING = "Logfire not available - install with: pip install 'weaver-ai[logfire]'"


async def failing_over(serve: Serve, spans: Spans, providers: Providers) -> tuple[str, list[tuple[object, ...]]]:
    """The telemetry's name, and the trace of a run whose first model fails."""
    providers.anthropic.replies("From the other.")
    async with serve() as gateway:
        with spans.scope() as act:
            response = await gateway.run("openai-then-anthropic")
            await act.eventually.one(kind="server")
        name: str = gateway.app.state.service.telemetry.name
        health = await gateway.health()
    assert response.json()["text"] == "From the other."
    assert (health["status"], health["telemetry_enabled"]) == ("healthy", True)
    return name, [
        (each.name, each.kind, each.status.code, each.parent.name if each.parent else None, names_of(each.attributes))
        for each in act.all()
    ]


def names_of(attributes: Mapping[str, object]) -> list[str]:
    """Without what Logfire itself puts on every span, and the model that it says has answered where none did."""
    return sorted(name for name in attributes if not name.startswith("logfire.") and name != "gen_ai.response.model")


async def test_without_logfire_the_trace_is_the_same(
    request: pytest.FixtureRequest,
    serve: Serve,
    spans: Spans,
    providers: Providers,
    faults: Faults,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("logfire")
    faults.openai.status(500)
    with_logfire, expected = await failing_over(serve, spans, providers)
    request.getfixturevalue("no_logfire")
    without, trace = await failing_over(serve, spans, providers)
    assert (with_logfire, without) == ("logfire", "opentelemetry")
    assert [record.message for record in caplog.records].count(LOGFIRE_MISSING) == 1
    assert trace == expected


async def test_without_the_redis_extra_a_redis_is_refused_in_one_line(
    serve: Serve, no_extra: Callable[[str], None]
) -> None:
    no_extra("redis")
    with pytest.raises(MissingExtra) as missing:
        async with serve(redis_url="redis://redis.example:6379"):
            pass
    assert missing.value.message == "WEAVER_REDIS_URL needs the extra 'redis': pip install 'weaver-ai[redis]'"
    async with serve() as gateway:
        assert (await gateway.health())["status"] == "healthy"
        made = await gateway.client.post("/v1/tasks", json={"capability": "echo", "input": "hi"})
        assert made.status_code == 202
