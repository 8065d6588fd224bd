"""What a wrong setting does to the start, what `weaver doctor` tells, and what the limits do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fixtures.gateway import Gateway, clean_env, free_port, run_weaver
from tests.integration.service.problem import assert_problem

pytest_plugins = ["tests.fixtures.providers"]


def test_wrong_values_stop_the_start_with_one_line_that_names_each(tmp_path: Path) -> None:
    wrong = {
        "WEAVER_PORT": "eight-thousand",
        "WEAVER_TELEMETRY_ENVIRONMENT": "testing",
        "WEAVER_TELEMETRY_SAMPLE_RATE": "2.75",
    }
    done = run_weaver("serve", env=wrong, cwd=tmp_path)
    lines = done.stderr.strip().splitlines()
    assert done.returncode not in (0, 1)
    assert len(lines) == 1, done.stderr
    for name, value in wrong.items():
        assert name in lines[0]
        assert value not in lines[0]
    assert done.stdout == ""


def test_a_wrong_value_stops_uvicorn_with_one_line(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "uvicorn", "weaver_ai.gateway:app", "--port", str(free_port())]
    env = clean_env({"WEAVER_MAX_BODY_BYTES": "much"})
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "WEAVER_MAX_BODY_BYTES" in line]
    assert len(lines) == 1


def test_a_port_that_is_taken(keyless, tmp_path: Path) -> None:
    done = run_weaver("serve", "--port", str(keyless.gateway.port), cwd=tmp_path)
    assert done.returncode != 0
    assert str(keyless.gateway.port) in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_env_file_is_read(start_gateway, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WEAVER_TELEMETRY_SERVICE_NAME=from-the-file\nWEAVER_MAX_BODY_BYTES=200\n")
    gateway: Gateway = start_gateway({"WEAVER_TASK_CONCURRENCY": "1", "WEAVER_TASK_QUEUE_SIZE": "2"}, DESK)
    assert gateway.get("/health").json()["service"] == "from-the-file"
    assert_problem(gateway.post("/v1/workflows/order/run", {"input": {"note": "x" * 300}}), 413, "body-too-large")

    with ThreadPoolExecutor(4) as pool:
        body = {"capability": "sleeping", "input": 30}
        answers = list(pool.map(lambda _: gateway.post("/v1/tasks", body), range(4)))
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len(refused) == 1
    assert_problem(refused[0], 429, "queue-full", retry_after=refused[0].headers["retry-after"])
    assert int(refused[0].headers["retry-after"]) >= 1
    assert gateway.get("/health").json()["components"]["engine"]["state"] == "degraded"
    for answer in answers:
        if answer.status_code == 202:
            gateway.client.delete(answer.headers["location"])


DESK = "tests.integration.service.desk:weaver"


def test_keys_of_clients_are_asked_for(start_gateway) -> None:
    key = "k" * 24
    gateway: Gateway = start_gateway(
        {"WEAVER_API_KEYS": f"{key}, second-{key}", "WEAVER_LOGFIRE_SEND_TO_CLOUD": "true"}
    )
    refused = gateway.get("/v1/agents")
    assert_problem(refused, 401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert_problem(gateway.get("/v1/agents", headers={"authorization": f"Bearer {key}x"}), 401, "unauthenticated")
    for good in (key, f"second-{key}"):
        assert gateway.get("/v1/agents", headers={"authorization": f"Bearer {good}"}).status_code == 200
    assert gateway.get("/health").status_code == 200
    assert key not in gateway.output
    # Half of a cloud configuration warns with what to do; the other half is in test_secrets.
    assert len([line for line in gateway.lines_with("SEND_TO_CLOUD") if "set WEAVER_LOGFIRE_TOKEN" in line]) == 1


def test_doctor_of_a_newcomer_finds_nothing_wrong(tmp_path: Path) -> None:
    done = run_weaver("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "WEAVER_TELEMETRY_ENABLED" in done.stdout
    assert "no provider key is set" in done.stdout
    assert done.stderr == ""


def test_doctor_tells_where_a_value_comes_from_and_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WEAVER_PORT=9000\n")
    env = {"WEAVER_TELEMETRY_ENVIROMENT": "production", "WEAVER_TASK_CONCURRENCY": "none", "WEAVER_MODEL": "openai:x"}
    done = run_weaver("doctor", env=env, cwd=tmp_path)
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert lines["WEAVER_PORT"][1:] == ["9000", ".env"]
    assert "did you mean WEAVER_TELEMETRY_ENVIRONMENT?" in done.stdout
    assert "WEAVER_TASK_CONCURRENCY" in done.stdout.partition("Findings")[2]
    assert done.returncode == 1


def test_a_model_without_its_key_stops_the_start(tmp_path: Path) -> None:
    done = run_weaver("serve", env={"WEAVER_MODEL": "openai:gpt-5-mini"}, cwd=tmp_path)
    assert done.returncode != 0
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version(tmp_path: Path) -> None:
    helped, version = run_weaver("--help", cwd=tmp_path), run_weaver("--version", cwd=tmp_path)
    assert (helped.returncode, version.returncode) == (0, 0)
    assert "serve" in helped.stdout
    assert "doctor" in helped.stdout
    assert version.stdout.split()[-1][0].isdigit()
