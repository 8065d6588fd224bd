"""A large model, or a small one where it fails; a cache, or none. Nothing here knows of Weaver."""

from functools import cache

import openai
import redis
from opentelemetry import trace
from redis.backoff import NoBackoff
from redis.retry import Retry

LARGE, SMALL = "gpt-5", "gpt-5-mini"
FAILED = (openai.OpenAIError, ValueError)  # ValueError: a body that is no JSON, which the client lets through

tracer = trace.get_tracer("answers")
known_answers = redis.Redis(socket_timeout=0.5, decode_responses=True, retry=Retry(NoBackoff(), 0))


def answer(question: str) -> str:
    """From the cache, else from the large model, else from the small one."""
    with tracer.start_as_current_span("answer"):
        if (known := recall(question)) is not None:
            return known
        try:
            text = ask(LARGE, question)
        except FAILED:
            text = ask(SMALL, question)
        remember(question, text)
        return text


@cache
def models() -> openai.OpenAI:
    """The client; it wants its key when it is made, and this module is imported without one."""
    return openai.OpenAI(max_retries=0)


def ask(model: str, question: str) -> str:
    with tracer.start_as_current_span(f"chat {model}"):
        return models().responses.create(model=model, input=question).output_text


def recall(question: str) -> str | None:
    with tracer.start_as_current_span("recall") as span:
        try:
            return known_answers.get(question)
        except redis.RedisError as error:
            span.set_attribute("error.type", type(error).__name__)
            return None


def remember(question: str, text: str) -> None:
    with tracer.start_as_current_span("remember") as span:
        try:
            known_answers.set(question, text, ex=3600)
        except redis.RedisError as error:
            span.set_attribute("error.type", type(error).__name__)
