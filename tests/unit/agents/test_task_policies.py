"""Retries and limits from a registration to the task's record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from weaver_ai.agents import TRANSIENT, Retry, Run, Runner, Weaver, task_handler, task_policies
from weaver_ai.errors import RegistrationError
from weaver_ai.settings import load_settings
from weaver_ai.tasks import EmbeddedEngine, TaskPolicy, TaskRecord, TaskRequest

AT_ONCE = Retry(retries=2, pause_seconds=0.001, longest_pause_seconds=0.001)


class Provider:
    """A model that fails as often as it was told to."""

    def __init__(self, name: str, failures: int, status: int = 503) -> None:
        self.calls = 0
        self._failures = failures
        self._status = status
        self.agent = Agent(FunctionModel(stream_function=self._answer, model_name=name), name=name)

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.calls += 1
        if self.calls <= self._failures:
            raise ModelHTTPError(status_code=self._status, model_name="m", body=None)
        yield "done"


async def ran(weaver: Weaver, capability: str, **options: Any) -> TaskRecord:
    engine = EmbeddedEngine(
        task_handler(Runner(weaver, load_settings(env_file=None))), policies=task_policies(weaver), chance=lambda: 0.5
    )
    await engine.start()
    try:
        task = await engine.submit(TaskRequest(capability=capability, input="go", **options))
        return await engine.result(task.id, timeout_seconds=10)
    finally:
        await engine.drain(0)


async def test_a_workflow_goes_on_after_a_provider_s_failure_where_it_was() -> None:
    weaver = Weaver("test")
    sound, shaky = Provider("sound", 0), Provider("shaky", 2)
    weaver.agent(sound.agent)
    weaver.agent(shaky.agent)

    @weaver.workflow("both", retry=AT_ONCE)
    async def both(run: Run, what: str) -> str:
        return (await run("sound", what)).text + (await run("shaky", what)).text

    done = await ran(weaver, "both")
    assert (done.state, done.attempts, done.retried, done.error) == ("succeeded", 3, 2, None)
    assert done.last_error is not None
    assert done.last_error.code == "provider-unavailable"
    assert (sound.calls, shaky.calls) == (1, 3)
    assert done.usage is not None
    # pydantic-ai counts a request when it is answered.
    assert done.usage["requests"] == 2


async def test_an_agent_without_a_word_of_it_is_tried_once() -> None:
    weaver = Weaver("test")
    shaky = Provider("shaky", 1)
    weaver.agent(shaky.agent)
    done = await ran(weaver, "shaky")
    assert (done.state, done.attempts, shaky.calls) == ("failed", 1, 1)
    done = await ran(weaver, "shaky", retries=1)
    assert (done.state, done.attempts) == ("succeeded", 1)


async def test_what_a_provider_rejects_is_not_tried_again() -> None:
    weaver = Weaver("test")
    shaky = Provider("shaky", 1, status=401)
    weaver.agent(shaky.agent, retry=AT_ONCE)
    done = await ran(weaver, "shaky")
    assert (done.state, done.attempts) == ("failed", 1)
    assert done.error is not None
    assert done.error.code == "provider-rejected"


def test_policies_are_those_of_the_registrations_also_of_later_ones() -> None:
    weaver = Weaver("test")
    policies = task_policies(weaver)
    weaver.agent(Agent(name="a"), capability="first", retry=AT_ONCE, concurrency=2)
    weaver.workflow("w", concurrency=1)(_workflow)
    weaver.agent(Agent(name="plain"))
    assert dict(policies) == {
        "first": TaskPolicy(retry=AT_ONCE, concurrency=2),
        "w": TaskPolicy(concurrency=1),
        "plain": TaskPolicy(),
    }
    assert len(policies) == 3
    assert policies.get("nothing") is None


async def _workflow(run: Run, what: str) -> str:
    return what


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retry(retries=21), "retries can't be 21"),
        (lambda: Retry(retries=-1), "retries can't be -1"),
        (lambda: Retry(retries=True), "retries can't be True"),
        (lambda: Retry(pause_seconds=0), "pauses can't go from 0 to 60.0 seconds"),
        (lambda: Retry(pause_seconds=2, longest_pause_seconds=1), "pauses can't go from 2 to 1 seconds"),
        (lambda: Retry(longest_pause_seconds=3601), "pauses can't go from 1.0 to 3601 seconds"),
        (lambda: Retry(on=(*TRANSIENT, "provider-tired")), "a retry can't be on 'provider-tired'"),
        (lambda: Retry(on=("run-cancelled", "step-changed")), "a retry can't be on 'run-cancelled', 'step-changed'"),
        (lambda: Weaver("w").agent(Agent(name="a"), concurrency=0), "a concurrency limit can't be 0"),
        (lambda: Weaver("w").workflow("w", concurrency=-2), "a concurrency limit can't be -2"),
    ],
)
def test_what_can_t_be_is_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises(RegistrationError) as refused:
        make()
    assert refused.value.message == message
    assert refused.value.hint
