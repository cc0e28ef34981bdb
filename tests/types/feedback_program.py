"""The program that the documentation begins with, as a user types it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import attrs
import trio

from understudy import (
    Attempt,
    Budget,
    Context,
    Model,
    RetryConfig,
    RunResult,
    Runtime,
    Step,
    Workflow,
    sequence,
    step,
)


@attrs.frozen
class Feedback:
    text: str


@attrs.frozen
class Extraction:
    issues: tuple[str, ...]


@attrs.frozen
class Reply:
    text: str


@attrs.frozen
class Deps:
    signature: str


def prompt(text: str) -> str:
    return f"List the issues: {text}"


@step(timeout=90.0, retry=RetryConfig(max_attempts=3), max_concurrent=8)
async def extract(context: Context[Feedback], attempt: Attempt[Deps]) -> Extraction:
    reply = await attempt.models["fast"].complete(
        prompt(context.input.text), output=Extraction
    )
    assert_type(reply.value, Extraction)
    assert_type(attempt.deps, Deps)
    return reply.value


@step(needs=(extract,))
async def respond(context: Context[Feedback]) -> Reply:
    extraction = context[extract]
    assert_type(extraction, Extraction)
    assert_type(context["extract"], object)
    assert_type(context.input, Feedback)
    return Reply(", ".join(extraction.issues))


assert_type(extract, Step[Feedback, Extraction, Deps])
assert_type(respond, Step[Feedback, Reply, object])

feedback = sequence(extract, respond)
inferred: Workflow[Feedback, Reply, Deps] = feedback


@step
async def moderate(context: Context[str]) -> bool:
    return "!" in context.input


moderation = sequence(moderate)


async def main(models: Mapping[str, Model]) -> None:
    async with Runtime(
        feedback, moderation, models=models, deps=Deps("Yours")
    ) as runtime:
        result = await runtime.run(
            feedback, Feedback("..."), deadline=60.0, budget=Budget(usd=0.02)
        )
        assert_type(result, RunResult[Reply])
        assert_type(result.value, Reply)
        print(result.value, result.usage)  # noqa: T201

        from_json = await runtime.run(feedback, {"text": "..."})
        assert_type(from_json.value, Reply)

        handle = await runtime.submit(moderation, "text")
        assert_type((await handle.result()).value, bool)

        async with runtime.run_many(feedback, [Feedback("...")]) as many:
            async for one in many:
                assert_type(one.value, Reply)


def wrong(models: Mapping[str, Model]) -> None:
    Runtime(feedback, deps="Yours")  # type: ignore[misc]


async def wrong_input(runtime: Runtime[Deps]) -> None:
    await runtime.run(feedback, 3)  # type: ignore[misc]


if __name__ == "__main__":
    trio.run(main, dict[str, Model]())
