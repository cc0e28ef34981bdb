"""Random workflows that wait for people, people who answer, and who watches the places."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, cast

import trio

from understudy import (
    Attempt,
    Cause,
    Context,
    InputError,
    RetryConfig,
    RunStatus,
    Runtime,
    SetupError,
    StepError,
    Workflow,
    all_of,
    best_effort,
    cascade,
    each,
    first_success,
    named_function,
    parallel,
    pause,
    quorum,
    repeat,
    sequence,
    step,
)
from understudy.engine.strand import Run, StepMessage, Strand
from understudy.workflows.joins import Join
from understudy_actors.mailbox import Mailbox
from understudy_actors.step_actor import StepActor

Node = Workflow[Any, Any, Any]
"""The types of a random tree are not known to anybody."""


class PausedWorld:
    """One seed's workflow; the same seed makes the same one.

    Attributes:
      ran: how often each step came to its end, by key.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = 0
        self.ran: Counter[str] = Counter()

    def workflow(self) -> Node:
        """Return a workflow in which somebody has to be waited for."""
        parts = [self.tree(2), self.ask(), self.tree(2), self.step()]
        self.random.shuffle(parts)
        return sequence(*parts, name="flow")

    def fresh(self, kind: str) -> str:
        self.names += 1
        return f"{kind}{self.names}"

    def ask(self) -> Node:
        name, source = self.fresh("ask"), self.random
        match source.randrange(4):
            case 0:
                return pause(name, output=int, timeout=source.choice([0.5, 3.0]))
            case 1:
                after = source.choice([0.5, 3.0, 20.0])
                return pause(name, output=int, timeout=after, default=3)
            case _:
                return pause(name, output=int)

    def step(self) -> Node:
        source = self.random
        takes, fails = (
            source.choice([0.0, 0.0, 0.5, 2.0]),
            source.choice([0, 0, 0, 1, 9]),
        )

        async def act(context: Context[object], attempt: Attempt[object]) -> int:
            await trio.sleep(takes)
            if attempt.number <= fails:
                raise StepError("as drawn", cause=Cause.SERVER)
            self.ran[attempt.key] += 1
            return 1

        return step(
            name=self.fresh("step"),
            output=int,
            max_concurrent=source.choice([None, 1]),
            retry=RetryConfig(max_attempts=2, backoff_base=source.choice([0.0, 1.0])),
        )(act)

    def tree(self, depth: int) -> Node:
        """Return a random tree of at most *depth* levels."""
        source = self.random
        name = self.fresh("node")
        match source.randrange(8) if depth else source.randrange(2):
            case 0:
                return self.step()
            case 1:
                return self.ask()
            case 2 | 3:
                return sequence(self.tree(depth - 1), self.tree(depth - 1), name=name)
            case 4 | 5:
                joins: list[Join] = [
                    all_of(),
                    best_effort(),
                    first_success(),
                    quorum(2),
                ]
                parts: dict[str, Any] = {
                    f"b{n}": self.tree(depth - 1) for n in range(3)
                }
                return parallel(join=source.choice(joins), **parts).named(name)
            case 6:
                over = named_function("three", _three)
                limit = source.choice([1, 3])
                return each(
                    self.tree(depth - 1), over=over, max_concurrent=limit
                ).named(name)
            case _:
                until = named_function("twos", _is_two)
                if source.random() < 0.5:
                    return repeat(
                        self.tree(depth - 1), until=until, max_rounds=3
                    ).named(name)
                return cascade(
                    self.tree(depth - 1), self.tree(depth - 1), accept=until
                ).named(name)


def _three(context: Context[object]) -> tuple[int, ...]:
    return (0, 1, 2)


def _is_two(value: object) -> bool:
    return value == 2


async def people(
    runtime: Runtime[Any], source: random.Random, *, cancels: float = 0.02
) -> None:
    """Answer what is open, one thing or many at a time, and cancel now and then."""
    while True:
        await trio.sleep(source.choice([0.1, 0.5, 2.0]))
        open_now = [(one, key) for one in runtime.list() for key in one.pauses]
        source.shuffle(open_now)
        for handle, key in open_now[: source.choice([1, 3, 100])]:
            if source.random() < cancels:
                handle.cancel()
                continue
            answer = source.choice([1, 2, 3, "no number"])
            try:
                runtime.answer(handle.run_id, key, answer)
            except InputError:
                assert answer == "no number"
            except SetupError:
                # Another answer led the run past this pause, or to its end.
                assert key not in handle.pauses


class Places(trio.abc.Instrument):
    """Sees after each step of each task who has a message somewhere.

    Attributes:
      most: runs that had one at once.
      aside: runs that took no place at once, though they had begun.
    """

    def __init__(self, runtime: Runtime[Any]) -> None:
        self.runtime = runtime
        self.most = 0
        self.aside = 0
        self.wrong: list[str] = []
        self.ops = [
            op for hosted in runtime._hosted.values() for op in hosted.compiled.steps
        ]

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`; what is raised here would only be logged."""
        door = self.runtime._door
        moving: set[Run] = set()
        for op in self.ops:
            live = [one.strand for one in op.mailbox.waiting if not one.strand.ended]
            if len(live) > op.mailbox.capacity:
                self.wrong.append(f"{op.path} holds {len(live)} messages")
            moving.update(strand.run for strand in [*live, *_in_hand(op.mailbox)])
        self.most = max(self.most, len(moving))
        self.aside = max(self.aside, len(door._aside))
        if len(moving) > door.max_runs or door._inside > door.max_runs:
            self.wrong.append(f"{len(moving)} runs move, {door._inside} have a place")
        for run in moving:
            if run.begin is not None or run.returning is not None or run in door._aside:
                self.wrong.append(f"{run.id} moves without a place")
        if len(door._aside) + len(door._back) > door.max_paused:
            self.wrong.append(f"{len(door._aside)} aside, {len(door._back)} come back")
        for run in door.live.values():
            if run.status is RunStatus.QUEUED and run.expiry and run.begin is None:
                self.wrong.append(f"the clock of {run.id} runs while it waits")


def _in_hand(mailbox: Mailbox[StepMessage]) -> list[Strand]:
    owner = getattr(mailbox.on_ready, "__self__", None)
    if not isinstance(owner, StepActor):
        return []
    workers = cast("StepActor[StepMessage]", owner)._workers
    messages = [worker.message for worker in workers]
    return [one.strand for one in messages if one is not None and not one.strand.ended]
