import pytest

from weaver_ai.testing.faults import every, fault

IDS = [
    (fault.openai.timeout(), "openai-timeout"),
    (fault.openai.timeout("read"), "openai-timeout-read"),
    (fault.anthropic.reset(midway=True), "anthropic-reset-midway"),
    (fault.openai.status(429, retry_after=2), "openai-status-429"),
    (fault.openai.slow(0.5).on_call(2), "openai-slow-0.5s-on-call-2"),
    (fault.openai.bad_key().on_call(1, 3), "openai-bad-key-on-call-1-3"),
    (fault.anthropic.malformed().share(0.3), "anthropic-malformed-share-0.3"),
    (fault.http("api.example.com").refused(), "http-api.example.com-refused"),
    (fault.redis.flaky(2), "redis-flaky-2"),
    (fault.redis.reconnect(), "redis-reconnect"),
    (fault.redis.reconnect().on_call(3), "redis-reconnect-on-call-3"),
    (fault.exporter.rejects(), "exporter-rejects-403"),
    (fault.exporter.rejects(400), "exporter-rejects-400"),
]


@pytest.mark.parametrize(("spec", "id_"), IDS, ids=[id_ for _, id_ in IDS])
def test_a_fault_is_named_by_what_it_is(spec, id_):
    assert spec.id == str(spec) == id_


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: fault.openai.timeout("conect"),
            "timeout takes a phase of a call, one of connect, read, write, pool; got 'conect'",
        ),
        (lambda: fault.openai.status("429"), "a fault's status lies from 400 to 599; got '429'"),
        (lambda: fault.openai.status(200), "a fault's status lies from 400 to 599; got 200"),
        (lambda: fault.exporter.rejects(302), "a fault's status lies from 400 to 599; got 302"),
        (lambda: fault.redis.slow(0), "slow takes a number of seconds above 0; got 0"),
        (lambda: fault.redis.flaky(0), "flaky takes a number of failures from 1; got 0"),
        (lambda: fault.redis.down().on_call(0), "on_call counts from 1; got 0"),
        (lambda: fault.redis.down().on_call(), "on_call counts from 1; got no number"),
        (lambda: fault.redis.down().share(0), "share takes a number above 0 and up to 1; got 0"),
        (lambda: fault.redis.down().share(1.5), "share takes a number above 0 and up to 1; got 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(make, message):
    with pytest.raises(ValueError) as refused:
        make()
    assert str(refused.value) == message


def test_every_is_one_row_for_each_word_of_an_edge():
    assert [spec.id for spec in every(fault.redis)] == [
        "redis-down",
        "redis-slow-0.2s",
        "redis-flaky-1",
        "redis-readonly",
        "redis-oom",
        "redis-reconnect",
    ]
    assert [spec.id for spec in every(fault.exporter)] == [
        "exporter-down",
        "exporter-hangs",
        "exporter-rejects-403",
        "exporter-full",
    ]
    assert [spec.id for spec in every(fault.openai)] == [
        "openai-timeout",
        "openai-timeout-read",
        "openai-refused",
        "openai-reset",
        "openai-reset-midway",
        "openai-slow-0.2s",
        "openai-status-429",
        "openai-status-500",
        "openai-status-529",
        "openai-malformed",
        "openai-truncated",
        "openai-bad-key",
    ]


def test_naming_a_fault_arms_nothing_and_narrowing_makes_another():
    plain = fault.openai.timeout()
    assert plain.on_call(2) != plain
    assert plain.calls == ()


def test_an_edge_that_there_is_not_is_answered_with_those_there_are():
    with pytest.raises(AttributeError) as unknown:
        fault.mistral  # noqa: B018 # asking is the point
    assert str(unknown.value) == (
        "there is no edge 'mistral': there are openai, anthropic, redis, exporter, "
        "and http('host') for any other server"
    )
    assert not hasattr(fault, "mistral")
