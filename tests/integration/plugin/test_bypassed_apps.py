"""Why nothing was captured, where a test calls an ASGI application in memory that nobody instrumented."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

HEAD = """
    import httpx
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    def answer(request):
        return PlainTextResponse("ok")

    def why(spans):
        with pytest.raises(AssertionError) as failed:
            spans.one("GET /")
        return " ".join(str(failed.value).split())

    class Passing:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    class TracingMiddleware(Passing):
        pass

    def app(*middlewares):
        return Starlette(routes=[Route("/", answer)], middleware=[Middleware(each) for each in middlewares])

    MEMORY = "in memory, and nothing in that application instruments it"
"""


def test_an_app_that_nobody_instrumented(run: Run) -> None:
    run(
        HEAD
        + """
    def test_test_client(spans):
        client = TestClient(app(Passing))
        client.get("/")
        assert f"a TestClient calls a starlette.applications.Starlette {MEMORY}" in why(spans)

    async def plain(scope, receive, send):
        await PlainTextResponse("ok")(scope, receive, send)

    def test_transport(spans):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(plain), base_url="http://shop")
        asyncio.run(client.get("/"))
        assert f"an httpx.ASGITransport calls test_it.plain {MEMORY}" in why(spans)
    """,
        "-W",
        "ignore",
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "client",
    [
        "client = TestClient(app(Passing, TracingMiddleware)); client.get('/')",
        "client = TestClient(TracingMiddleware(app())); client.get('/')",
        "client = TestClient(app())",
        "it = app(); it._is_instrumented_by_opentelemetry = True; client = TestClient(it); client.get('/')",
    ],
    ids=["in a middleware", "around it", "never called", "by an instrumentor"],
)
def test_an_app_that_may_be_instrumented_is_no_reason(run_here: Run, client: str) -> None:
    """It holds its peace where it can't know: a false reason is worse than none."""
    run_here(
        HEAD
        + f"""
    def test_it(spans):
        {client}
        assert MEMORY not in why(spans)
    """,
        "-W",
        "ignore",
    ).assert_outcomes(passed=1)
