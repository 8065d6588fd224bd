"""What a gateway tells of its connections to Redis, to a scraper and over OTLP."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fixtures.gateway import Gateway
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.integration.redis.conftest import until
from weaver_ai.testing.fakes.redis.real import RedisServer

NAMES = {
    "db.client.connection.count",
    "db.client.connection.max",
    "db.client.connection.pending_requests",
    "db.client.connection.create_time",
    "db.client.connection.wait_time",
}


def samples(text: str) -> dict[str, float]:
    """Name, and the connection's state where there is one, to value; of Redis' connections."""
    found = {}
    for name, labels, value in re.findall(r"^(db_client_connection_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        state = re.search(r'db_client_connection_state="(\w+)"', labels)
        found[f"{name} {state[1]}" if state else name] = float(value)
    return found


def test_the_pool_is_on_metrics_and_in_otlp(server: RedisServer, tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        env = {
            **receiver.env,
            "WEAVER_REDIS_URL": f"{server.url}?max_connections=9",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        with Gateway(tmp_path, env) as gateway:
            assert gateway.post("/v1/tasks", {"capability": "support", "input": "x"}).status_code == 202
            found = samples(gateway.get("/metrics").text)
            text = gateway.get("/metrics").text
            until(lambda: set(receiver.metrics) >= NAMES, f"{NAMES} arrive", 30)
    assert found["db_client_connection_max"] == 9
    assert found["db_client_connection_pending_requests"] == 0
    assert 1 <= found["db_client_connection_count used"] + found["db_client_connection_count idle"] <= 9
    assert found["db_client_connection_wait_time_seconds_count"] >= 1
    assert found["db_client_connection_create_time_seconds_count"] >= 1
    assert f'db_client_connection_pool_name="127.0.0.1:{server.port}"' in text
