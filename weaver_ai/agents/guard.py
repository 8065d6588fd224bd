"""A provider's answer that can't be right is the provider's failure, not an answer and not a bug of the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, merge_model_settings
from pydantic_core import PydanticSerializationError

from weaver_ai.agents.cost import lost

if TYPE_CHECKING:
    from pydantic_ai.models._request_timeout import RequestDeadline

__all__ = ["GuardedModel"]


class GuardedModel(WrapperModel):
    """Sees to what pydantic-ai lets through: a broken stream's usage is marked as unmeasured, so that it has no price.

    And raises ModelAPIError, on which a fallback chain goes on, for two more.

    A body of good JSON in a wrong shape, at which the client's code stumbles with a TypeError or the like; and an
    answer that ended without a reason to end, as when a proxy closes a stream early, which would pass for complete.
    """

    def __init__(self, wrapped: Model, defaults: ModelSettings | None = None, *, ends_are_told: bool = True) -> None:
        """Wrap a model.

        Args:
            wrapped: the model.
            defaults: settings that its own, and those of a run, go over.
            ends_are_told: whether every finished answer of it says why it ended.
        """
        super().__init__(wrapped)
        self._defaults = defaults
        self._ends_are_told = ends_are_told

    @property
    def settings(self) -> ModelSettings | None:
        return merge_model_settings(self._defaults, self.wrapped.settings)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        return self.wrapped.prepare_request(self._with_defaults(model_settings), model_request_parameters)

    def _start_request_deadline(self, model_settings: ModelSettings | None, **how: Any) -> RequestDeadline | None:
        # A fallback chain asks for it with the run's settings alone. What else it says differs between versions.
        return super()._start_request_deadline(self._with_defaults(model_settings), **how)

    def _with_defaults(self, model_settings: ModelSettings | None) -> ModelSettings | None:
        return model_settings if self._defaults is None else merge_model_settings(self.settings, model_settings)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        try:
            response = await super().request(messages, self._with_defaults(model_settings), model_request_parameters)
            self._check(response)
        except BaseException as error:  # what the clients stumble with over an odd answer has no base in common
            failure = self._sorted(error)
            lost(failure)
            if failure is error:
                raise
            raise failure from error
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
            settings = self._with_defaults(model_settings)
            opening = super().request_stream(messages, settings, model_request_parameters, run_context)
            try:
                stream = await stack.enter_async_context(opening)
            except BaseException as error:  # as above
                failure = self._sorted(error)
                lost(failure)
                if failure is error:
                    raise
                raise failure from error
            try:
                yield stream
            except BaseException as error:  # who is cancelled has paid, too
                lost(error)
                # Tokens were used, and nobody will say how many: without this the answer would be priced at 0.
                stream.usage.unmeasured_requests = 1
                raise
            try:
                self._check(stream.get())
            except ModelAPIError as error:
                lost(error)
                raise

    def _check(self, response: ModelResponse) -> None:
        if self._ends_are_told and response.finish_reason is None and response.state in {"complete", "incomplete"}:
            raise ModelAPIError(self.model_name, "the answer ended early")

    def _sorted(self, error: BaseException) -> BaseException:
        """The error, or the provider's failure that it is."""
        if _is_sorted(error):
            return error
        return ModelAPIError(self.model_name, "the answer has an unexpected shape")


def _is_sorted(error: BaseException) -> bool:
    """Whether it is known whose failure it is; of an unexpected answer pydantic-ai doesn't say it."""
    if not isinstance(error, Exception):
        return True
    if isinstance(error, PydanticSerializationError | UnicodeEncodeError):
        return True  # of the request, which the client couldn't write
    return isinstance(error, UserError | AgentRunError) and not isinstance(error, UnexpectedModelBehavior)
