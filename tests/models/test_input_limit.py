"""How much of a conversation a step sends, and what is left out first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Cause,
    ConfigError,
    Context,
    Message,
    ModelError,
    ModelRequest,
    RunResult,
    Runtime,
    step,
)
from understudy.models.input_limit import InputLimit
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded
from understudy_protocols.chat import ToolRequestPart, ToolResultPart

# Each text of 396 characters is 99 tokens; with its message, 103.
LONG = "x" * 396


def talk(*roles: str) -> tuple[Message, ...]:
    return tuple(Message.of(role, LONG) for role in roles)  # type: ignore[arg-type]


def kept(limit: InputLimit, *messages: Message) -> list[int]:
    """Return the places of the messages that are sent."""
    fitted = limit.fitted(ModelRequest(messages)).messages
    return [place for place, message in enumerate(messages) if message in fitted]


def numbered(*roles: str) -> list[Message]:
    return [
        Message.of(role, f"{place:03}" + LONG[3:])  # type: ignore[arg-type]
        for place, role in enumerate(roles)
    ]


def test_what_fits_is_sent_as_it_is() -> None:
    request = ModelRequest(talk("system", "user"))
    assert InputLimit(206).fitted(request) is request


def test_what_does_not_fit_is_refused_unless_it_may_be_trimmed() -> None:
    request = ModelRequest(talk("system", "user"))
    with pytest.raises(ModelError, match="about 206 tokens, and the step sends 205"):
        InputLimit(205).fitted(request)


def test_the_oldest_go_first_but_neither_the_system_nor_the_last() -> None:
    talked = numbered("user", "system", "assistant", "user", "assistant", "user")
    assert kept(InputLimit(400, "oldest"), *talked) == [1, 4, 5]
    assert kept(InputLimit(210, "oldest"), *talked) == [1, 5]
    with pytest.raises(ModelError) as caught:
        InputLimit(200, "oldest").fitted(ModelRequest(talked))
    assert caught.value.cause is Cause.CONTEXT_TOO_LONG


def test_a_result_goes_with_what_asked_for_it() -> None:
    asked = Message("assistant", (ToolRequestPart("1", "look_up", LONG),))
    told = Message("tool", (ToolResultPart("1", LONG),))
    again = Message("assistant", (ToolRequestPart("2", "look_up", LONG),))
    last = Message("tool", (ToolResultPart("2", LONG),))
    talked = [*numbered("user"), asked, told, again, last]
    # 103 + 105 + 103 and 105 + 103 are there.
    assert kept(InputLimit(420, "oldest"), *talked) == [1, 2, 3, 4]
    assert kept(InputLimit(415, "oldest"), *talked) == [3, 4]
    with pytest.raises(ModelError):
        InputLimit(200, "oldest").fitted(ModelRequest(talked))


roles = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(roles, min_size=1, max_size=12), st.integers(1, 2000))
def test_what_is_sent_fits_is_in_order_and_splits_no_pair(
    roles: list[str], most: int
) -> None:
    talked = numbered(*roles)
    try:
        sent = kept(InputLimit(most, "oldest"), *talked)
    except ModelError:
        return
    assert len(sent) * 103 <= most
    assert len(talked) - 1 in sent
    assert {n for n, role in enumerate(roles) if role == "system"} <= set(sent)
    for place in sent[:-1]:
        if roles[place] == "tool":
            before = [n for n in range(place) if roles[n] not in ("tool", "system")]
            assert not before or before[-1] in sent


@pytest.mark.parametrize(
    ("tokens", "trim"), [(0, "refuse"), (True, "refuse"), (5, "newest")]
)
def test_a_limit_that_cannot_be_meant_is_refused(tokens: int, trim: str) -> None:
    with pytest.raises(ConfigError):
        InputLimit(tokens, trim)  # type: ignore[arg-type]


@pytest.mark.parametrize("trims", [False, True])
def test_a_step_keeps_its_models_within_its_limit(trims: bool) -> None:
    model = ScriptedModel(["yes"])
    limit = InputLimit(110, "oldest") if trims else 110

    @step(max_input_tokens=limit)
    async def ask(context: Context[str], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete(talk("user", "user"))).value

    async def main() -> RunResult[str]:
        async with Runtime(ask, models={"m": model}) as runtime:
            return await runtime.run(ask, "go")

    result = run_seeded(main, seed=0)
    if trims:
        assert result.value == "yes"
        assert len(model.requests[0].messages) == 1
    else:
        assert result.failure is not None
        assert result.failure.cause is Cause.CONTEXT_TOO_LONG
        assert model.requests == ()
        assert result.attempts == 1
