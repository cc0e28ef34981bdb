"""The user's own dependencies: given, checked, opened and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import pytest
import trio
from run_probe import seeded

from understudy import Attempt, ConfigError, Context, Runtime, step
from understudy.testing import run_seeded
from understudy_protocols.errors import StartFailedError


@attrs.define(eq=False)
class Deps:
    log: list[str]


@step
async def uses(context: Context[object], attempt: Attempt[Deps]) -> str:
    attempt.deps.log.append("used")
    return "yes"


@seeded
def test_deps_that_are_a_context_manager_are_open_while_runs_are(seed: int) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Deps]:
        log.append("open")
        await trio.sleep(1)
        yield Deps(log)
        await trio.sleep(1)
        log.append("close")

    async def main() -> None:
        async with Runtime(uses, deps=opened()) as runtime:
            await runtime.submit(uses, 0)

    run_seeded(main, seed=seed)
    assert log == ["open", "used", "close"]


def test_deps_of_the_wrong_type_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"Deps.*str"):
        Runtime(uses, deps="nothing of the kind")  # type: ignore[misc]


@seeded
def test_deps_that_turn_out_wrong_when_opened_are_refused_too(seed: int) -> None:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[str]:
        yield "nothing of the kind"

    async def main() -> None:
        with pytest.raises(StartFailedError) as caught:
            async with Runtime(uses, deps=opened()):  # type: ignore[arg-type]
                raise AssertionError("not reached")
        assert isinstance(caught.value.__cause__, ConfigError)

    run_seeded(main, seed=seed)


class Reopened(AbstractAsyncContextManager[Deps]):
    """Deps that can be opened again; the first ones break."""

    def __init__(self) -> None:
        self.opened = 0
        self.failed = trio.Event()

    async def __aenter__(self) -> Deps:
        self.opened += 1
        self.scope = trio.CancelScope()
        return Deps([str(self.opened)])

    async def __aexit__(self, *_: object) -> None:
        return None


@seeded
def test_deps_that_break_are_opened_again_and_runs_go_on(seed: int) -> None:
    seen: list[str] = []

    @step
    async def long(context: Context[object], attempt: Attempt[Deps]) -> str:
        seen.extend(attempt.deps.log)
        await trio.sleep(10)
        return "done"

    async def main() -> None:
        deps = Reopened()
        async with Runtime(long, deps=deps) as runtime:
            handle = await runtime.submit(long, 0)
            await trio.sleep(1)
            (life,) = [one for one in runtime._system.lives if one.path == "root/deps"]
            life.kill()
            result = await handle.result()
            assert result.value == "done"
            assert deps.opened == 2
            assert result.steps[0].number == 2

    run_seeded(main, seed=seed)
    assert seen == ["1", "2"]
