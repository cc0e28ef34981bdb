"""A mark of what is sensitive that would hide nothing is refused, wherever it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypedDict, cast

import attrs
import pytest

from understudy import (
    SENSITIVE,
    Attempt,
    Context,
    cascade,
    child,
    each,
    pause,
    repeat,
    route,
    sequence,
    stateful_step,
    step,
)
from understudy.models import journaled
from understudy.workflows.check import check
from understudy.workflows.nodes import AnyWorkflow
from understudy.workflows.policy import Decision, RoutingPolicy
from understudy_protocols.errors import ConfigError, UnheededMarkError

Password = Annotated[str, SENSITIVE]


class Login(TypedDict):
    user: str
    password: Password


@attrs.frozen
class Token:
    text: Password


@step
async def plain(context: Context[str]) -> str:
    return context.input


@step(name="takes")
async def takes_text(context: Context[Password]) -> str:
    return context.input


@step(name="takes")
async def takes_mapping(context: Context[Login]) -> str:
    return context.input["user"]


@step(name="gives")
async def gives_text(context: Context[str]) -> Password:
    return context.input


@step(name="gives", thread=True)
def gives_some(context: Context[str]) -> tuple[Password | None, ...]:
    return ()


@step(name="gives", output=Login)
async def gives_mapping(context: Context[str]) -> Mapping[str, str]:
    return {}


class Keeps:
    async def execute(
        self, context: Context[object], attempt: Attempt[object]
    ) -> Password:
        return ""


def texts(context: Context[str]) -> tuple[Password, ...]:
    return (context.input,)


def text(context: Context[str]) -> Password:
    return context.input


def good(value: Password | object) -> bool:
    return bool(value)


def way(context: Context[Mapping[str, Password]]) -> str:
    return "plain"


class Chooses:
    labels = ("plain",)

    def decide(self, context: Context[Login]) -> Decision:
        return Decision("plain")


def never(context: Context[Password]) -> bool:
    return False


@step(when=cast("Callable[[Context[object]], bool]", never))
async def rarely(context: Context[str]) -> str:
    return context.input


MARKED: dict[str, AnyWorkflow] = {
    "takes: 'context' of its function is marked SENSITIVE by itself": takes_text,
    "takes: 'context' of its function has Login.password": takes_mapping,
    "gives: what its function gives is marked SENSITIVE by itself": gives_text,
    "gives: what its function gives is marked": gives_some,
    "gives: its output has Login.password": gives_mapping,
    "keeps: what execute gives is marked": stateful_step(
        Keeps, name="keeps", output=str
    ),
    "keeps: its output has Login": stateful_step(Keeps, name="keeps", output=Login),
    "ask: its output is marked": pause("ask", output=cast("type[object]", Password)),
    "ask: its output has Login": pause("ask", output=Login),
    "each: what over gives is marked": each(plain, over=texts),
    "inner: what input gives is marked": child(plain, input=text, name="inner"),
    "way: 'context' of its policy is marked": route(way, plain=plain, name="way"),
    "way: 'context' of its policy has Login": route(
        cast("RoutingPolicy", Chooses()), plain=plain, name="way"
    ),
    "better: 'value' of accept is marked": cascade(plain, accept=good, name="better"),
    "again: 'value' of until is marked": repeat(
        plain, until=good, max_rounds=2, name="again"
    ),
    "rarely: 'context' of when is marked": rarely,
}


@pytest.mark.parametrize("said", MARKED)
@pytest.mark.parametrize("inside", [False, True])
def test_a_mark_that_would_hide_nothing_is_refused_where_it_stands(
    said: str, inside: bool
) -> None:
    node = MARKED[said]
    flow = sequence(plain.named("first"), node, name="flow") if inside else node
    with pytest.raises(UnheededMarkError) as caught:
        check(flow)
    place, what = said.split(": ", 1)
    assert caught.value.place.endswith(place)
    assert caught.value.problem.startswith(what)
    assert "let it be a field of a record" in caught.value.problem


def test_what_a_step_depends_on_may_be_marked_as_its_author_likes() -> None:
    @step
    async def depends(context: Context[Token], attempt: Attempt[Login]) -> Token:
        return context.input

    check(depends)


async def told(user: str) -> Password:
    return user


async def asked(login: Login) -> str:
    return login["user"]


async def hidden(token: Token) -> Token:
    return token


def test_so_is_one_of_a_function_that_a_model_may_ask_for() -> None:
    with pytest.raises(ConfigError, match="told: what it gives is marked SENSITIVE by"):
        journaled(told)
    with pytest.raises(ConfigError, match=r"asked: 'login' has Login\.password"):
        journaled(asked)
    journaled(hidden)
