"""A conversation in which the model may ask for functions to be run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from understudy.fanout import parallel_execute
from understudy.models.bound import BoundModel
from understudy.models.functions import (
    Callee,
    ModelFunction,
    Place,
    model_function,
    run_function,
)
from understudy_protocols.chat import (
    Message,
    ModelReply,
    ModelRequest,
    Prompt,
    ToolRequestPart,
    as_messages,
)
from understudy_protocols.codec import register_tag
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, StepError

DEFAULT_ROUNDS = 8
"""How often a model may ask for functions before it answers."""


class Conversation(msgspec.Struct, frozen=True):
    """What came of a conversation.

    Args:
      text: the answer.
      messages: all that was said, the answer included.
      reply: the reply that holds it.
      rounds: how often the model asked for functions; a count.
    """

    text: str
    messages: tuple[Message, ...]
    reply: ModelReply
    rounds: int


register_tag(Conversation, "understudy.conversation")


async def converse(
    model: BoundModel,
    prompt: Prompt,
    functions: Iterable[Callee | ModelFunction],
    *,
    max_rounds: int = DEFAULT_ROUNDS,
    max_concurrent: int = 5,
    max_tokens: int | None = None,
    temperature: float | None = None,
    reasoning: str = "",
    stream: bool = False,
) -> Conversation:
    """Talk to *model* until it answers, running the functions that it asks for.

    Those of one round run side by side.  What a model gets wrong, such as a name
    or an argument, it is told, and may mend; an exception of a function, other
    than `FunctionError`, is raised as it is, and the others are cancelled.  If the
    body of the step runs again, so do they, but for those that are `journaled`.

    Args:
      functions: async functions with annotated parameters, or what `journaled`
        makes of them.
      max_rounds: how often it may ask for functions; a count, 1 or more.
      max_concurrent: functions that run at once; a count.
      max_tokens, temperature, reasoning, stream: for each request; see
        `BoundModel.complete`.

    Cancellation: functions under way are cancelled; what they did is done.
    Raises:
      StepError: it still asks for functions after *max_rounds*.
      ConfigError: a function cannot be described, or two have one name.
      Whatever `BoundModel.complete` and the functions raise.
    """
    known = _by_name(functions)
    if max_rounds < 1:
        raise ConfigError(f"max_rounds is {max_rounds}; give a count from 1")
    messages = as_messages(prompt)
    conversation = model.journal.conversation_key()
    rounds = 0
    while True:
        reply = await model.reply(
            ModelRequest(
                messages,
                max_tokens=max_tokens,
                temperature=temperature,
                reasoning=reasoning,
                tools=tuple(function.tool for function in known.values()),
            ),
            stream=stream,
        )
        messages = (*messages, Message("assistant", reply.parts))
        asked = [part for part in reply.parts if isinstance(part, ToolRequestPart)]
        if not asked:
            return Conversation(reply.text, messages, reply, rounds)
        rounds += 1
        if rounds > max_rounds:
            raise StepError(
                f"{model.name} asked for functions {rounds} times and gave no answer; "
                "raise max_rounds, or say in the prompt when to stop",
                cause=Cause.STEP_ERROR,
            )
        places = (Place(conversation, rounds, n) for n in range(1, len(asked) + 1))
        calls = [
            partial(run_function, known, part, place, model.journal)
            for part, place in zip(asked, places, strict=True)
        ]
        results = await parallel_execute(calls, max_concurrent)
        messages = (*messages, Message("tool", tuple(results)))


def _by_name(
    functions: Iterable[Callee | ModelFunction],
) -> Mapping[str, ModelFunction]:
    known: dict[str, ModelFunction] = {}
    for given in functions:
        function = given if isinstance(given, ModelFunction) else model_function(given)
        if function.tool.name in known:
            raise ConfigError(f"two functions are called {function.tool.name!r}")
        known[function.tool.name] = function
    return known
