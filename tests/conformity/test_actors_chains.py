"""Asks that could only wait for themselves (S131, S132)."""

from __future__ import annotations

import pytest
import trio
from actor_probe import SEEDS, supervising

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnError
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import AskRefusedError
from understudy_protocols.supervision import Exit, SupervisorSpec


class Forwarder(Behaviour[object, object]):
    """Asks another actor what it is asked."""

    def __init__(self, to: Ref[object, object], timeout: float = 30.0) -> None:
        self._to = to
        self._timeout = timeout

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        return await self._to.ask(message, timeout=self._timeout)


def forwarding(*names: str) -> tuple[dict[str, Ref[object, object]], SupervisorSpec]:
    """Return actors that each ask the next one, the last one the first."""
    refs = {name: Ref[object, object](name) for name in names}
    conduct = Conduct(on_error={Exception: OnError.RESUME})
    children = [
        actor_child(refs[name], lambda to=refs[to]: Forwarder(to), conduct=conduct)  # type: ignore[misc]
        for name, to in zip(names, (*names[1:], names[0]), strict=True)
    ]
    return refs, supervising(*children)


def test_s131_an_ask_to_oneself_is_refused() -> None:
    async def main() -> None:
        refs, spec = forwarding("a")
        async with ActorSystem(spec):
            with pytest.raises(AskRefusedError) as caught:
                await refs["a"].ask("who am I?")
            assert caught.value.chain == ("a", "a")

    run_seeded(main, seed=0)


def test_s132_an_ask_in_a_circle_is_refused_with_the_circle() -> None:
    async def main() -> None:
        refs, spec = forwarding("a", "b", "c")
        async with ActorSystem(spec):
            with pytest.raises(AskRefusedError, match="b -> c -> a -> b") as caught:
                await refs["b"].ask("who knows?")
            assert caught.value.chain == ("b", "c", "a", "b")
        assert trio.current_time() == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s132_a_tell_begins_a_new_chain() -> None:
    """Whoever tells does not wait, so an ask back is no circle."""

    async def main() -> None:
        answers: list[object] = []
        refs = {name: Ref[object, object](name) for name in ("a", "b")}

        class Teller(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "go":
                    await refs["b"].tell("ask me")
                return message

        class AsksBack(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                answers.append(await refs["a"].ask("you asked?"))
                return None

        children = (actor_child(refs["a"], Teller), actor_child(refs["b"], AsksBack))
        async with ActorSystem(supervising(*children)):
            await refs["a"].tell("go")
            await trio.sleep(1)
        assert answers == ["you asked?"]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s131_a_task_that_outlives_the_handler_may_ask_its_actor() -> None:
    async def main() -> None:
        answers: list[object] = []
        ref = Ref[object, object]("a")

        async def ask_later() -> None:
            await trio.sleep(1)
            answers.append(await ref.ask("are you there?"))

        class Spawner(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "spawn":
                    nursery.start_soon(ask_later)
                return message

        async with (
            ActorSystem(supervising(actor_child(ref, Spawner))),
            trio.open_nursery() as nursery,
        ):
            await ref.ask("spawn")
        assert answers == ["are you there?"]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


class Selfish(Forwarder):
    """Asks while it is set up, and while it is torn down."""

    def __init__(self, to: Ref[object, object], refused: list[str]) -> None:
        super().__init__(to)
        self._refused = refused

    async def setup(self, actor: Actor[object, object]) -> None:
        await self._try("setup")

    async def teardown(self, exit: Exit) -> None:  # noqa: A002
        await self._try("teardown")

    async def _try(self, hook: str) -> None:
        try:
            await self._to.ask("are you there?")
        except AskRefusedError as error:
            self._refused.append(f"{hook}: {' '.join(error.chain)}")


def test_s131_an_ask_to_oneself_is_refused_in_setup_and_teardown_as_well() -> None:
    async def main() -> None:
        refused: list[str] = []
        ref = Ref[object, object]("a")
        async with ActorSystem(
            supervising(actor_child(ref, lambda: Selfish(ref, refused)))
        ):
            assert refused == ["setup: a a"]
        assert refused[1:] == ["teardown: a a"]
        assert trio.current_time() == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s132_so_is_a_circle_that_begins_in_a_setup() -> None:
    async def main() -> None:
        refs = {name: Ref[object, object](name) for name in ("a", "b")}
        refused: list[str] = []
        conduct = Conduct(on_error={AskRefusedError: OnError.RESUME})
        children = (
            actor_child(refs["b"], lambda: Forwarder(refs["a"]), conduct=conduct),
            actor_child(refs["a"], lambda: Selfish(refs["b"], refused)),
        )
        async with ActorSystem(supervising(*children)):
            assert refused == ["setup: a b a"]
        assert trio.current_time() == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)
