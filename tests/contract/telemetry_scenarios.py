"""What a process does with telemetry, for the contract suite: `-m tests.contract.telemetry_scenarios NAME BACKEND`.

Each scenario is a function that returns what the test wants to see; it is printed as JSON.
"""

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Annotated, Any, NoReturn, Self

SCENARIOS: dict[str, Callable[[], Any]] = {}
FAKE_KEY = "sk-" + "proj-" + "a1b2c3d4" * 4
FAKE_TOKEN = "pylf_v1_" + "us_" + "Zz9" * 8


def scenario(function: Callable[[], Any]) -> Callable[[], Any]:
    SCENARIOS[function.__name__] = function
    return function


class WithoutLogfire(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "logfire" or name.startswith("logfire."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def fail(error: BaseException) -> NoReturn:
    raise error


def configured(**overrides: Any) -> Any:
    from weaver_ai.settings import load_settings
    from weaver_ai.telemetry import configure_telemetry

    return configure_telemetry(load_settings(env_file=None, **overrides))


@scenario
def spans() -> Any:
    """Every way in which weaver's own code makes spans and logs."""
    from opentelemetry.trace import SpanKind

    from weaver_ai.errors import QueueFull
    from weaver_ai.telemetry import bind_log_context, log_error, log_info, log_warning, start_span

    telemetry = configured()

    async def asynchronous() -> None:
        with start_span("async.parent", n=1):
            await asyncio.gather(child("a"), child("b"))

    async def child(name: str) -> None:
        with start_span("async.child", child=name):
            await asyncio.sleep(0)
            log_info("in a child", child=name)

    with bind_log_context(request_id="r-1", task_id="t-1"):
        with start_span("agent.execute", task_id="t-1", capability="classify", _kind=SpanKind.CONSUMER) as span:
            span.set_attribute("later", True)
            with start_span("inner", **{"weaver.task.id": "t-1", "nested": {"a": [1, 2]}, "nothing": None, "f": 1.5}):
                log_warning("careful", n=3)
            logging.getLogger("somebody").warning("from %s", "the standard library", extra={"own": 1})
        try:
            with start_span("fails"):
                fail(QueueFull("the queue is full"))
        except QueueFull as error:
            log_error("it failed", exception=error)
        try:
            with start_span("cancelled"):
                fail(asyncio.CancelledError())
        except asyncio.CancelledError:
            pass
    asyncio.run(asynchronous())
    return {"name": telemetry.name, "flushed": telemetry.flush(), "health": vars_of(telemetry.exporter_health())}


@scenario
def service() -> Any:
    """A FastAPI application with an agent, a tool and a call to a provider, the whole of it instrumented."""
    import httpx
    from fastapi import Body, FastAPI
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    from weaver_ai.telemetry import fastapi_telemetry, instrument_all, start_span

    telemetry = configured()
    instrument_all()
    app = FastAPI(telemetry=fastapi_telemetry())
    instrument_all(app)
    agent = Agent(TestModel(), name="helper")

    @agent.tool_plain
    def look_up(order: int) -> str:
        """Look an order up."""
        return f"order {order} is late"

    @app.post("/ask/{topic}")
    async def ask(topic: str, text: Annotated[str, Body()], count: Annotated[int, Body()]) -> dict[str, str]:
        with start_span("workflow support", **{"weaver.workflow.name": "support", "weaver.capability": topic}):
            return {"answer": (await agent.run(text * count)).output}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(f"it broke with {FAKE_KEY}")

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    async def client() -> list[int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        inbound = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "baggage": "user=mallory"}
        async with httpx.AsyncClient(transport=transport, base_url="http://weaver.test") as http:
            answers = [
                await http.post("/ask/orders", json={"text": "where is it", "count": 1}, headers=inbound),
                await http.post("/ask/orders", json={"text": "where is it", "count": "many"}),
                await http.get("/broken"),
                await http.get("/health"),
            ]
        return [answer.status_code for answer in answers]

    statuses = asyncio.run(client())
    telemetry.flush()
    return {
        "statuses": statuses,
        "instrumented": telemetry.instrumented,
        "skipped": dict(telemetry.skipped),
        "prometheus": telemetry.prometheus().decode(),
    }


@scenario
def outgoing() -> Any:
    """Calls over httpx and httpx2 to a server of the process, and what the server got."""
    import httpx
    import httpx2

    from weaver_ai.telemetry import instrument_all, start_span

    telemetry = configured()
    instrument_all()
    with EchoServer() as server:
        from opentelemetry import baggage, context

        token = context.attach(baggage.set_baggage("user", "mallory"))
        with start_span("caller"):
            for library in (httpx, httpx2):
                with library.Client() as sync:
                    url = f"http://user:{'pass' + 'word1'}@127.0.0.1:{server.port}/v1/chat?api_key={FAKE_KEY}&q=1"
                    assert sync.post(url, json={"prompt": "hi", "api_key": FAKE_KEY}).json() == {"echo": True}

            async def call() -> None:
                for library in (httpx, httpx2):
                    async with library.AsyncClient() as http:
                        answer = await http.post(f"http://127.0.0.1:{server.port}/v1/big", json={"n": 1})
                        assert len(answer.json()["big"]) == 2_000_000
                        async with http.stream("GET", f"http://127.0.0.1:{server.port}/v1/stream") as stream:
                            assert [line async for line in stream.aiter_lines()] == ["data: 1", "", "data: 2", ""]

            asyncio.run(call())
        context.detach(token)
    return {"flushed": telemetry.flush(), "headers": server.headers}


@scenario
def secrets() -> Any:
    """Secrets in every place of a span and a log record, with a processor that the application adds last."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from weaver_ai.telemetry import log_error, log_info, start_span

    telemetry = configured(
        openai_api_key="a-key-of-no-known-shape",
        redis_url="redis://:correct%2Dhorse@db:6379/0",
        otel_resource_attributes="password=hunter2,team=a-key-of-no-known-shape",
    )
    exporter = InMemorySpanExporter()
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        with start_span(f"call with {FAKE_KEY}", authorization="Bearer abc", nested={"password": "hunter2"}) as span:
            span.add_event(f"sent {FAKE_TOKEN}", {"header": f"Authorization: Bearer {FAKE_KEY}"})
            span.set_attribute("text", "uses a-key-of-no-known-shape and correct-horse")
            span.set_attribute("gen_ai.usage.input_tokens", 42)
            span.set_attribute("gen_ai.request.max_tokens", 100)
            log_info(f"logged {FAKE_KEY}", api_key=FAKE_KEY, body='{"secret":"s3cr3t-value"}')
            try:
                fail(LookupError("GET https://hunter2@example.org, Cookie: theme=dark; session=s3cr3t-value"))
            except LookupError as cause:
                raise ConnectionError(f"https://me:hunter2@example.org refused {FAKE_KEY}") from cause
    except ConnectionError as error:
        log_error("failed", exception=error)
    logging.getLogger("lib").error("the key is %s", FAKE_KEY)
    meter = telemetry.meter_provider.get_meter("application")
    for label in (FAKE_KEY, "a-key-of-no-known-shape", "\ud800"):
        meter.create_counter("calls").add(1, {"key": label})
        meter.create_histogram("sizes").record(1, {"of": f"Bearer {label}-{FAKE_KEY}"})
    assert FAKE_KEY.encode() not in telemetry.prometheus()
    assert b'calls_total{key="[redacted]"' in telemetry.prometheus()
    telemetry.flush()
    return {"added_last": [json.loads(one.to_json()) for one in exporter.get_finished_spans()]}


@scenario
def mode() -> Any:
    """One traced failure and two records, in whatever mode the environment asks for."""
    from opentelemetry import trace

    from weaver_ai.telemetry import log_info, log_warning, start_span

    telemetry = configured()
    with start_span("root"):
        with start_span("child"):
            log_info("all is well")
        log_warning("something is odd")
        try:
            with start_span("broken"):
                fail(ValueError("no such thing"))
        except ValueError:
            pass
    flushed = telemetry.flush()
    return {
        "name": telemetry.name,
        "enabled": telemetry.enabled,
        "provider": type(trace.get_tracer_provider()).__name__,
        "logfire": "logfire" in sys.modules,
        "health": vars_of(telemetry.exporter_health()),
        "prometheus": telemetry.prometheus().decode().splitlines()[0],
        "flushed": flushed,
    }


@scenario
def reconfigure() -> Any:
    """Settings that change while tracers obtained before are still in use."""
    from opentelemetry import metrics, trace

    from weaver_ai.telemetry import current_telemetry, instrument_all, start_span

    early = trace.get_tracer("early")
    first = configured(telemetry_service_name="first")
    same = configured(telemetry_service_name="first") is first
    provider, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    instrument_all()
    early.start_span("one").end()
    with start_span("open", api_key=FAKE_KEY):
        second = configured(telemetry_service_name="second", telemetry_sample_rate=0.0)
    early.start_span("sampled out").end()
    configured(telemetry_enabled=False)
    off = current_telemetry().name
    early.start_span("off").end()
    with start_span("off too") as span:
        recorded = span.is_recording()
    third = configured(telemetry_service_name="first", telemetry_capture_payloads=False)
    early.start_span("two").end()
    third.shutdown()
    early.start_span("after shutdown").end()
    fourth = configured(telemetry_service_name="first", telemetry_capture_payloads=False)
    early.start_span("three").end()
    fourth.flush()
    return {
        "same": same,
        "off": off,
        "recorded while off": recorded,
        "objects": len({id(one) for one in (first, second, third, fourth)}),
        "providers stay": provider is trace.get_tracer_provider() and meters is metrics.get_meter_provider(),
        "service": fourth.service_name,
        "instrumented": fourth.instrumented == first.instrumented != (),
    }


@scenario
def late() -> Any:
    """A pipeline that was left behind while it retired, and does so when there is a newer one."""
    from weaver_ai.telemetry import start_span

    first = configured(telemetry_capture_payloads=False)
    second = configured(telemetry_capture_payloads=True)
    first.providers.retire()
    with start_span("after"):
        pass
    return second.flush()


@scenario
def overtaken() -> Any:
    """A pipeline that has Logfire retire it for so long that the newer one is to be configured in the meantime."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from weaver_ai.telemetry import logfire_backend, start_span

    configured(telemetry_capture_payloads=False)
    configure = logfire_backend._configure
    retiring, go_on, retired = threading.Event(), threading.Event(), threading.Event()

    def slow(pipeline: Any, resource: Any, sampler: Any, *others: Any) -> None:
        if sampler is not ALWAYS_OFF:
            configure(pipeline, resource, sampler, *others)
            return
        retiring.set()
        go_on.wait(60)
        configure(pipeline, resource, sampler, *others)
        retired.set()

    logfire_backend._configure = slow
    newer: list[Any] = []
    thread = threading.Thread(target=lambda: newer.append(configured(telemetry_capture_payloads=True)))
    thread.start()
    assert retiring.wait(30)
    thread.join(3)  # the old one's second is over by now, and the newer one is at the same place
    go_on.set()
    assert retired.wait(30)
    thread.join(30)
    with start_span("after"):
        pass
    return newer[0].flush()


@scenario
def host() -> Any:
    """An application that has set its own provider before."""
    from opentelemetry import _logs, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from weaver_ai.telemetry import log_error, start_span

    exporter = InMemorySpanExporter()
    own = TracerProvider()
    own.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(own)
    records = InMemoryLogRecordExporter()
    logger = LoggerProvider()
    logger.add_log_record_processor(SimpleLogRecordProcessor(records))
    _logs.set_logger_provider(logger)
    telemetry = configured()
    with start_span("inside", api_key=FAKE_KEY):
        pass
    again = configured(telemetry_capture_payloads=True)
    with start_span("again", api_key=FAKE_KEY):
        pass
    log_error(f"uses {FAKE_KEY}", exception=ValueError(FAKE_KEY), password="hunter2")
    logging.getLogger("lib").error("the key is %s", FAKE_KEY, extra={"secret": ["hunter2"]})
    return {
        "logs": [json.loads(one.to_json()) for one in records.get_finished_logs()],
        "name": telemetry.name,
        "kept": trace.get_tracer_provider() is own is again.tracer_provider,
        "spans": [(one.name, dict(one.attributes or {})) for one in exporter.get_finished_spans()],
    }


def work(times: int) -> float:
    """Spans with a record each; how many seconds the slowest took."""
    from weaver_ai.telemetry import log_info, start_span

    slowest = 0.0
    for number in range(times):
        begun = time.perf_counter()
        with start_span("work", number=number):
            log_info("working")
        slowest = max(slowest, time.perf_counter() - begun)
    return slowest


@scenario
def dead() -> Any:
    """An exporter that doesn't work, with more spans than the queue takes; how long the work takes is what counts."""
    telemetry = configured(telemetry_environment="production")
    slowest = work(3000)
    begun = time.monotonic()
    flushed = telemetry.flush(1.0)
    flush_seconds = time.monotonic() - begun
    health = vars_of(telemetry.exporter_health())
    begun = time.monotonic()
    telemetry.shutdown(1.0)
    return {
        "slowest": slowest,
        "flushed": flushed,
        "flush_seconds": flush_seconds,
        "shutdown_seconds": time.monotonic() - begun,
        "health": health,
    }


@scenario
def refused() -> Any:
    """An exporter that refuses everything, with more spans than the queue takes; what becomes of each counts."""
    telemetry = configured(telemetry_environment="production")
    work(3000)
    telemetry.flush(60.0)
    return vars_of(telemetry.exporter_health())


@scenario
def ending() -> Any:
    """A process that ends without having flushed; when it begins to."""
    from weaver_ai.telemetry import log_info, start_span

    configured()
    with start_span("last"):
        log_info("words")
    return time.time()


@scenario
def linked() -> Any:
    """An inbound trace that becomes a link."""
    import httpx
    from fastapi import FastAPI
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from weaver_ai.telemetry import fastapi_telemetry, start_span

    telemetry = configured(telemetry_inbound_trace="link")
    app = FastAPI(telemetry=fastapi_telemetry())

    @app.get("/")
    async def answer() -> dict[str, str]:
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)

        def work() -> None:
            with start_span("task later", _parent=TraceContextTextMapPropagator().extract(carrier)):
                pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return carrier

    async def client() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w.test") as http:
            return (await http.get("/", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})).json()

    carrier = asyncio.run(client())
    telemetry.flush()
    return carrier


