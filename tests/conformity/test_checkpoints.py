"""Public waits: each lets others run, and none keeps a cancellation to itself."""

from __future__ import annotations

import ast

import pytest
import trio
import trio.testing
from public_calls import NOT_CALLED, ROOT, SCENES, Call, declared
from stepwise import CutAtStep, cut_at_every_step

from understudy.testing import run_seeded
from understudy_actors.mailbox import Mailbox, Overflow

ELSEWHERE = {
    "ManyRuns.__aenter__": "entering does nothing, and leaving is `aclose`",
    "ManyRuns.__aexit__": "it is `aclose`",
    "EventStream.__aexit__": "part of the scene of `__aenter__`",
    "RunStream.__aexit__": "part of the scene of `__aenter__`",
    "Runtime.serve": "it ends by a cancellation only",
}
"""Calls that have no scene of their own, and why."""

HALVES = {
    "ActorSystem.__aenter__",
    "ActorSystem.__aexit__",
    "Runtime.__aenter__",
    "Runtime.__aexit__",
}
"""They open and close scopes of trio: only the whole block can be cut."""

DONE = {
    "Actor.forward",
    "EventStream.__anext__",
    "Limiter.acquire",
    "Limiter.held",
    "Mailbox.put",
    "Ref.tell",
    "RunStream.__anext__",
    "parallel_execute",
    "parallel_execute: nothing",
}
"""Their last checkpoint comes when all is done: a Cancelled there would lie, or
lose what they return."""

TIDY = {
    "ActorSystem.__aenter__: block",
    "RunStream.__aenter__",
    "Runtime.__aenter__: block",
}
"""Blocks that end by waiting, under a shield, for what they have stopped."""


def test_s161_every_public_async_call_is_known_here() -> None:
    scenes = {name.partition(":")[0] for name in SCENES}
    known = scenes | ELSEWHERE.keys() | NOT_CALLED.keys()
    found = set(declared())
    unknown = {
        name
        for name in found
        if name not in known and name.partition(".")[0] not in known
    }
    assert not unknown, "give it a scene in public_calls.py"
    whole = found | {name.partition(".")[0] for name in found}
    assert not known - whole, "a scene of something that is there no more"


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(2))
def test_s161_every_public_async_call_is_a_checkpoint(name: str, seed: int) -> None:
    made = False

    async def make(call: Call) -> None:
        nonlocal made
        with trio.testing.assert_checkpoints():
            await call()
        made = True

    run_seeded(SCENES[name], make, seed=seed)
    assert made


def test_s161_what_is_called_nowait_cannot_wait() -> None:
    found = list[str]()
    for folder in ("actors", "runtime"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                name: str = getattr(node, "name", None) or ""
                if name.endswith("_nowait"):
                    assert isinstance(node, ast.FunctionDef), f"{file.name}: {name}"
                    found.append(name)
    assert {"tell_nowait", "put_nowait", "take_nowait", "acquire_nowait"} <= set(found)


@pytest.mark.parametrize("name", [name for name in SCENES if name not in HALVES])
def test_s160_every_public_async_call_raises_cancelled_at_each_of_its_checkpoints(
    name: str,
) -> None:
    async def scenario(step: int) -> bool:
        cuts: list[CutAtStep] = []

        async def make(call: Call) -> None:
            task = trio.lowlevel.current_task()
            with trio.CancelScope() as scope:
                cut = CutAtStep(task, step, scope.cancel)
                cuts.append(cut)
                await call()
                cut.close()
                if cut.done and name not in TIDY:
                    assert name in DONE, "it kept the cancellation to itself"
                    assert cut.later == 0, "it went on when it was cancelled"
                await trio.lowlevel.checkpoint_if_cancelled()
                assert not cut.done, "the cancellation is gone"

        await SCENES[name](make)
        return cuts[0].done

    cut_at_every_step(scenario, at_least=1)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s160_put_in_a_cancelled_scope_raises_and_sends_nothing(
    overflow: Overflow,
) -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 1, overflow)
        with trio.CancelScope() as scope:
            scope.cancel()
            await mailbox.put(1)
        assert scope.cancelled_caught
        assert len(mailbox) == 0

    run_seeded(main, seed=0)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s161_put_is_a_checkpoint_and_put_nowait_is_none(overflow: Overflow) -> None:
    async def main() -> None:
        mailbox = Mailbox[int]("a", 3, overflow)
        with trio.testing.assert_checkpoints():
            await mailbox.put(1)
        with trio.testing.assert_no_checkpoints():
            mailbox.put_nowait(2)
            mailbox.put_front(3)
            mailbox.take_nowait()
            mailbox.close("done")

    run_seeded(main, seed=0)
