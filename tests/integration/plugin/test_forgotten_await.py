"""A question that waits, and that nobody awaits, fails its test, whatever is done with warnings."""

from __future__ import annotations

import re

import pytest

from tests.integration.plugin.conftest import Run

ASYNC = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")


def complaints(result: pytest.RunResult) -> list[str]:
    return re.findall(r"^E? *(\w+\.eventually\..*never awaited.*)$", result.stdout.str(), re.MULTILINE)


@pytest.mark.parametrize("warnings", ["ignore", "default", "error"])
def test_each_signal_in_an_async_test(run_here: Run, warnings: str) -> None:
    result = run_here(
        """
        async def test_spans(spans):
            spans.eventually.one("publish *", {"order": 7}, status="error")

        async def test_scope(spans):
            with spans.scope() as act:
                act.eventually(timeout=30).in_order("a", re.compile("^b"))

        async def test_settle(spans):
            spans.eventually.settle()
            spans.none(status="error")

        async def test_truth(spans):
            assert spans.eventually.some("publish *")

        async def test_logs(logs):
            logs.eventually.first("paid")

        async def test_metrics(metrics):
            metrics.eventually.one("orders", value=3)
        """.replace("async def test_spans", "import re\n\n        async def test_spans", 1),
        *ASYNC,
        "-W",
        warnings,
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(failed=6)
    never = "was never awaited, so it checked nothing: write await"
    assert complaints(result) == [
        f"spans.eventually.one('publish *', {{'order': 7}}, status='error') {never} spans.eventually.one(...)",
        f"spans.eventually.in_order('a', re.compile('^b')) {never} spans.eventually.in_order(...)",
        f"spans.eventually.settle() {never} spans.eventually.settle(...)",
        f"spans.eventually.some('publish *') {never} spans.eventually.some(...)",
        f"logs.eventually.first('paid') {never} logs.eventually.first(...)",
        f"metrics.eventually.one('orders', value=3) {never} metrics.eventually.one(...)",
    ]
    result.stdout.no_fnmatch_line("*RuntimeWarning*")


def test_a_test_without_a_loop_is_told_of_wait(run_here: Run) -> None:
    result = run_here("""
        def test_it(spans, logs):
            spans.eventually.one("publish *")
            logs.eventually.one("paid")
    """)
    result.assert_outcomes(failed=1)
    sync = "was never awaited, so it checked nothing: it is for async tests; in others write"
    assert complaints(result) == [
        f"spans.eventually.one('publish *') {sync} spans.wait.one(...)",
        f"logs.eventually.one('paid') {sync} logs.wait.one(...)",
    ]


def test_at_the_end_of_a_fixture(run_here: Run) -> None:
    result = run_here(
        """
        @pytest.fixture
        async def settled(spans):
            yield
            spans.eventually.settle()

        async def test_it(settled):
            pass
        """,
        *ASYNC,
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=1, errors=1)
    assert len(complaints(result)) == 1


def test_a_task_that_nobody_awaits(run_here: Run) -> None:
    result = run_here(
        """
        async def test_it(spans):
            task = asyncio.create_task(spans.eventually.one("publish *"))
            await asyncio.sleep(0)
        """,
        *ASYNC,
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["spans.eventually.one('publish *') had no answer when the test ended: await the task that was made of it"]
    )


def test_what_failed_anyway_says_why_and_no_more(run_here: Run) -> None:
    result = run_here(
        """
        async def test_it(spans):
            spans.eventually.one("publish *")
            assert 1 == 2
        """,
        *ASYNC,
        "-W",
        "error",
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*never awaited*")


def test_every_way_of_awaiting(run_here: Run) -> None:
    result = run_here(
        """
        import anyio, trio

        tracer = trace.get_tracer("x")

        @pytest.fixture(autouse=True)
        def emitted(spans):
            tracer.start_span("a").end()

        async def test_asyncio(spans):
            one = spans.eventually.one
            await asyncio.gather(one("a"), spans.eventually.first("a"))
            await asyncio.wait_for(one("a"), 30)
            await asyncio.create_task(one("a"))
            async with asyncio.TaskGroup() as group:
                group.create_task(one("a"))
            async with anyio.create_task_group() as group:
                group.start_soon(one, "a")
            kept = one("a")
            assert (await kept).name == "a"

        def test_asyncio_run(spans):
            assert asyncio.run(spans.eventually.one("a")).name == "a"

        def test_trio(spans):
            async def body():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(spans.eventually.one, "a")

            trio.run(body)
            assert trio.run(spans.eventually.some, "a")[0].name == "a"
        """,
        *ASYNC,
        "-W",
        "error",
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=3)
