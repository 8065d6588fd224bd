"""Points 3, 5 and 7 of "Capture in tests: what must hold": each span in its test, no context left behind.

Each test names the line that it guards: it was seen failing without it.
"""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.integration.plugin.conftest import Run

ASYNC = [
    ("pytest_asyncio.plugin", "pytestmark = pytest.mark.asyncio"),
    (
        "anyio.pytest_plugin",
        "pytestmark = pytest.mark.anyio\nanyio_backend = pytest.fixture(lambda: 'asyncio', name='anyio_backend')",
    ),
    (
        "anyio.pytest_plugin",
        "pytestmark = pytest.mark.anyio\nanyio_backend = pytest.fixture(lambda: 'trio', name='anyio_backend')",
    ),
]


def test_a_raw_thread(run: Run) -> None:
    """Guards the fall-back to the running test in `Capture._root`: a thread has no context variables."""
    run("""
        def test_thread(spans):
            tracer = trace.get_tracer("x")

            def work():
                with tracer.start_as_current_span("in thread"):
                    pass

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            assert names(spans) == ["in thread"]
            assert spans.one("in thread").parent is None
    """).assert_outcomes(passed=1)


LATE = """
    trace.set_tracer_provider(TracerProvider())
    GO, BEGUN = threading.Event(), threading.Event()
    tracer = trace.get_tracer("x")
    threads = []

    def work():
        with tracer.start_as_current_span("slow"):
            BEGUN.set()
            GO.wait(5)
            tracer.start_span("child").end()

    def leave():
        threads.append(threading.Thread(target=work))
        threads[0].start()
        assert BEGUN.wait(5)

    def finish():
        GO.set()
        threads[0].join()
"""


def test_a_late_span_of_the_test_before(run: Run) -> None:
    """Guards `captured.origin is recording.origin` in `Capture.started`, and `strayed` in `Capture.ended`."""
    result = run(
        LATE
        + """
    def test_leaves():
        leave()

    def test_next(spans):
        finish()
        tracer.start_span("mine").end()
        assert names(spans) == ["mine"]
    """
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "it passed, but span 'child' of test_it.py::test_leaves began here, and 1 more (stray)",
            "",
            "  stray    span 'child' of test_it.py::test_leaves began here",
            "  stray    span 'slow' of test_it.py::test_leaves ended here",
            "",
            "Where that is meant: @pytest.mark.weaver(check_stray=False)",
        ],
        consecutive=True,
    )


def test_a_late_span_that_its_own_test_was_told_of(run: Run) -> None:
    """Guards `captured.left_open = True` in `Capture.end`: nobody is told twice."""
    result = run(
        LATE.replace('tracer.start_span("child").end()', "pass")
        + """
    def test_leaves(spans):
        leave()
        assert spans.one("slow").is_open

    def test_next(spans):
        finish()
        assert names(spans) == []

    def test_last(spans):
        assert names(spans) == []
    """,
        "-o",
        "weaver_grace=0",
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["it passed, but span 'slow' was never ended"])


def test_a_task_of_the_test_before_on_a_shared_loop(run: Run) -> None:
    """Guards `BODY.set` in `TracedSession.pytest_runtest_call`: the task begins a trace when its test is over."""
    result = run(
        """
        import pytest_asyncio

        pytestmark = pytest.mark.asyncio(loop_scope="session")
        tracer = trace.get_tracer("x")
        tasks = []

        async def late(go):
            await go.wait()
            tracer.start_span("late root").end()

        async def test_leaves():
            tasks.append(asyncio.Event())
            tasks.append(asyncio.ensure_future(late(tasks[0])))
            await asyncio.sleep(0)

        async def test_next(spans):
            tasks[0].set()
            await tasks[1]
            tracer.start_span("mine").end()
            assert names(spans) == ["mine"]
        """,
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["it passed, but span 'late root' of test_it.py::test_leaves began here"])


