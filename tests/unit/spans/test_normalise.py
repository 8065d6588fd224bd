import pytest

from weaver_ai.spans.normalise import normalise


@pytest.mark.parametrize(
    ("key", "value", "stable"),
    [
        ("server.port", 53211, "<port>"),
        ("service.version", "1.2.3", "<version>"),
        ("telemetry.sdk.version", "1.45.2", "<version>"),
        ("host.name", "ip-10-0-0-7", "<host>"),
        ("gen_ai.tool.call.id", "call_abc", "<id>"),
        ("thread.id", 140, "<id>"),
        ("url.full", "http://127.0.0.1:53211/v1?a=1", "http://127.0.0.1:<port>/v1?a=1"),
        ("url.full", "http://[::1]:53211/", "http://[::1]:<port>/"),
        ("url.full", "https://api.example.com:8443/v1", "https://api.example.com:8443/v1"),
        ("user_agent.original", "python-httpx/0.28.1", "python-httpx/<version>"),
        ("db.host", "fake-3f2504e0-4f89-41d3-9a0c-0305e82c3301", "fake-<uuid>"),
        ("at", "2026-11-23T14:30:00.123Z", "<time>"),
        ("note", "since 2026-11-23 14:30:00+01:00.", "since <time>."),
        ("parent", "0af7651916cd43dd8448eb211c80319c", "<id>"),
        ("span", "b7ad6b7169203331", "<id>"),
        ("obj", "<function f at 0x7f00aabbccdd>", "<function f at <address>>"),
        ("order", 7, 7),
        ("ok", True, True),
        ("ratio", 0.5, 0.5),
        ("text", "order 1234567 was 12.50 EUR", "order 1234567 was 12.50 EUR"),
        ("list", ("localhost:5000", 3), ["localhost:<port>", 3]),
        ("nested", {"server.port": 1, "x": "y"}, {"server.port": "<port>", "x": "y"}),
        ("empty", None, None),
    ],
)
def test_what_changes_from_run_to_run_is_replaced(key, value, stable):
    assert normalise(key, value) == stable
    assert normalise(key, normalise(key, value)) == stable
