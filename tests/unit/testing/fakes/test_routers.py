"""The providers below whichever of the two clients is installed."""

from __future__ import annotations

import httpx

from weaver_ai.testing.fakes.providers.providers import Providers
from weaver_ai.testing.fakes.providers.routers import serve
from weaver_ai.testing.faults.absent import without

CHAT = "https://api.openai.com/v1/chat/completions"


def test_httpx_is_served_where_httpx2_is_not_installed() -> None:
    providers = Providers()
    providers.openai.replies("Hello.")
    with without("httpx2", "httpcore2"), serve(providers):
        answer = httpx.post(CHAT, json={"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.json()["choices"][0]["message"]["content"] == "Hello."