def test_a_span_left_current_stays_out_of_the_next_test(run: Run) -> None:
    """Guards `attach(Context())` in `ContextGuard.__init__` and `attach(before)` in `note_body`."""
    result = run("""
        tracer = trace.get_tracer("x")
        held = []

        @pytest.fixture
        def client(spans):
            yield
            tracer.start_span("disconnect").end()
            assert spans.one("disconnect").parent is None

        def test_not_recorded():
            held.append(context.attach(trace.set_span_in_context(TracerProvider().get_tracer("x").start_span("zero"))))

        def test_leaks(spans, client):
            assert trace.get_current_span() is trace.INVALID_SPAN
            held.append(tracer.start_span("left"))
            held.append(context.attach(trace.set_span_in_context(held[-1])))
            held[-2].end()

        def test_next(spans):
            assert trace.get_current_span() is trace.INVALID_SPAN
            tracer.start_span("mine").end()
            assert spans.one("mine").parent is None
    """)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "it passed, but span 'left' was left as the current span",
            "",
            "Where that is meant: @pytest.mark.weaver(check_context=False)",
        ],
        consecutive=True,
    )


def test_baggage_left_in_the_context(run: Run) -> None:
    """Guards the comparison of whole contexts in `ContextGuard._note`."""
    result = run("""
        from opentelemetry import baggage

        def test_leaks(spans):
            context.attach(baggage.set_baggage("tenant", "acme"))

        def test_next(spans):
            assert baggage.get_all() == {}
    """)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["it passed, but baggage was left in the context"])


def test_a_context_from_before_the_test_is_there_again_after_it(run: Run) -> None:
    """Guards `attach(self._outside)` in `ContextGuard.close`: what was attached at import goes on holding."""
    result = run("""
        from opentelemetry import baggage
        context.attach(baggage.set_baggage("tenant", "acme"))

        def test_records(spans):
            assert baggage.get_baggage("tenant") is None

        def test_leaves_its_own(spans):
            context.attach(baggage.set_baggage("tenant", "other"))

        def test_does_not_record():
            assert baggage.get_baggage("tenant") == "acme"
    """)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["it passed, but baggage was left in the context"])


@pytest.mark.parametrize(("plugin", "head"), ASYNC, ids=["pytest-asyncio", "anyio-asyncio", "anyio-trio"])
def test_an_async_generator_that_is_broken_out_of(run: Run, plugin: str, head: str) -> None:
    """Guards `watched` in `ContextGuard.watch`: the leak shows only inside the test's own task."""
    source = """
        tracer = trace.get_tracer("x")
        kept = []

        async def stream():
            with tracer.start_as_current_span("stream"):
                yield 1
                yield 2

        async def test_broken(spans):
            kept.append(stream())
            async for _ in kept[0]:
                break
            tracer.start_span("after").end()

        async def test_next(spans):
            tracer.start_span("mine").end()
            assert names(spans) == ["mine"]
            assert spans.one("mine").parent is None
        """
    result = run(f"{head}\n{dedent(source)}", plugins=[plugin])
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["it passed, but span 'stream' was left as the current span"])


@pytest.mark.parametrize(("plugin", "head"), ASYNC, ids=["pytest-asyncio", "anyio-asyncio", "anyio-trio"])
def test_async_tests_with_tasks_and_worker_threads(run: Run, plugin: str, head: str) -> None:
    """Guards the same as the raw thread, for what the async plugins run where."""
    source = """
        import anyio, anyio.to_thread

        tracer = trace.get_tracer("x")

        async def child(name):
            with tracer.start_as_current_span(name):
                await anyio.sleep(0)

        @pytest.mark.parametrize("round", [1, 2])
        async def test_tree(spans, round):
            with tracer.start_as_current_span("outer"):
                async with anyio.create_task_group() as group:
                    group.start_soon(child, "a")
                    group.start_soon(child, "b")
                await anyio.to_thread.run_sync(lambda: tracer.start_span("in thread").end())
            assert sorted(names(spans)) == ["a", "b", "in thread", "outer"]
            assert sorted(span.name for span in spans.one("outer").children) == ["a", "b", "in thread"]
        """
    run(f"{head}\n{dedent(source)}", plugins=[plugin]).assert_outcomes(passed=2)


