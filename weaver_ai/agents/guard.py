"""A provider's answer that can't be right is the provider's failure, not an answer and not a bug of the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_core import PydanticSerializationError

__all__ = ["GuardedModel"]


class GuardedModel(WrapperModel):
    """Sees to what pydantic-ai lets through: a broken stream's usage is marked as unmeasured, so that it has no price.

    And raises ModelAPIError, on which a fallback chain goes on, for two more.

    A body of good JSON in a wrong shape, at which the client's code stumbles with a TypeError or the like; and an
    answer that ended without a reason to end, as when a proxy closes a stream early, which would pass for complete.
    """

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        try:
            response = await super().request(messages, model_settings, model_request_parameters)
        except Exception as error:  # what the clients stumble with over an odd answer has no base in common
            if _is_sorted(error):
                raise
            raise self._unreadable() from error
        self._check(response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        async with AsyncExitStack() as stack:
            opening = super().request_stream(messages, model_settings, model_request_parameters, run_context)
            try:
                stream = await stack.enter_async_context(opening)
            except Exception as error:  # as above
                if _is_sorted(error):
                    raise
                raise self._unreadable() from error
            try:
                yield stream
            except BaseException:  # who is cancelled has paid, too
                # Tokens were used, and nobody will say how many: without this the answer would be priced at 0.
                stream.usage.unmeasured_requests = 1
                raise
            self._check(stream.get())

    def _check(self, response: ModelResponse) -> None:
        if response.finish_reason is None and response.state in {"complete", "incomplete"}:
            raise ModelAPIError(self.model_name, "the answer ended early")

    def _unreadable(self) -> ModelAPIError:
        return ModelAPIError(self.model_name, "the answer has an unexpected shape")


def _is_sorted(error: Exception) -> bool:
    """Whether it is known whose failure it is; of an unexpected answer pydantic-ai doesn't say it."""
    if isinstance(error, PydanticSerializationError | UnicodeEncodeError):
        return True  # of the request, which the client couldn't write
    return isinstance(error, UserError | AgentRunError) and not isinstance(error, UnexpectedModelBehavior)
