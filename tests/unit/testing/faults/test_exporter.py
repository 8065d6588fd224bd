"""The telemetry backend fails under the real OTLP exporter and the SDK's own batch processor."""

import logging
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from weaver_ai.telemetry.export import CountedSpans
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.testing.faults.session import faults_of


class Backend(HTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def backend():
    server = Backend()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def faults():
    with faults_of("test", 1, {}) as armed:
        yield armed


@pytest.fixture
def exporter(backend):
    made = OTLPSpanExporter(backend.url, timeout=0.2)
    yield made
    made.shutdown()


@pytest.fixture
def spans_of_one():
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("t").start_as_current_span("one") as span:
        pass
    return [span]


def test_down_is_a_refused_connection(faults, exporter, spans_of_one, backend, caplog):
    down = faults.exporter.down()
    assert exporter.export(spans_of_one) is SpanExportResult.FAILURE
    assert down.hits >= 1
    assert backend.got == []
    assert re.search("Failed to export spans? batch due to timeout, max retries or shutdown", caplog.text)


def test_rejects_is_an_error_status(faults, exporter, spans_of_one, backend, caplog):
    rejects = faults.exporter.rejects(401)
    assert exporter.export(spans_of_one) is SpanExportResult.FAILURE
    assert (rejects.hits, backend.got) == (1, [])
    assert re.search("Failed to export spans? batch code: 401, reason: Rejected", caplog.text)


def test_hangs_lasts_as_long_as_the_exporter_waits(faults, exporter, spans_of_one, backend):
    faults.exporter.hangs()
    began = time.perf_counter()
    assert exporter.export(spans_of_one) is SpanExportResult.FAILURE
    assert time.perf_counter() - began >= 0.15
    assert backend.got == []


def test_hangs_ends_when_it_is_lifted(faults, backend, spans_of_one, caplog):
    caplog.set_level(logging.CRITICAL)
    exporter = OTLPSpanExporter(backend.url, timeout=60)
    hangs = faults.exporter.hangs()
    results = []
    thread = threading.Thread(target=lambda: results.append(exporter.export(spans_of_one)))
    thread.start()
    while not hangs.hits:
        threading.Event().wait(0.01)
    hangs.lift()
    thread.join(20)
    exporter.shutdown()
    assert results == [SpanExportResult.SUCCESS]
    assert len(backend.got) == 1


def test_lifted_it_arrives(faults, exporter, spans_of_one, backend):
    with faults.exporter.rejects():
        assert exporter.export(spans_of_one) is SpanExportResult.FAILURE
    assert exporter.export(spans_of_one) is SpanExportResult.SUCCESS
    assert len(backend.got) == 1


def test_other_requests_of_requests_pass(faults, backend):
    import requests

    down = faults.exporter.down().optional()
    assert requests.post(backend.url.replace("/v1/traces", "/elsewhere"), data=b"x", timeout=5).status_code == 200
    assert down.calls == 0


def test_full_drops_what_is_emitted_and_the_queue_comes_back(faults, backend, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("opentelemetry.sdk._shared_internal"), "filters", [])  # says it once a minute
    processor = CountedSpans(OTLPSpanExporter(backend.url), Redactor(()), delay=60_000)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    tracer.start_span("kept").end()
    with faults.exporter.full() as full:
        tracer.start_span("dropped").end()
        tracer.start_span("dropped too").end()
        assert processor.counts.dropped == 2
    assert full.hits == 2
    assert processor.queued == 1
    assert provider.force_flush()
    provider.shutdown()
    assert b"kept" in backend.got[0]
    assert b"dropped" not in b"".join(backend.got)
    assert "Queue full, dropping Span." in caplog.text


def test_a_processor_made_while_the_queue_is_full_works_afterwards(faults, backend):
    with faults.exporter.full():
        processor = BatchSpanProcessor(OTLPSpanExporter(backend.url), schedule_delay_millis=60_000)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        provider.get_tracer("t").start_span("dropped").end()
    provider.get_tracer("t").start_span("kept").end()
    provider.force_flush()
    provider.shutdown()
    assert b"kept" in backend.got[0]
    assert b"dropped" not in backend.got[0]


def test_everything_is_put_back():
    emit = BatchProcessor.emit
    with faults_of("test", 1, {}) as faults:
        faults.exporter.full()
        assert BatchProcessor.emit is not emit
        assert "_queue" in vars(BatchProcessor)
    assert BatchProcessor.emit is emit
    assert not {"_queue", "_max_queue_size"} & set(vars(BatchProcessor))