def test_fixtures_of_wider_scope_that_emit(run: Run) -> None:
    """Guards `Capture.fixture`: what they emit belongs to no test, also where the first test asks first."""
    run("""
        tracer = trace.get_tracer("x")

        @pytest.fixture(scope="session", autouse=True)
        def server():
            with tracer.start_as_current_span("session"):
                pass
            lifespan = tracer.start_span("lifespan")
            yield trace.set_span_in_context(lifespan)
            lifespan.end()

        @pytest.fixture(scope="class")
        def prepared():
            tracer.start_span("class").end()
            yield
            tracer.start_span("class end").end()

        @pytest.fixture
        def mine():
            tracer.start_span("function").end()
            yield
            tracer.start_span("function end").end()

        class TestAll:
            @pytest.mark.parametrize("round", [1, 2])
            def test_it(self, spans, prepared, mine, server, round):
                tracer.start_span("test", context=server).end()
                assert names(spans) == ["function", "test"]

        def test_after(spans):
            assert names(spans) == []
    """).assert_outcomes(passed=3)


def test_a_span_that_a_class_fixture_holds_current(run: Run) -> None:
    """Guards `_held_by_fixture`: it is current in every test of the class, and no leak."""
    run("""
        tracer = trace.get_tracer("x")

        @pytest.fixture(scope="class")
        def act():
            with tracer.start_as_current_span("class"):
                yield

        @pytest.mark.usefixtures("act")
        class TestAll:
            def test_one(self, spans):
                tracer.start_span("one").end()
                assert names(spans) == ["one"]
                assert trace.get_current_span().name == "class"

            def test_two(self, spans):
                tracer.start_span("two").end()
                assert names(spans) == ["two"]
                assert trace.get_current_span().name == "class"

        def test_after(spans):
            assert trace.get_current_span() is trace.INVALID_SPAN
    """).assert_outcomes(passed=3)


def test_a_fixture_of_the_test_that_holds_a_span_current(run: Run) -> None:
    """Guards that the body is compared with its own beginning in `note_body`, not with an empty context."""
    run("""
        tracer = trace.get_tracer("x")

        @pytest.fixture
        def act():
            with tracer.start_as_current_span("act") as span:
                yield span

        def test_it(spans, act):
            tracer.start_span("inner").end()
            assert spans.one("inner").parent.name == "act"
    """).assert_outcomes(passed=1)


def test_ids_that_begin_again_in_each_test(run: Run) -> None:
    """Guards that a root begins its trace anew in `Capture._origin`, for Logfire's incremental ids repeat."""
    run(
        """
        @pytest.mark.parametrize("round", [1, 2])
        def test_it(spans, capfire, round):
            import logfire

            with logfire.span("outer"):
                with logfire.span("inner"):
                    pass
            assert names(spans) == ["outer", "inner"]
            assert spans.one("outer").trace_id == f"{1:032x}"
            assert len(capfire.exporter.exported_spans_as_dict()) == 2
        """,
        "-W",
        "ignore",
        plugins=["logfire.testing"],
    ).assert_outcomes(passed=2)


def test_a_trace_that_crosses_a_wire(run: Run) -> None:
    """Guards `self._traces.get(named.trace_id)` in `Capture._origin`: the parent's span isn't at hand."""
    result = run("""
        from opentelemetry.propagate import extract, inject

        tracer = trace.get_tracer("x")
        carrier = {}

        trace.set_tracer_provider(TracerProvider())

        def test_sends():
            with tracer.start_as_current_span("send"):
                inject(carrier)

        def test_next(spans):
            tracer.start_span("receive", context=extract(carrier)).end()
            assert names(spans) == []
    """)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["it passed, but span 'receive' of test_it.py::test_sends began here"])


