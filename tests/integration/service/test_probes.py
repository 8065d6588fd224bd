"""`/health`, `/ready`, `/metrics` and `/`: their shapes, and that they are no noise in traces."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.traced import Caller

pytest_plugins = ["tests.fixtures.providers"]


def test_health_of_a_newcomers_service(keyless: Caller) -> None:
    response, _ = keyless.get("/health")
    body = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    components = body.pop("components")
    version = body.pop("version")
    assert body == {"status": "healthy", "service": "weaver-ai", "telemetry_enabled": True, "agent": "ok"}
    assert version[0].isdigit()
    assert {name: part["state"] for name, part in components.items()} == {
        "engine": "ok",
        "telemetry": "ok",
        "openai": "unconfigured",
        "anthropic": "unconfigured",
    }
    assert all(set(part) == {"state", "latency_ms", "reason"} for part in components.values())
    assert 0 <= components["engine"]["latency_ms"] < 1000
    assert components["openai"]["reason"] == "OPENAI_API_KEY isn't set"


def test_health_names_a_provider_configured_and_never_calls_it(openai_service: Caller, provider_server) -> None:
    response, _ = openai_service.get("/health")
    states = {name: part["state"] for name, part in response.json()["components"].items()}
    assert (states["openai"], states["anthropic"]) == ("configured", "unconfigured")
    assert provider_server.requests == []
    assert provider_server.strangers == []


def test_ready(keyless: Caller) -> None:
    response, _ = keyless.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "service": "weaver-ai", "telemetry": True, "agent_ready": True}
    for path in ("/health", "/ready", "/"):
        assert keyless.gateway.client.head(path).status_code == 200


def test_probes_leave_no_spans(keyless: Caller) -> None:
    quiet = [keyless.get(path)[1] for path in ("/health", "/ready", "/metrics")]
    seen = keyless.get("/v1/agents")[1]
    assert seen.server().attributes["http.route"] == "/v1/agents"
    time.sleep(0.2)  # several export intervals: what was recorded before the last request has arrived
    assert [trace.so_far for trace in quiet] == [[], [], []]


def test_metrics_are_prometheus_text(keyless: Caller) -> None:
    keyless.post("/v1/agents/nobody/run", {"input": "hi"})
    response, _ = keyless.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    served = families["http_server_request_duration_seconds"]
    labels = [sample.labels for sample in served.samples if sample.name.endswith("_count")]
    assert any(
        label["http_route"] == "/v1/agents/{name}/run" and label["http_response_status_code"] == "404"
        for label in labels
    )
    assert all("{" in label["http_route"] or "nobody" not in label["http_route"] for label in labels)


def test_metrics_of_the_service_its_models_and_its_machine(keyless: Caller) -> None:
    keyless.post("/v1/workflows/support/run", {"input": "refund order 7"})
    families = {family.name for family in text_string_to_metric_families(keyless.gateway.get("/metrics").text)}
    expected = {
        "http_server_request_duration_seconds",
        "http_server_active_requests",
        "gen_ai_client_token_usage",
        "gen_ai_client_operation_duration_seconds",
        "process_cpu_time_seconds",
        "process_memory_usage_bytes",
        "system_cpu_utilization",
        "system_memory_usage_bytes",
        "system_disk_io_bytes",
        "system_network_io_bytes",
    }
    missing = {name for name in expected if not any(family.startswith(name) for family in families)}
    assert missing == set(), sorted(families)


def test_the_index_says_where_to_go_on(keyless: Caller) -> None:
    response, _ = keyless.get("/")
    body = response.json()
    assert response.status_code == 200
    for path in body["links"].values():
        assert keyless.gateway.get(path).status_code == 200, path
