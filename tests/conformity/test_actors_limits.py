"""Limits that actors share, and what restarts do to them."""

from __future__ import annotations

import contextlib

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.testing import run_seeded, seeds
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.limiter import Limiter
from understudy_actors.ref import Ref
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import ChildSpec, Kill, SupervisorSpec
from understudy_protocols.supervision_records import AdminError, ChildState

SEEDS = range(10)


def supervising(*children: ChildSpec, backoff: float = 0.0) -> SupervisorSpec:
    return SupervisorSpec(
        children, intensity=1000, backoff=Backoff(backoff, backoff, jitter=0.0)
    )


class Borrower(Behaviour[tuple[float, str], None]):
    """Holds a token for as long as the message says, and then ends as it says."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def handle(
        self, message: tuple[float, str], actor: Actor[tuple[float, str], None]
    ) -> None:
        seconds, end = message
        async with self._limiter.held(borrower=actor.ref.path):
            assert len(self._limiter.holders) <= self._limiter.total
            await trio.sleep(seconds)
            if end == "crash":
                raise KeyError(end)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds(),
    total=st.integers(1, 3),
    work=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.tuples(st.floats(0, 5), st.sampled_from(["return", "crash"])),
        ),
        max_size=15,
    ),
    deeds=st.lists(
        st.tuples(
            st.floats(0, 10),
            st.integers(0, 3),
            st.sampled_from(["kill", "start", "cancel"]),
        ),
        max_size=6,
    ),
)
def test_s149_s150_a_limit_holds_and_all_tokens_come_back(
    seed: int,
    total: int,
    work: list[tuple[int, tuple[float, str]]],
    deeds: list[tuple[float, int, str]],
) -> None:
    """Over crashes, timeouts, kills, restarts and cancels of those who hold them."""

    async def main() -> None:
        limiter = Limiter(total)
        refs = [Ref[tuple[float, str], None](f"b{number}") for number in range(4)]
        conduct = Conduct(handler_timeout=4)
        children = [
            actor_child(
                ref, lambda: Borrower(limiter), conduct=conduct, shutdown=Kill.AT_ONCE
            )
            for ref in refs
        ]

        async def borrow(seconds: int) -> None:
            with trio.move_on_after(seconds):
                async with limiter.held(borrower="from outside"):
                    assert len(limiter.holders) <= total
                    await trio.sleep(2)

        async def do(at: float, number: int, what: str) -> None:
            await trio.sleep(at)
            if what == "kill":
                await system.root.terminate_child(f"b{number}")
            elif what == "start":
                with contextlib.suppress(AdminError):
                    await system.root.restart_child(f"b{number}")
            else:
                await borrow(number)

        async with (
            ActorSystem(supervising(*children)) as system,
            trio.open_nursery() as nursery,
        ):
            for number, message in work:
                refs[number].tell_nowait(message)
            for deed in deeds:
                nursery.start_soon(do, *deed)
        assert limiter.holders == limiter.waiting == ()

    run_seeded(main, seed=seed)


def test_s152_an_actor_that_backs_off_or_has_stopped_holds_no_token() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        ref = Ref[tuple[float, str], None]("b")
        child = actor_child(ref, lambda: Borrower(limiter))
        async with ActorSystem(supervising(child, backoff=10.0)) as system:
            ref.tell_nowait((1, "crash"))
            await trio.sleep(5)
            assert system.root.children()[0].state is ChildState.RESTARTING
            assert not limiter.holders
            ref.tell_nowait((100, "return"))
            await trio.sleep(10)
            assert list(limiter.holders) == ["b"]
            await system.root.terminate_child("b")
            assert not limiter.holders

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s154_a_limit_shared_by_two_supervisors_survives_the_restart_of_either() -> (
    None
):
    async def main() -> None:
        limiter = Limiter(1)
        refs = [Ref[tuple[float, str], None](name) for name in ("left", "right")]
        sides = [
            supervisor_child(
                f"{ref.path}-side",
                SupervisorSpec(
                    (actor_child(ref, lambda: Borrower(limiter)),), intensity=0
                ),
            )
            for ref in refs
        ]
        async with ActorSystem(supervising(*sides)):
            refs[0].tell_nowait((1, "crash"))
            await trio.sleep(0.5)
            refs[1].tell_nowait((5, "return"))
            refs[1].tell_nowait((1, "crash"))
            await trio.sleep(1)
            # The left supervisor gave up and is back; the right one has its turn.
            assert list(limiter.holders) == ["right"]
            await trio.sleep(10)
            assert not limiter.holders
            with trio.fail_after(1):
                await limiter.acquire()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s149_a_stuck_holder_keeps_its_token_until_it_ends() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        ref = Ref[str, None]("b")

        class Stubborn(Behaviour[str, None]):
            async def handle(self, message: str, actor: Actor[str, None]) -> None:
                async with limiter.held(borrower="stubborn"):
                    with trio.CancelScope(shield=True):
                        await trio.sleep(60)

        child = actor_child(ref, Stubborn, shutdown=1)
        async with ActorSystem(supervising(child)) as system:
            ref.tell_nowait("hang")
            await trio.sleep(1)
            await system.root.terminate_child("b")
            assert list(limiter.holders) == ["stubborn"]
        assert trio.current_time() == pytest.approx(60)
        assert not limiter.holders

    run_seeded(main, seed=0)
