import threading

from weaver_ai.testing.faults import fault
from weaver_ai.testing.faults.plan import FaultPlan, current, is_heard, on_change
from weaver_ai.testing.faults.session import complaint, notes


def calls(plan, number, edge="openai"):
    """Which of that many calls are hit."""
    return [call for call in range(1, number + 1) if plan.strike(lambda spec: spec.edge == edge)]


def test_without_narrowing_every_call_is_hit_until_it_is_lifted():
    with FaultPlan("") as plan:
        armed = plan.arm(fault.openai.timeout())
        assert calls(plan, 3) == [1, 2, 3]
        armed.lift()
        armed.lift()
        assert calls(plan, 3) == []
        assert (armed.calls, armed.hits, armed.active) == (3, 3, False)


def test_on_call_counts_from_when_it_is_armed():
    with FaultPlan("") as plan:
        calls(plan, 5)
        plan.arm(fault.openai.timeout()).on_call(2, 4)
        assert calls(plan, 5) == [2, 4]


def test_a_block_lifts():
    with FaultPlan("") as plan:
        with plan.arm(fault.openai.timeout()):
            assert calls(plan, 1) == [1]
        assert calls(plan, 1) == []


def test_other_edges_are_not_counted():
    with FaultPlan("") as plan:
        armed = plan.arm(fault.openai.timeout())
        assert calls(plan, 2, "anthropic") == []
        assert armed.calls == 0


def test_the_first_armed_is_the_one_that_strikes_and_both_count():
    with FaultPlan("") as plan:
        first = plan.arm(fault.openai.timeout()).on_call(2)
        second = plan.arm(fault.openai.refused())
        struck = [plan.strike(lambda spec: spec.edge == "openai") for _ in range(2)]
        assert struck == [second, first]
        assert (first.struck, second.struck) == ([2], [1, 2])


def shares(seed, chance=0.3):
    with FaultPlan(seed) as plan:
        plan.arm(fault.openai.timeout()).share(chance)
        return calls(plan, 400)


def test_a_share_follows_from_the_seed():
    assert shares("7:test_a") == shares("7:test_a")
    assert shares("7:test_a") != shares("8:test_a")
    assert shares("7:test_a") != shares("7:test_b")
    assert 80 <= len(shares("7:test_a")) <= 160
    assert len(shares("7:test_a", 1.0)) == 400


def test_a_share_does_not_depend_on_what_other_faults_met():
    with FaultPlan("7:test_a") as plan:
        plan.arm(fault.openai.timeout()).share(0.3)
        plan.arm(fault.anthropic.timeout()).share(0.5)
        mixed = []
        for call in range(1, 401):
            plan.strike(lambda spec: spec.edge == "anthropic")
            if plan.strike(lambda spec: spec.edge == "openai"):
                mixed.append(call)
    assert mixed == shares("7:test_a")


def test_threads_lose_no_call():
    with FaultPlan("") as plan:
        armed = plan.arm(fault.openai.timeout()).on_call(500)
        threads = [threading.Thread(target=calls, args=(plan, 250)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (armed.calls, armed.struck) == (1000, [500])


def test_the_plan_in_force_is_the_innermost():
    assert current() is None
    with FaultPlan("") as outer:
        with FaultPlan("") as inner:
            assert current() is inner
        assert current() is outer
    assert current() is None


def test_listeners_hear_every_change():
    heard = []
    forget = on_change(lambda: heard.append([fault.id for fault in current().active] if current() else None))
    assert is_heard()
    with FaultPlan("") as plan:
        with plan.arm(fault.redis.down()) as armed:
            armed.on_call(3)
    forget()
    assert not is_heard()
    assert heard == [[], ["redis-down"], ["redis-down-on-call-3"], [], None]


def test_what_never_struck_is_named_unless_it_may_miss():
    with FaultPlan("") as plan:
        plan.arm(fault.openai.timeout())
        plan.arm(fault.redis.oom()).optional()
        plan.arm(fault.redis.slow(1)).share(0.1)
        plan.arm(fault.anthropic.timeout()).on_call(3)
        struck = plan.arm(fault.exporter.down())
        calls(plan, 2, "anthropic")
        calls(plan, 1, "exporter")
    assert struck.hits == 1
    assert complaint(plan.missed()) == (
        "a fault was armed and never struck, so the test shows nothing about it:\n"
        "  openai-timeout: no call came by\n"
        "  anthropic-timeout-on-call-3: struck none of 2 calls\n"
        "  say .optional() where that is right"
    )
    assert complaint([]) is None


def test_the_notes_of_a_failure_say_how_to_repeat_it():
    with FaultPlan("") as plan:
        plan.arm(fault.openai.timeout())
        calls(plan, 12)
        plan.arm(fault.anthropic.reset()).on_call(1)
        calls(plan, 1, "anthropic")
        assert list(notes(plan, 42)) == [
            "openai-timeout: struck 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more of 12 calls",
            "anthropic-reset-on-call-1: struck 1 of 1 call",
        ]
        plan.arm(fault.anthropic.slow(1)).share(0.5)
        assert list(notes(plan, 42))[2:] == [
            "anthropic-slow-1s-share-0.5: no call came by",
            "the same calls again: --weaver-faults-seed=42",
        ]


def test_a_fault_says_what_it_did():
    with FaultPlan("") as plan:
        armed = plan.arm(fault.openai.timeout()).on_call(2)
        calls(plan, 3)
        assert repr(armed) == "<fault openai-timeout-on-call-2: struck 2 of 3 calls>"