@scenario
def own_app() -> Any:
    """An application that knows nothing of weaver, made before telemetry was configured."""
    import httpx
    from fastapi import Body, FastAPI

    from weaver_ai.telemetry import instrument_all

    app = FastAPI()

    @app.post("/orders")
    async def orders(count: Annotated[int, Body(embed=True)]) -> int:
        return count

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(f"it broke with {FAKE_KEY}")

    @app.get("/health")
    async def health() -> None:
        return None

    async def client() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://own.test") as http:
            await http.post("/orders", json={"count": "my diagnosis"})
            await http.get("/broken")
            await http.get("/health")

    telemetry = configured()
    instrument_all(app)
    instrument_all(app)
    asyncio.run(client())
    return telemetry.flush()


@scenario
def host_logfire() -> Any:
    """An application that has configured Logfire itself."""
    import logfire
    from logfire.testing import TestExporter
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from weaver_ai.telemetry import start_span

    exporter = TestExporter()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    provider = trace.get_tracer_provider()
    telemetry = configured()
    with start_span("inside", note=f"uses {FAKE_KEY}"):
        logfire.info("of the application")
    return {
        "name": telemetry.name,
        "kept": trace.get_tracer_provider() is provider,
        "spans": [(one.name, (one.attributes or {}).get("note")) for one in exporter.exported_spans],
    }


