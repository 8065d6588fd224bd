import json

import pytest

from weaver_ai.testing.faults import wire


@pytest.mark.parametrize(
    ("body", "accept", "stream"),
    [
        (b'{"stream": true}', "", True),
        (b'{"stream": false}', "", False),
        (b"[]", "", False),
        (b"no JSON", "", False),
        (b"", "text/event-stream", True),
    ],
)
def test_who_wants_a_stream(body, accept, stream):
    assert wire.wants_stream(body, accept) is stream


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")],
)
def test_an_error_of_anthropic(status, kind):
    error = json.loads(wire.error_body("anthropic", status))
    assert error["type"] == "error"
    assert error["error"]["type"] == kind


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "invalid_request_error", "invalid_api_key"),
        (429, "requests", "rate_limit_exceeded"),
        (503, "server_error", None),
    ],
)
def test_an_error_of_openai(status, kind, code):
    error = json.loads(wire.error_body("openai-chat", status))["error"]
    assert (error["type"], error["code"]) == (kind, code)


def test_an_error_of_anybody_else_says_who_made_it():
    assert json.loads(wire.error_body("plain", 503)) == {
        "error": "The server had an error. (injected by weaver's faults)"
    }


def test_a_stream_is_cut_between_events():
    body = b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"
    assert wire.cut(body, stream=True) == (b"data: 1\n\n", b"data: 2\n\n")
    assert wire.cut(b"data: 1\n\n", stream=True) == (b"data: 1\n\n",)
    assert wire.cut(b"0123456789", stream=False) == (b"01234",)


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic", "plain"])
@pytest.mark.parametrize("stream", [True, False])
def test_garbage_begins_well_and_can_not_be_read(dialect, stream):
    sent = wire.garbage(dialect, stream=stream)
    if not stream:
        with pytest.raises(ValueError):
            json.loads(b"".join(sent.pieces))
        return
    events = [event.partition(b"data: ")[2] for event in sent.pieces]
    for event in events[:-1]:
        json.loads(event)
    with pytest.raises(ValueError):
        json.loads(events[-1])
