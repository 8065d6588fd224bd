"""The contract of the plugin, as its issue writes it, against the gateway and its support desk: no key, no network."""

from __future__ import annotations

from tests.integration.plugin.conftest import Run

CLIENT = """
    import httpx2
    import pytest_asyncio
    from weaver_ai.agents.support_desk import weaver
    from weaver_ai.gateway.application import create_app
    from weaver_ai.settings import load_settings

    @pytest_asyncio.fixture
    async def client():
        app = create_app(load_settings(env_file=None, telemetry_capture_payloads=True), weaver)
        transport = httpx2.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://d") as it:
            yield it
"""
# What follows stands in the issue, letter for letter.
CONTRACT = """
    from weaver_ai.testing import span, tree, any_order, contains

    async def test_refund(spans, client):
        await client.post("/v1/workflows/support/run", json={"input": "refund order 7"})

        run = spans.one("workflow support")                       # 0 or 2+ fails, and explains
        run.expect(tree("workflow support",
            span("invoke_agent classifier", {"gen_ai.operation.name": "invoke_agent"}),
            tree("invoke_agent billing",
                 "chat *",
                 span("execute_tool refund", {"gen_ai.tool.call.arguments": contains({"order": 7})}),
                 "chat *")))
        assert run.tools == ["refund"] and run.usage.total_tokens > 0 and run.cost >= 0
        assert [s.name for s in run.children][0] == "invoke_agent classifier"
        spans.none(status="error")
        spans.in_order("invoke_agent classifier", "invoke_agent billing")
"""


def test_it_runs_as_it_stands(run: Run) -> None:
    run(
        CLIENT + CONTRACT,
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        plugins=["pytest_asyncio.plugin"],
    ).assert_outcomes(passed=1)