@scenario
def redis() -> Any:
    """Commands to a real Redis, whose port the environment gives."""
    import os

    import redis as redis_client
    import redis.asyncio as redis_asyncio

    from weaver_ai.telemetry import instrument_all, start_span

    port = int(os.environ["REDIS_PORT"])
    telemetry = configured()
    instrument_all()

    async def asynchronous() -> None:
        client = redis_asyncio.Redis(port=port)
        assert await client.get("name") == b"value"
        await client.aclose()

    with start_span("caller"), redis_client.Redis(port=port) as client:
        client.set("name", "value")
        asyncio.run(asynchronous())
    telemetry.flush()
    return telemetry.prometheus().decode()


class EchoServer:
    """A provider on 127.0.0.1: answers JSON, 2 MB of it, or a stream of events."""

    def __init__(self) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        headers: list[dict[str, str]] = []
        self.headers = headers

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                headers.append({key.lower(): value for key, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("content-length", 0)))
                kind, body = "application/json", b'{"echo":true}'
                if self.path.endswith("/big"):
                    body = json.dumps({"big": "x" * 2_000_000}).encode()
                elif self.path.endswith("/stream"):
                    kind, body = "text/event-stream", b"data: 1\n\ndata: 2\n\n"
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 # the base class names them so

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def vars_of(health: Any) -> dict[str, Any]:
    return {name: getattr(health, name) for name in health.__slots__}


if __name__ == "__main__":
    _, wanted, backend = sys.argv
    if backend == "opentelemetry":
        sys.meta_path.insert(0, WithoutLogfire())
    sys.stdout.write(f"{json.dumps(SCENARIOS[wanted]())}\n")
