"""A password, an ACL user, a Unix socket, TLS with certificates; and what is said when one of them is wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.gateway import Gateway, run_weaver
from tests.integration.redis.conftest import Certificates, TlsServer, health_of, run_a_task
from weaver_ai.testing.fakes.redis.real import RedisServer

PASSWORD = "-".join(["correct", "horse", "battery"])
UNUSABLE = "the task engine's Redis can't be used"


@pytest.fixture(scope="module")
def guarded(server: RedisServer) -> RedisServer:
    """Its users have passwords: `app` may do everything, `reader` may only read."""
    for line in (
        f"ACL SETUSER app on >{PASSWORD} ~* &* +@all",
        f"ACL SETUSER reader on >{PASSWORD} ~* &* +@read +@connection +info",
        f"CONFIG SET requirepass {PASSWORD}",
    ):
        assert server.ask(*line.encode().split()).startswith(b"+OK")
    return server


def url_of(server: RedisServer, login: str, scheme: str = "redis", port: int = 0, options: str = "") -> str:
    return f"{scheme}://{login}127.0.0.1:{port or server.port}/0{options}"


@pytest.mark.parametrize("user", ["", "app"])
async def test_a_password_lets_in(guarded: RedisServer, user: str) -> None:
    record = await run_a_task(url_of(guarded, f"{user}:{PASSWORD}@"))
    assert (record.state, record.result) == ("succeeded", "order 7")


@pytest.mark.parametrize("login", ["", ":wrong@", "app:wrong@", f"nobody:{PASSWORD}@"])
async def test_a_wrong_password_is_named_and_not_shown(guarded: RedisServer, login: str) -> None:
    health = await health_of(url_of(guarded, login))
    assert (health.state, health.latency) == ("degraded", None)
    assert health.reason == f"{UNUSABLE}: it refuses the user or the password of WEAVER_REDIS_URL"


async def test_a_user_that_may_not_write_is_named(guarded: RedisServer) -> None:
    health = await health_of(url_of(guarded, f"reader:{PASSWORD}@"))
    assert health.state == "degraded"
    assert "NoPermissionError" in (health.reason or "") or "ACL forbids" in (health.reason or "")


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with RedisServer("--unixsocket", str(path)):
        record = await run_a_task(f"unix://{path}?db=1")
    assert (record.state, record.result) == ("succeeded", "order 7")


def tls_options(certificates: Certificates, **other: str) -> str:
    options = {
        "ssl_ca_certs": certificates.authority,
        "ssl_certfile": certificates.certificate,
        "ssl_keyfile": certificates.key,
        **other,
    }
    return "?" + "&".join(f"{name}={value}" for name, value in options.items() if value)


async def test_tls_with_certificates_on_both_sides(tls_server: TlsServer, certificates: Certificates) -> None:
    url = url_of(tls_server.server, "", "rediss", tls_server.port, tls_options(certificates))
    record = await run_a_task(url)
    assert (record.state, record.result) == ("succeeded", "order 7")


async def test_an_authority_that_is_not_trusted(tls_server: TlsServer, certificates: Certificates) -> None:
    options = tls_options(certificates, ssl_ca_certs=str(certificates.stranger))
    health = await health_of(url_of(tls_server.server, "", "rediss", tls_server.port, options))
    assert health.reason == (
        f"{UNUSABLE}: its certificate isn't trusted: self-signed certificate in certificate chain "
        "(ssl_ca_certs of WEAVER_REDIS_URL)"
    )


async def test_no_certificate_of_the_client(tls_server: TlsServer, certificates: Certificates) -> None:
    options = tls_options(certificates, ssl_certfile="", ssl_keyfile="")
    health = await health_of(url_of(tls_server.server, "", "rediss", tls_server.port, options))
    assert health.reason == (
        f"{UNUSABLE}: it cuts each new connection off: it may want a client's certificate (ssl_certfile, ssl_keyfile)"
    )


async def test_tls_to_a_port_without(server: RedisServer, certificates: Certificates) -> None:
    options = tls_options(certificates, socket_connect_timeout="0.3")
    health = await health_of(url_of(server, "", "rediss", 0, options))
    assert health.reason == f"{UNUSABLE}: no TLS with it came about in time: a port without TLS wants redis://"


async def test_no_tls_to_a_port_with(tls_server: TlsServer) -> None:
    health = await health_of(url_of(tls_server.server, "", "redis", tls_server.port))
    assert health.reason == f"{UNUSABLE}: it cuts each new connection off: TLS wants rediss://"


def doctor(url: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_weaver("doctor", env={"WEAVER_REDIS_URL": url}, cwd=cwd)


def findings(report: str) -> list[str]:
    return [line.strip() for line in report.partition("Findings\n")[2].splitlines() if "provider key" not in line]


def test_the_doctor_knocks_at_the_door(guarded: RedisServer, tmp_path: Path) -> None:
    waits = "warning: WEAVER_REDIS_URL is set: tasks wait in Redis until a 'weaver worker' runs them"
    good, bad = (doctor(url_of(guarded, f"app:{login}@"), tmp_path) for login in (PASSWORD, "wrong"))
    at = f"redis://127.0.0.1:{guarded.port}/0"
    assert findings(good.stdout) == [
        waits,
        "warning: Redis keeps no append-only file: the tasks in it go when it dies (appendonly yes)",
    ]
    assert findings(bad.stdout) == [
        waits,
        f"error: {at} can't be used: it refuses the user or the password of WEAVER_REDIS_URL",
    ]
    assert (good.returncode, bad.returncode) == (0, 1)
    assert PASSWORD not in good.stdout + good.stderr


def test_what_a_gateway_tells_has_no_password_in_it(guarded: RedisServer, tmp_path: Path) -> None:
    """Its start, its health, its refusals and its logs: with the right password, and with one that is refused."""
    for secret, state in ((PASSWORD, "ok"), (PASSWORD[::-1], "down")):
        env = {"WEAVER_REDIS_URL": url_of(guarded, f"app:{secret}@"), "WEAVER_TELEMETRY_CAPTURE_PAYLOADS": "true"}
        with Gateway(tmp_path, env) as gateway:
            health = gateway.get("/health").json()
            answer = gateway.post("/v1/tasks", {"capability": "support", "input": "Refund order 7."})
            metrics = gateway.get("/metrics").text
        assert health["components"]["redis"]["state"] == state
        assert answer.status_code == (202 if state == "ok" else 503)
        assert secret not in json.dumps(health) + answer.text + metrics + gateway.output
        waiting = "  waiting    the task engine's Redis can't be used: it refuses the user or the password"
        assert bool(gateway.lines_with(waiting)) is (state == "down")
