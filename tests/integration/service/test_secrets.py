"""Nothing that looks like a secret leaves the process: no span, log, metric, console line or problem has it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.fixtures.gateway import Gateway, run_weaver
from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.fixtures.provider_answers import status, tool_call
from tests.fixtures.provider_server import ClosedPort, ProviderServer
from tests.fixtures.traced import Caller
from tests.integration.service.conftest import FAST, provider_key

pytest_plugins = ["tests.fixtures.providers"]

OPENAI_KEY = provider_key("openai")
ANTHROPIC_KEY = provider_key("anthropic")
CLIENT_KEY = "client-" + "Zq4w" * 6
LOGFIRE_TOKEN = "_".join(("pylf", "v1", "us", "Vb8k" * 8))
REDIS_PASSWORD = "rds" + "Lm3n" * 4
EXPORT_TOKEN = "otlp" + "Hj5g" * 5
IN_PROMPT = "sk-proj-" + "Pr0mpt" * 6
IN_QUERY = "sk-proj-" + "Qu3ry" * 6
IN_ERROR = "sk-proj-" + "Err0r" * 6
IN_ARGUMENT = "ghp_" + "Arg7" * 9
PASSWORD_IN_URL = "url" + "Pw9d" * 4
SECRETS = {
    "OPENAI_API_KEY": OPENAI_KEY,
    "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
    "WEAVER_API_KEYS": CLIENT_KEY,
    "WEAVER_LOGFIRE_TOKEN": LOGFIRE_TOKEN,
    "WEAVER_REDIS_URL's password": REDIS_PASSWORD,
    "OTEL_EXPORTER_OTLP_HEADERS": EXPORT_TOKEN,
    "a key in a prompt": IN_PROMPT,
    "a key in a query": IN_QUERY,
    "a key in a provider's error": IN_ERROR,
    "a key in a tool's argument": IN_ARGUMENT,
    "a password in a URL": PASSWORD_IN_URL,
}


def secret_env(server: ProviderServer, refusing: ClosedPort) -> dict[str, str]:
    return {
        **FAST,
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": server.openai.base_url,
        "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
        "ANTHROPIC_BASE_URL": server.anthropic.base_url,
        "WEAVER_API_KEYS": f"{CLIENT_KEY},another-{CLIENT_KEY}",
        "WEAVER_LOGFIRE_TOKEN": LOGFIRE_TOKEN,
        "WEAVER_REDIS_URL": refusing.url.replace("http://", f"redis://user:{REDIS_PASSWORD}@") + "/0",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{EXPORT_TOKEN}",
        "WEAVER_TELEMETRY_CAPTURE_PAYLOADS": "true",
    }


@pytest.fixture
def own_receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


def found_in(text: str | bytes) -> list[str]:
    """Which of the secrets stand in a text, by their description."""
    data = text if isinstance(text, bytes) else text.encode()
    return [name for name, secret in SECRETS.items() if secret.encode() in data]


def test_no_secret_gets_out(
    own_receiver: OtlpReceiver, provider_server: ProviderServer, closed_port: ClosedPort, start_gateway
) -> None:
    env = {**own_receiver.env, **secret_env(provider_server, closed_port)}
    gateway: Gateway = start_gateway(env, "tests.integration.service.desk:weaver")
    service = Caller(gateway, own_receiver)
    key = {"authorization": f"Bearer {CLIENT_KEY}"}
    prompt = f"My key is {IN_PROMPT}, and the database is postgresql://admin:{PASSWORD_IN_URL}@db.internal/orders."
    problems: list[httpx2.Response] = []

    provider_server.openai.replies(f"I got your key {IN_PROMPT}.")
    ran, trace = service.post(f"/v1/agents/plain/run?api_key={IN_QUERY}", {"input": prompt}, headers=key)
    assert ran.status_code == 200
    provider_server.openai.replies(status(401, message=f"Incorrect API key provided: {IN_ERROR}"))
    problems.append(service.post("/v1/agents/plain/run", {"input": prompt}, headers=key)[0])
    provider_server.openai.replies(status(500, message=f"dsn postgresql://admin:{PASSWORD_IN_URL}@db failed"))
    provider_server.anthropic.replies(status(500, message=f"x-api-key {IN_ERROR}"))
    problems.append(service.post("/v1/agents/reliable/run", {"input": prompt}, headers=key)[0])
    provider_server.openai.replies(tool_call("refund", order=7, note=IN_ARGUMENT), "Done.")
    service.post("/v1/agents/clerk/run", {"input": prompt}, headers=key)
    provider_server.openai.replies(f"I got your key {IN_PROMPT}.")
    service.post("/v1/agents/plain/run", {"input": prompt}, headers={**key, "accept": "text/event-stream"})
    problems += [
        service.post("/v1/workflows/broken/run", {"input": prompt}, headers=key)[0],
        service.post("/v1/agents/plain/run", {"input": prompt, "extra": IN_PROMPT}, headers=key)[0],
        service.post("/v1/agents/plain/run", {"input": prompt}, headers={"authorization": f"Bearer {IN_ERROR}"})[0],
        service.get(f"/v1/agents?password={IN_QUERY}", headers=key)[0],
        service.get(f"/v1/nothing?token={IN_QUERY}", headers=key)[0],
        service.get("/health", headers=key)[0],
        service.get("/metrics", headers=key)[0],
    ]
    statuses = [response.status_code for response in problems]
    assert statuses == [502, 502, 500, 422, 401, 200, 404, 200, 200]
    redis = problems[-2].json()["components"]["redis"]
    assert (redis["state"], problems[-2].json()["status"]) == ("down", "degraded")
    trace.one("invoke_agent plain")
    assert gateway.stop() == 0

    warned = [line for line in gateway.lines_with("WEAVER_LOGFIRE_TOKEN") if "SEND_TO_CLOUD=true" in line]
    assert len(warned) == 1
    assert "invoke_agent plain" in gateway.output
    assert b"invoke_agent plain" in b"".join(own_receiver.bodies)
    assert found_in(gateway.output) == []
    assert found_in(b"".join(own_receiver.bodies)) == []
    assert found_in("".join(response.text for response in problems)) == []


def test_doctor_masks_every_secret(provider_server: ProviderServer, closed_port: ClosedPort, tmp_path) -> None:
    env = {**secret_env(provider_server, closed_port), "HTTPS_PROXY": f"http://me:{PASSWORD_IN_URL}@proxy.internal"}
    (tmp_path / ".env").write_text(f"WEAVER_MODEL=openai:gpt-5-mini\nSOME_PASSWORD={PASSWORD_IN_URL}\n")
    done = run_weaver("doctor", env=env, cwd=tmp_path)
    assert found_in(done.stdout + done.stderr) == []
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WEAVER_API_KEYS", "WEAVER_LOGFIRE_TOKEN", "WEAVER_REDIS_URL"):
        assert "**********" in lines[name]
    assert "gpt-5-mini" in lines["WEAVER_MODEL"]
    assert "WEAVER_LOGFIRE_SEND_TO_CLOUD=true" in done.stdout
    assert done.returncode == 1


def test_a_wrong_secret_is_not_quoted_when_the_start_stops(tmp_path) -> None:
    done = run_weaver("serve", env={"WEAVER_PORT": IN_ERROR}, cwd=tmp_path)
    assert done.returncode != 0
    assert "WEAVER_PORT" in done.stderr
    assert found_in(done.stdout + done.stderr) == []


def test_without_payload_capture_no_words_of_anyone_are_recorded(
    own_receiver: OtlpReceiver, provider_server: ProviderServer, start_gateway
) -> None:
    words = ("zanzibar-prompt", "zanzibar-answer", "zanzibar-error", "zanzibar-argument")
    env = {
        **own_receiver.env,
        **FAST,
        "WEAVER_TELEMETRY_ENVIRONMENT": "production",
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": provider_server.openai.base_url,
        "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
        "ANTHROPIC_BASE_URL": provider_server.anthropic.base_url,
    }
    gateway: Gateway = start_gateway(env, "tests.integration.service.desk:weaver")
    service = Caller(gateway, own_receiver)
    provider_server.openai.replies(
        "zanzibar-answer",
        status(400, message="zanzibar-error"),
        status(500, message="zanzibar-error"),
        tool_call("refund", order=7, note="zanzibar-argument"),
        "zanzibar-answer",
    )
    provider_server.anthropic.replies(status(500, message="zanzibar-error"))
    agents = ("plain", "plain", "reliable", "clerk")
    answers = [service.post(f"/v1/agents/{name}/run", {"input": "zanzibar-prompt"}) for name in agents]
    assert [response.status_code for response, _ in answers] == [200, 502, 502, 200]
    assert answers[-1][1].one("execute_tool refund").status.code == "unset"
    assert gateway.stop() == 0
    assert gateway.lines_with("invoke_agent reliable") == gateway.lines_with("ERROR invoke_agent reliable") != []
    assert gateway.lines_with("execute_tool") == []  # production has a minimal console: what failed
    everything = gateway.output.encode() + b"".join(own_receiver.bodies)
    assert [word for word in words if word.encode() in everything] == []
