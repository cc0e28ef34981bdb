"""A function that must not run twice does not, whatever process has its run."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from images import RUN, Filmed
from journal_lives import Flow, Result, ends, image_at, live

from understudy import Attempt, Context, ModelReply, RunStatus, Runtime, step
from understudy.journal.sqlite import SqliteStore
from understudy.journal.verifying import verify
from understudy.models import FunctionCall, ScriptedModel, journaled
from understudy.models.conversation import converse
from understudy_protocols.chat import Finish, ToolRequestPart


def asks(amount: int) -> ModelReply:
    """Return a reply that asks for a payment."""
    part = ToolRequestPart("id", "pay", f'{{"amount": {amount}}}')
    return ModelReply("", finish=Finish.TOOL_REQUEST, parts=(part,))


def model() -> ScriptedModel:
    """Return a model that asks for two payments, one after the other."""
    return ScriptedModel([asks(1), asks(2), "thanks"], name="m")


def paying(paid: list[str]) -> Flow:
    """Return a step whose model lets a function pay; each payment takes ten seconds."""

    async def pay(amount: int, call: FunctionCall) -> str:
        await trio.sleep(10)
        paid.append(f"{amount} {call.key}")
        return f"paid {amount}"

    async def body(context: Context[object], attempt: Attempt[object]) -> str:
        talk = await converse(attempt.models["m"], "pay", functions=[journaled(pay)])
        return talk.text

    return step(name="pays", output=str)(body)


@pytest.mark.parametrize(("time", "again"), [(5.0, 2), (15.0, 1), (25.0, 0)])
def test_a_function_that_has_run_is_not_run_again_by_another_process(
    time: float, again: int
) -> None:
    paid: list[str] = []
    workflow, store = paying(paid), Filmed()
    whole = live(workflow, store, ends(workflow), models={"m": model()})
    assert len(paid) == 2
    before = list(paid)
    paid.clear()
    image = image_at(store, time)
    result = live(workflow, image, ends(workflow), start=time, models={"m": model()})
    assert paid == before[2 - again :]
    assert result.value == "thanks"
    names = [(one.path, one.status) for one in result.steps]
    assert names == [(one.path, one.status) for one in whole.steps]


@pytest.mark.parametrize("durability", ["step", "async"])
def test_what_a_function_did_is_on_record_also_if_its_run_was_over_before(
    durability: str, tmp_path: Path
) -> None:
    async def pay(amount: int, call: FunctionCall) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.5)
        return "paid"

    async def body(context: Context[object], attempt: Attempt[object]) -> str:
        talk = await converse(attempt.models["m"], "pay", functions=[journaled(pay)])
        return talk.text

    workflow: Flow = step(name="pays", output=str)(body)
    path = tmp_path / "runs.db"

    async def life(runtime: Runtime[object], cancels: bool) -> Result:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(0.25)
        if cancels:
            handle.cancel()
        return await handle.result()

    for cancels in (True, False):
        result = live(
            workflow,
            SqliteStore(path, in_place=True),
            lambda runtime, cancels=cancels: life(runtime, cancels),  # type: ignore[misc]
            durability=durability,
            models={"m": model()},
        )
        assert result.status is RunStatus.CANCELLED
        assert [one.path for one in result.steps] == ["pays/pay"]
    assert verify(path).problems == ()
