"""What `weaver worker`, `weaver tasks` and `weaver serve` say of Redis before and after they begin."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest
from pydantic_ai import Agent

from weaver_ai import __version__
from weaver_ai.agents import Runner, Weaver, load_target
from weaver_ai.cli import main, serve, tasks, worker
from weaver_ai.errors import SettingsError
from weaver_ai.gateway.shutdown import Budget
from weaver_ai.settings import load_settings
from weaver_ai.tasks import Retry, TaskError, TaskRecord
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.telemetry.off_backend import OffTelemetry

URL = "redis://me:hunter2@db:6379/0"


@pytest.fixture
def weaver() -> Weaver:
    weaver = Weaver("desk")
    weaver.agent(Agent(name="billing"), capability="refunds", concurrency=2)
    weaver.agent(Agent(name="answers"))
    return weaver


def test_the_banner_of_a_worker_in_full(weaver: Weaver) -> None:
    settings = load_settings(env_file=None, redis_url=URL, target="desk:weaver", task_concurrency=4)
    assert list(worker._banner(settings, OffTelemetry(), weaver, worker._served(weaver, None))) == [
        f"weaver {__version__} works for desk:weaver",
        "  serves     answers, refunds",
        "  limit      refunds: 2 at a time, over all workers",
        "  engine     docket on redis://db:6379/0: 4 tasks at a time",
        "  telemetry  off, development",
    ]


def test_a_worker_that_serves_some_says_so(weaver: Weaver) -> None:
    settings = load_settings(env_file=None, redis_url=URL, target="desk:weaver")
    lines = list(worker._banner(settings, OffTelemetry(), weaver, worker._served(weaver, ("answers",))))
    assert lines[1] == "  serves     answers; not 1 more"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("supprt", "weaver: --capabilities: nobody has the capability 'supprt' (did you mean 'support'?)\n"),
        ("support,,", "argument --capabilities: 'support,,' has an empty name; write them like a,b\n"),
    ],
)
def test_a_capability_that_nobody_has_is_refused(asked: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["worker", "--redis", URL, "--capabilities", asked])
    except SystemExit as ended:  # argparse's own
        code = ended.code
    assert code == 2
    assert capsys.readouterr().err.endswith(error)


def test_a_target_without_anything_to_serve_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^the target has no agent and no workflow: there is nothing to serve$"):
        worker._served(Weaver("empty"), None)


@pytest.mark.parametrize(
    ("target", "command"),
    [(None, "weaver worker"), ("desk:weaver", "weaver worker desk:weaver")],
)
def test_a_gateway_on_redis_says_who_runs_its_tasks(target: str | None, command: str) -> None:
    weaver = load_target(None)
    settings = load_settings(env_file=None, redis_url=URL, target=target)
    lines = list(serve._banner(settings, Runner(weaver, settings), OffTelemetry(), "http://127.0.0.1:80"))
    assert f"  engine     docket on redis://db:6379/0: tasks are run by '{command}'" in lines


@pytest.mark.parametrize("arguments", [["worker"], ["tasks", "list"], ["tasks", "show", "x"], ["tasks", "retry", "x"]])
def test_without_a_redis_one_line_says_what_to_give(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "weaver: no Redis is set (give --redis redis://host:6379, or set WEAVER_REDIS_URL)\n"
    )


def test_a_redis_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "list", "--redis", "redis://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("weaver: the task engine's Redis can't be used: ConnectionError (")


def test_the_list_of_dead_letters() -> None:
    when = datetime(2026, 11, 23, 16, 20, 11, tzinfo=UTC)
    records = [
        TaskRecord(
            id=f"t{number}",
            capability=capability,
            input=None,
            created_at=when,
            finished_at=when,
            state="failed",
            attempts=number,
            error=TaskError(code="run-failed", message="it didn't work"),
        )
        for number, capability in [(1, "refunds"), (2, "answers-all")]
    ]
    assert list(tasks._table(records)) == [
        "t1  2026-11-23 16:20:11  refunds      attempts 1  run-failed: it didn't work",
        "t2  2026-11-23 16:20:11  answers-all  attempts 2  run-failed: it didn't work",
    ]
    assert list(tasks._table([])) == ["no failed tasks"]


def test_the_list_of_tasks_that_wait() -> None:
    when = datetime(2026, 11, 23, 16, 20, 11, tzinfo=UTC)
    due = datetime(2026, 11, 23, 16, 21, tzinfo=UTC)
    base = TaskRecord(
        id="t1", capability="refunds", input=None, created_at=when, state="scheduled", next_attempt_at=due
    )
    failed = TaskError(code="provider-timeout", message="too slow")
    records = [base, base.but(id="t2", attempts=2, retried=1, retry=Retry(retries=3), last_error=failed)]
    assert list(tasks._table(records, "scheduled")) == [
        "t1  2026-11-23 16:21:00  refunds  attempts 0  delayed",
        "t2  2026-11-23 16:21:00  refunds  attempts 2  retry 1 of 3, after provider-timeout: too slow",
    ]
    queued = base.but(state="queued", next_attempt_at=None, priority="high")
    assert list(tasks._table([queued], "queued")) == ["t1  2026-11-23 16:20:11  refunds  attempts 0  high priority"]
    assert list(tasks._table([], "scheduled")) == ["no scheduled tasks"]


async def test_what_is_known_of_a_worker_that_fails_still_leaves(
    monkeypatch: pytest.MonkeyPatch, weaver: Weaver
) -> None:
    done: list[object] = []

    class Telemetry(OffTelemetry):
        def flush(self, timeout_seconds: float = 5.0) -> bool:
            done.append("flushed")
            return True

    class Broken(DocketEngine):
        async def start(self) -> None:
            raise RuntimeError("it can't start")

        async def aclose(self) -> None:
            done.append("closed")

    monkeypatch.setattr(worker, "leave_within", lambda _seconds, code: done.append(code))
    settings = load_settings(env_file=None)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError, match="it can't start"):
        await worker._work(Broken(URL), Runner(weaver, settings), Telemetry(), Budget(1.0), "")
    assert done == ["closed", "flushed", 1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("limit", ["0", "-5", "many", "1.5", "\u00b2"])
def test_a_limit_of_no_tasks_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tasks", "list", "--redis", URL, f"--limit={limit}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument --limit: {limit!r} is no number of tasks; give 1 or more\n")
