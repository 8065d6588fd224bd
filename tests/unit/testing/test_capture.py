from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

AT_IMPORT = trace.get_tracer("at.import")


def names(spans) -> list[str]:
    return [span.name for span in spans._source.snapshot()]


def test_without_a_provider(spans):
    with AT_IMPORT.start_as_current_span("one"):
        with trace.get_tracer("now").start_as_current_span("two"):
            pass
    assert names(spans) == ["one", "two"]


def test_own_provider(spans):
    with TracerProvider(shutdown_on_exit=False).get_tracer("x").start_as_current_span("three"):
        assert [s.is_open for s in spans._source.snapshot()] == [True]
    assert [s.is_open for s in spans._source.snapshot()] == [False]
    assert names(spans) == ["three"]
