"""Lives of processes that share a journal, each under virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from images import RUN, Filmed, utcnow

from understudy import Attempt, Context, RunResult, Runtime, step
from understudy.journal.memory import MemoryStore
from understudy.testing import run_seeded
from understudy.workflows.nodes import Workflow
from understudy_protocols.journal import Store

Flow = Workflow[object, object, object]
T = TypeVar("T")
Body = Callable[[Runtime[object]], Awaitable[T]]
Result = RunResult[object]


def live(
    workflow: Flow,
    store: Store | None,
    body: Body[T],
    *,
    start: float = 0.0,
    seed: int = 0,
    **options: object,
) -> T:
    """Let one process live with this journal, and do *body* in it."""

    async def main() -> T:
        async with Runtime(
            workflow,
            seed=1,
            journal=store,
            utcnow=utcnow(start),
            **options,  # type: ignore[arg-type]
        ) as runtime:
            return await body(runtime)

    return run_seeded(main, seed=seed)


def ends(workflow: Flow, given: object = "input", **terms: object) -> Body[Result]:
    """Run *workflow*, or go on with it, and return its result."""

    async def body(runtime: Runtime[object]) -> Result:
        return await runtime.run(workflow, given, run_id=RUN, **terms)  # type: ignore[arg-type]

    return body


def image_at(store: Filmed, time: float) -> MemoryStore:
    """Return what a crash at *time* would leave."""
    return [image for at, image in store.images if at <= time][-1].copy()


def noting(name: str, notes: list[str], *, takes: float = 1.0) -> Flow:
    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        notes.append(f"{name} {attempt.key[:4]}")
        await trio.sleep(takes)
        return name

    return step(name=name, output=str)(body)