def test_xdist(run: Run) -> None:
    """Guards `pytest_configure_node` and that a section survives the way from a worker to the terminal."""
    result = run(
        """
        tracer = trace.get_tracer("x")

        @pytest.mark.parametrize("round", range(6))
        def test_it(spans, round):
            with tracer.start_as_current_span(f"span {round}"):
                pass
            assert names(spans) == [f"span {round}"]

        def test_fails(spans):
            tracer.start_span("seen").end()
            assert not names(spans)
        """,
        "-n2",
        "--color=yes",
        plugins=["xdist"],
    )
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["*- trace -*", "seen*"])
    assert "\x1b[2m" in result.stdout.str().split("- trace -")[1]


def test_a_session_inside_a_session(run: Run) -> None:
    """Guards the stack of sinks in `taps.push`: each session sees its own spans, then the outer one goes on."""
    run(
        """
        pytest_plugins = ["pytester"]
        tracer = trace.get_tracer("x")

        def test_outer(spans, pytester):
            import weaver_ai.testing.capture.capture
            pytester.makepyfile('''
                from opentelemetry import trace

                def test_inner(spans):
                    trace.get_tracer("x").start_span("inner").end()
                    assert [span.name for span in spans.all()] == ["inner"]
            ''')
            tracer.start_span("before").end()
            pytester.runpytest_inprocess("-p", "weaver_ai.pytest_plugin").assert_outcomes(passed=1)
            tracer.start_span("after").end()
            assert names(spans) == ["before", "after"]
        """
    ).assert_outcomes(passed=1)


def test_fixtures_asked_for_by_name_while_the_test_runs(run: Run) -> None:
    """Guards the late start in `Capture.record`, and `capture.end()` after it: the item doesn't name the fixture."""
    run("""
        tracer = trace.get_tracer("x")

        left = []

        def test_late(request):
            spans = request.getfixturevalue("spans")
            left.append(tracer.start_span("left"))
            assert names(spans) == ["left"]
            request.getfixturevalue("invariants").off("open")

        @pytest.mark.weaver(check_stray=False)
        def test_next(request):
            spans = request.getfixturevalue("spans")
            tracer.start_span("child", trace.set_span_in_context(left[0])).end()
            assert names(spans) == []

        def test_last(request):
            spans = request.getfixturevalue("spans")
            left[0].end()
            assert names(spans) == []
    """).assert_outcomes(passed=3)


def test_a_lone_surrogate_crosses_to_the_terminal(run: Run) -> None:
    """Guards what escapes names in messages, sections and violations: execnet sends UTF-8; a session ended on it."""
    result = run(
        r"""
        from opentelemetry import _logs

        NAME = "tool " + chr(0xD800)

        @pytest.fixture(autouse=True)
        def odd(spans, logs):
            key = "-".join(["sk", "proj", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"])
            span = trace.get_tracer("x").start_span(NAME, attributes={"password " + chr(0xD800): key})
            span.set_status(trace.StatusCode.ERROR, NAME)
            span.record_exception(ValueError(NAME))
            _logs.get_logger("x").emit(body=NAME, attributes={NAME: NAME})
            span.end()

        def test_message(spans):
            spans.one(NAME + "?")

        def test_message_of_logs(logs):
            logs.one(NAME + "?")

        def test_comparison(spans):
            assert spans.all() == []

        def test_anything_else():
            assert 0

        def test_invariant():
            pass
        """,
        "-n1",
        plugins=["xdist"],
    )
    result.assert_outcomes(failed=4, passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "it passed, but span 'tool \\ud800': the value of 'password \\ud800' looks like a secret",
            "E *spans.one('tool \\ud800[?]'): none of 1 span matches; did you mean 'tool \\ud800'?",
            "tool \\ud800 * ERROR ValueError: tool \\ud800",
        ]
    )
