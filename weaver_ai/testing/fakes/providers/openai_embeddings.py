"""OpenAI's embeddings.

Nobody needs to queue vectors: without any, an input's vector follows from its text, has length 1, and
is the same in every run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import struct
from collections.abc import Sequence
from typing import Any

from weaver_ai.testing.fakes.providers.answers import Asked, Embedding, Usage

__all__ = ["embeddings", "inputs_of", "vector_of"]

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536


def inputs_of(body: Any) -> list[Any]:
    """The inputs of a request: one text, one list of tokens, or a list of either."""
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        return [given]
    return list(given or [])


def vector_of(text: Any, dimensions: int) -> list[float]:
    """The vector that follows from an input."""
    seed = hashlib.sha256(json.dumps(text).encode()).digest()
    source = random.Random(seed)  # noqa: S311 - a fake's numbers
    numbers = [source.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def embeddings(planned: Embedding | None, asked: Asked) -> tuple[dict[str, Any], Usage]:
    """The body and what it cost; the official client asks for base64 of 32-bit floats."""
    inputs = inputs_of(asked.body)
    vectors = planned.vectors if planned else _vectors(inputs, asked)
    if len(vectors) != len(inputs):
        raise ValueError(f"{len(vectors)} vectors are queued for a request with {len(inputs)} inputs")
    usage = Usage(input=max(1, len(json.dumps(inputs)) // 4), output=0)
    base64_wanted = asked.body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if base64_wanted else list(vector)}
        for index, vector in enumerate(vectors)
    ]
    tokens = {"prompt_tokens": usage.input, "total_tokens": usage.input}
    return {"object": "list", "data": data, "model": asked.model, "usage": tokens}, usage


def _vectors(inputs: Sequence[Any], asked: Asked) -> Sequence[Sequence[float]]:
    dimensions = asked.body.get("dimensions") or _DIMENSIONS.get(asked.model, _USUAL_DIMENSIONS)
    return [vector_of(text, dimensions) for text in inputs]


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
