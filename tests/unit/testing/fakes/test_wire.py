"""Pieces, vectors and addresses: the parts of the wire that no official type describes."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any

import pytest

from weaver_ai.testing.fakes import embedding
from weaver_ai.testing.fakes.providers.ids import Ids
from weaver_ai.testing.fakes.providers.openai_embeddings import embeddings, vector_of
from weaver_ai.testing.fakes.providers.reply import sse, torn
from weaver_ai.testing.network.urls import shown_url


@dataclass
class Asked:
    body: Any
    model: str = "text-embedding-3-small"


@pytest.mark.parametrize("count", range(10))
def test_torn_events_join_to_the_whole(count: int) -> None:
    events = [sse(None, {"number": number}) for number in range(count)]
    assert b"".join(torn(events)) == b"".join(events)


def test_torn_events_are_joined_and_halved() -> None:
    assert list(torn([b"aaaa", b"bbbb", b"cccc", b"dddd", b"eeee", b"ffff"])) == [
        b"aaaa", b"bbbbcccc", b"dd", b"dd", b"eeee", b"ffff",
    ]  # fmt: skip


def test_torn_events_come_as_they_are_made() -> None:
    made: list[int] = []

    def events() -> Any:
        for number in range(8):
            made.append(number)
            yield b"data"

    stream = torn(events())
    next(stream)
    assert made == [0]
    next(stream)
    assert made == [0, 1, 2]


def test_an_event_keeps_its_characters() -> None:
    assert sse("ping", {"text": "grün"}) == 'event: ping\ndata: {"text": "grün"}\n\n'.encode()
    assert sse(None, "[DONE]") == b"data: [DONE]\n\n"


def test_ids_are_the_same_in_every_run_and_never_twice() -> None:
    first, second = Ids(), Ids()
    made = [first.of("req_", 24) for _ in range(100)]
    assert made == [second.of("req_", 24) for _ in range(100)]
    assert len(set(made)) == 100


def test_vectors_follow_from_their_text() -> None:
    vector = vector_of("refund", 8)
    assert vector == vector_of("refund", 8)
    assert vector != vector_of("billing", 8)
    assert sum(number * number for number in vector) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given", "count"),
    [("one text", 1), (["two", "texts"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)],
    ids=["text", "texts", "tokens", "lists of tokens"],
)
def test_each_input_has_a_vector(given: Any, count: int) -> None:
    body, usage = embeddings(None, Asked({"input": given, "dimensions": 4}))
    assert [len(item["embedding"]) for item in body["data"]] == [4] * count
    assert [item["index"] for item in body["data"]] == list(range(count))
    assert body["usage"] == {"prompt_tokens": usage.input, "total_tokens": usage.input}


def test_base64_is_32_bit_floats() -> None:
    body, _ = embeddings(embedding([0.5, -1.0]), Asked({"input": "x", "encoding_format": "base64"}))
    assert struct.unpack("<2f", base64.b64decode(body["data"][0]["embedding"])) == (0.5, -1.0)


@pytest.mark.parametrize(("model", "size"), [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072)])
def test_vectors_are_as_long_as_the_models(model: str, size: int) -> None:
    body, _ = embeddings(None, Asked({"input": "x"}, model))
    assert len(body["data"][0]["embedding"]) == size


def test_vectors_must_fit_the_inputs() -> None:
    with pytest.raises(ValueError, match=r"^1 vectors are queued for a request with 2 inputs$"):
        embeddings(embedding([1.0]), Asked({"input": ["a", "b"]}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1/models", "https://api.example.com/v1/models"),
        ("https://me:pass@example.com:8443/a?key=1&flag#top", "https://example.com:8443/a?key=***&***"),
        ("https://api.telegram.org/bot123456:abc/send", "https://api.telegram.org/***/send"),
        ("https://example.com/hook/" + "-".join(("sk", "0a1" * 8)), "https://example.com/hook/***"),
        ("https://x.openai.azure.com/gpt-4o-2024-08-06/chat", "https://x.openai.azure.com/gpt-4o-2024-08-06/chat"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown
