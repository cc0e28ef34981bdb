"""One question to one model, through the whole runtime: a workflow of one step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs

from understudy.events import RunEvent
from understudy.models.asking import ModelDelta, Restarted
from understudy.models.bound import Completion
from understudy.result import RunResult
from understudy.runtime import Runtime
from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context
from understudy.workflows.nodes import Workflow
from understudy.workflows.step import step
from understudy_protocols.chat import Model
from understudy_protocols.failures import ModelError
from understudy_protocols.retry import RetryConfig


@attrs.frozen(kw_only=True)
class Question:
    """What is asked, and how.

    Args:
      prompt: the words.
      model: the model's name.
      output: the JSON schema that the answer has to fit; None for a text.
      stream: whether the answer comes in pieces.
      max_tokens: the most that the model may write; a count, None for what its
        configuration says.
      retry: how often and how long.
      deadline: for all of it; seconds.
    """

    prompt: str
    model: str
    output: Mapping[str, object] | None = None
    stream: bool = False
    max_tokens: int | None = None
    retry: RetryConfig = attrs.field(factory=RetryConfig)
    deadline: float | None = None


class Heard:
    """What a question came to, beyond what a result keeps.

    Attributes:
      completion: the answer; None if there is none that can be used.
      error: the last word of the model's side; None if there is an answer.
    """

    def __init__(self) -> None:
        self.completion: Completion[object] | None = None
        self.error: ModelError | None = None


@attrs.frozen
class Wait:
    """One wait.

    Args:
      why: for what.
      before: the number of the attempt that was sent after it.
      began: when; seconds since the question was accepted.
      length: seconds.
    """

    why: str
    before: int
    began: float
    length: float


@attrs.frozen
class Asked:
    """A question that is over.

    Args:
      result: the run's.
      heard: what its model said.
      waits: its waits, in order.
      accepted: when it was accepted, on the runtime's clock; seconds.
      shown: what came of the answer in pieces, and was not followed by another.
    """

    result: RunResult[object]
    heard: Heard
    waits: tuple[Wait, ...]
    accepted: float
    shown: str


Listener = Callable[[RunEvent], Awaitable[None]]


async def put(
    question: Question, models: Mapping[str, Model], listen: Listener
) -> Asked:
    """Put a question, and return what came of it.

    Args:
      listen: is shown each event as it comes; the model waits for it.

    Cancellation: the request is given up, and its connection closed.
    """
    heard, seen = Heard(), _Seen()
    workflow = _workflow(question)
    async with (
        Runtime(workflow, models=models, deps=heard) as runtime,
        runtime.stream(workflow, question.prompt, deadline=question.deadline) as events,
    ):
        async for event in events:
            seen.see(event)
            await listen(event)
        result = await events.result()
    return Asked(result, heard, tuple(seen.waits), seen.accepted, seen.shown)


def _workflow(question: Question) -> Workflow[str, object, Heard]:
    @step(retry=question.retry)
    async def ask(context: Context[str], attempt: Attempt[Heard]) -> object:
        model, heard = attempt.models[question.model], attempt.deps
        try:
            if question.output is None:
                said: Completion[object] = await model.complete(
                    context.input,
                    max_tokens=question.max_tokens,
                    stream=question.stream,
                )
            else:
                said = await model.complete(
                    context.input,
                    output=question.output,
                    max_tokens=question.max_tokens,
                    stream=question.stream,
                )
        except ModelError as error:
            heard.error = error
            raise
        heard.completion = said
        return said.value

    return ask


class _Seen:
    """What the events of one run say."""

    def __init__(self) -> None:
        self.accepted = 0.0
        self.waits: list[Wait] = []
        self.shown = ""
        self._begun: dict[str, float] = {}

    def see(self, event: RunEvent) -> None:
        """Take in the next event."""
        if event.kind == "accepted":
            self.accepted = event.time
        elif event.kind == "waiting":
            self._begun[event.detail] = event.time
        elif event.kind == "waited":
            began = self._begun.pop(event.detail)
            length = event.time - began
            began -= self.accepted
            self.waits.append(Wait(event.detail, event.attempt, began, length))
        piece = piece_of(event)
        if isinstance(piece, Restarted):
            self.shown = ""
        elif piece is not None and not piece.reasoning:
            self.shown += piece.text


def piece_of(event: RunEvent) -> ModelDelta | Restarted | None:
    """Return what an event shows of the answer; None if it shows nothing."""
    value = event.value
    return value if isinstance(value, ModelDelta | Restarted) else None
