"""Routers: who gets a message, and what happens when routees or routers end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tree_probe import SEEDS, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Overflow
from understudy_actors.names import Name
from understudy_actors.ref import Ref
from understudy_actors.router import (
    TOLERANT,
    Leftovers,
    Routee,
    Routees,
    router_child,
)
from understudy_actors.routing import (
    Broadcast,
    ByComplexity,
    C,
    ConsistentHash,
    LeastBusy,
    RoundRobin,
    Strategy,
)
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError, ConfigError
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Restart
from understudy_protocols.supervision_records import ChildState, SupervisionEvent

AnyRef = Ref[object, object]
Log = list[tuple[str, object]]
SLOW = Backoff(5.0, 5.0, jitter=0.0)


class Worker(Behaviour[object, object]):
    """Notes who got what; a number is how long it takes; "break" breaks it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        name = actor.ref.path.rpartition("/")[2]
        self._log.append((name, message))
        if message == "break":
            raise RuntimeError("broken as told")
        if isinstance(message, float):
            await trio.sleep(message)
        return name


class Stage:
    """A router in front of some workers."""

    def __init__(
        self,
        strategy: Strategy[object],
        *names: str,
        leftovers: Leftovers = Leftovers.DEAD_LETTERS,
        capacity: float = 100,
        conduct: Conduct = TOLERANT,
    ) -> None:
        self.log: Log = []
        self.letters: list[DeadLetter] = []
        sink = DeadLetters(self.letters.append)
        self.workers: dict[str, AnyRef] = {
            name: Ref(
                f"root/{name}",
                dead_letters=sink,
                capacity=capacity,
                overflow=Overflow.BLOCK,
            )
            for name in names
        }
        self.router: AnyRef = Ref("root/router", dead_letters=sink)
        self.routees = Routees(self.workers, leftovers=leftovers)
        children = [
            actor_child(
                ref,
                lambda: Worker(self.log),
                restart=Restart.TRANSIENT,
                backoff=SLOW,
            )
            for ref in self.workers.values()
        ]
        child = router_child(self.router, self.routees, strategy, conduct=conduct)
        self.events: list[SupervisionEvent] = []
        self.system = ActorSystem(
            supervising(*children, child, intensity=1000), on_event=self.events.append
        )

    async def tell(self, *messages: object) -> None:
        for message in messages:
            await self.router.tell(message)
        await settle()

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(name for name, _ in self.log))

    def got(self, name: str) -> list[object]:
        return [message for who, message in self.log if who == name]


# Distribution


@pytest.mark.parametrize("seed", SEEDS)
def test_s141_round_robin_gives_each_its_turn(seed: int) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), "a", "b", "c")
        async with stage.system:
            await stage.tell(*range(7))
        assert stage.got("a") == [0, 3, 6]
        assert stage.got("b") == [1, 4]
        assert stage.got("c") == [2, 5]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s141_least_busy_counts_what_waits_and_what_is_in_hand(seed: int) -> None:
    async def main() -> None:
        stage = Stage(LeastBusy(), "a", "b", "c")
        async with stage.system:
            await stage.tell(9.0)
            assert stage.counts == {"a": 1}
            await stage.tell(9.0, 9.0, 9.0, 9.0)
            assert stage.workers["a"].load == 2
            assert stage.workers["b"].load == 2
            assert stage.workers["c"].load == 1
            await stage.tell("next")
            assert stage.workers["c"].load == 2
            await trio.sleep(20)
            assert stage.got("c") == [9.0, "next"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s141_broadcast_gives_it_to_all_and_the_first_answer_counts(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(Broadcast(), "a", "b", "c")
        async with stage.system:
            assert await stage.router.ask("hello") in ("a", "b", "c")
            await settle()
        assert stage.counts == {"a": 1, "b": 1, "c": 1}
        assert [letter.reason for letter in stage.letters] == 2 * ["second_reply"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s141_by_complexity_measures_the_input(seed: int) -> None:
    async def main() -> None:
        tiers = ByComplexity[object](
            lambda text: len(str(text)), simple=3, standard=5, complex=math.inf
        )
        stage = Stage(tiers, "simple", "standard", "complex")
        async with stage.system:
            await stage.tell("ab", "abc", "abcd", "abcde", "")
        assert stage.got("simple") == ["ab", ""]
        assert stage.got("standard") == ["abc", "abcd"]
        assert stage.got("complex") == ["abcde"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s142_when_a_tier_is_gone_the_next_more_capable_one_takes_over(
    seed: int,
) -> None:
    async def main() -> None:
        tiers = ByComplexity[object](lambda text: len(str(text)), simple=3, hard=9)
        stage = Stage(tiers, "hard", "simple")
        async with stage.system as system:
            await system.root.terminate_child("simple")
            await stage.tell("ab")
            assert stage.got("hard") == ["ab"]
            with pytest.raises(ActorStoppedError, match="no routee"):
                await stage.router.ask("as hard as can be")
        assert [letter.reason for letter in stage.letters] == ["no routee"]

    run(main, seed)


@pytest.mark.parametrize(
    "tiers", [{}, {"a": 2.0, "b": 1.0}, {"a": 1.0, "b": 1.0}, {"a": math.nan}]
)
def test_s141_tiers_that_do_not_rise_are_refused(tiers: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="rising order"):
        ByComplexity[str](len, **tiers)


@attrs.frozen
class Stub:
    """A candidate that is only a name."""

    name: str
    load: int = 0
    running: bool = True


def test_s141_what_is_too_hard_for_all_tiers_goes_to_none() -> None:
    tiers = ByComplexity[str](len, simple=3, hard=9)
    assert tiers.choose("x" * 9, [Stub("simple"), Stub("hard")]) == ()


# Consistent hashing, as a pure decision


def owners(names: Sequence[str], keys: int) -> list[str]:
    """Return who gets each key."""
    strategy = ConsistentHash[str](lambda key: key)
    among = [Stub(name) for name in names]
    return [strategy.choose(f"key {n}", among)[0].name for n in range(keys)]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True), st.data())
def test_s143_only_the_keys_of_the_one_that_joins_or_leaves_move(
    names: list[str], data: st.DataObject
) -> None:
    new = data.draw(st.text(min_size=1).filter(lambda name: name not in names))
    at = data.draw(st.integers(0, len(names)))
    before = owners(names, 50)
    after = owners([*names[:at], new, *names[at:]], 50)
    for old, now in zip(before, after, strict=True):
        assert now in (old, new)


@pytest.mark.parametrize("size", [1, 2, 4, 9, 19])
def test_s143_one_that_joins_takes_over_its_share_and_hardly_more(size: int) -> None:
    names = [f"routee {n}" for n in range(size)]
    before, after = owners(names, 4_000), owners([*names, "new"], 4_000)
    moved = sum(a != b for a, b in zip(before, after, strict=True)) / 4_000
    assert abs(moved - 1 / (size + 1)) < 0.25 / (size + 1) + 0.01
    fewest, most = min(Counter(after).values()), max(Counter(after).values())
    assert most < 1.5 * fewest


def test_s143_a_key_belongs_to_the_same_routee_in_every_process() -> None:
    assert owners(["a", "b", "c"], 10) == list("acbbbcbabc")


def test_s143_any_text_is_a_key_and_a_name() -> None:
    among = [Stub("a"), Stub("b"), Stub("\ud83d")]
    strategy = ConsistentHash[str](lambda key: key)
    chosen = {strategy.choose(f"\ude00{n}", among)[0].name for n in range(20)}
    assert chosen == {"a", "b", "\ud83d"}


@pytest.mark.parametrize("seed", SEEDS)
def test_s143_equal_keys_go_to_one_routee_while_the_set_is_unchanged(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(ConsistentHash[object](str), "a", "b", "c")
        async with stage.system:
            for _ in range(3):
                await stage.tell(*range(10))
        assert all(
            len({name for name, message in stage.log if message == key}) == 1
            for key in range(10)
        )
        assert len(stage.log) == 30
        assert set(stage.counts) == {"a", "b", "c"}

    run(main, seed)


# Ends of routees


@pytest.mark.parametrize("leftovers", list(Leftovers))
@pytest.mark.parametrize("seed", SEEDS)
def test_s142_a_stopped_routee_gets_nothing_and_its_queue_follows_the_policy(
    leftovers: Leftovers, seed: int
) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), "a", "b", leftovers=leftovers)
        async with stage.system as system:
            await stage.tell(1.0, 1.0, "a1", "b1", "a2", "b2")
            await system.root.terminate_child("a")
            await stage.tell("c1", "c2")
            await trio.sleep(5)
        rerouted = leftovers is Leftovers.REROUTE
        assert stage.got("a") == [1.0]
        again = ["a1", "a2"] if rerouted else []
        assert stage.got("b") == [1.0, "b1", "b2", *again, "c1", "c2"]
        given_up = [] if rerouted else ["a1", "a2"]
        assert [letter.message for letter in stage.letters] == given_up

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s142_who_asked_a_routee_that_is_gone_is_answered_by_another(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), "a", "b", leftovers=Leftovers.REROUTE)
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await stage.router.ask("who"))

        async with stage.system as system, trio.open_nursery() as nursery:
            await stage.tell(1.0, 1.0)
            nursery.start_soon(ask)
            await settle()
            await system.root.terminate_child("a")
            await trio.sleep(5)
        assert answers == ["b"]

    run(main, seed)


@pytest.mark.parametrize("leftovers", list(Leftovers))
@pytest.mark.parametrize("seed", SEEDS)
def test_s142_when_all_have_ended_the_router_ends(
    leftovers: Leftovers, seed: int
) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), "a", "b", leftovers=leftovers)
        async with stage.system as system:
            await system.root.terminate_child("a")
            await settle()
            assert not stage.router.closed
            await system.root.terminate_child("b")
            await settle()
            assert stage.router.closed
            assert system.root.children()[2].state is ChildState.STOPPED
            await stage.router.tell("too late")
        assert [letter.reason for letter in stage.letters] == ["stopped"]
        causes = [one.cause for one in stage.events if one.path == "root/router"]
        assert "no routee is left" in map(str, causes)

    run(main, seed)


def test_s142_a_router_without_routees_stays_until_one_has_ended() -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), conduct=Conduct(receive_timeout=1.0))
        async with stage.system:
            await trio.sleep(5)
            assert not stage.router.closed

    run(main, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_s142_with_no_routee_a_message_is_a_dead_letter_that_says_so(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin())
        async with stage.system as system:
            with pytest.raises(ActorStoppedError, match="no routee"):
                await stage.router.ask("anybody?")
            assert [letter.reason for letter in stage.letters] == ["no routee"]
            ref = Ref[object, object]("root/late")
            await system.root.start_child(actor_child(ref, lambda: Worker(stage.log)))
            stage.routees.join("late", ref)
            assert await stage.router.ask("anybody?") == "late"
            with pytest.raises(ConfigError, match="a routee 'late' already"):
                stage.routees.join("late", ref)
            stage.routees.leave("late")
            stage.routees.leave("nobody")
            with pytest.raises(ActorStoppedError, match="no routee"):
                await stage.router.ask("anybody?")
            await system.root.terminate_child("late")
            await settle()
            # It had left, so its end is not the router's.
            assert not stage.router.closed

    run(main, seed)


# Restarts of routees


@pytest.mark.parametrize("seed", SEEDS)
def test_s144_least_busy_skips_a_restarting_routee(seed: int) -> None:
    async def main() -> None:
        stage = Stage(LeastBusy(), "a", "b")
        async with stage.system:
            await stage.tell("break")
            assert not stage.workers["a"].running
            await stage.tell(1.0, 1.0, 1.0)
            assert stage.got("b") == [1.0]
            assert stage.workers["b"].load == 3
            await trio.sleep(6)
            await stage.tell("back")
            assert stage.got("a") == ["break", "back"]

    run(main, seed)


@pytest.mark.parametrize("strategy", [LeastBusy, lambda: ConsistentHash[object](str)])
@pytest.mark.parametrize("seed", SEEDS)
def test_s144_who_must_wait_for_a_restart_loses_nothing(
    strategy: Callable[[], Strategy[object]], seed: int
) -> None:
    async def main() -> None:
        stage = Stage(strategy(), "only")
        async with stage.system:
            await stage.tell("break")
            await stage.tell("one", "two")
            assert stage.log == [("only", "break")]
            await trio.sleep(6)
            assert stage.got("only") == ["break", "one", "two"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s144_hash_waits_for_a_restarting_routee(seed: int) -> None:
    async def main() -> None:
        strategy = ConsistentHash[object](lambda message: "key")
        stage = Stage(strategy, "a", "b", "c")
        async with stage.system:
            await stage.tell("break", "one")
            (name,) = stage.counts
            assert stage.log == [(name, "break")]
            await trio.sleep(6)
            assert stage.log == [(name, "break"), (name, "one")]

    run(main, seed)


# The router itself


class Fragile:
    """Round robin that raises at some messages."""

    def __init__(self) -> None:
        self._inner = RoundRobin()

    def choose(self, message: object, among: Sequence[C], /) -> Sequence[C]:
        if message == "poison":
            raise LookupError("cannot place this")
        return self._inner.choose(message, among)


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s145_a_router_that_crashes_keeps_its_queue_and_its_routees(
    tolerant: bool, seed: int
) -> None:
    async def main() -> None:
        conduct = TOLERANT if tolerant else Conduct()
        stage = Stage(Fragile(), "a", "b", conduct=conduct)
        async with stage.system as system:
            stage.router.tell_nowait("poison")
            for message in ("1", "2", "poison", "3", "4"):
                stage.router.tell_nowait(message)
            await settle()
            life = system.root.children()[2].incarnation
            assert life == (1 if tolerant else 3)
            assert [name for name, _ in stage.log].count("a") == 2
            assert sorted(m for _, m in stage.log) == ["1", "2", "3", "4"]  # type: ignore[type-var]
            # It still hears of the ends of its routees.
            await system.root.terminate_child("a")
            await system.root.terminate_child("b")
            await settle()
            assert stage.router.closed
        reason = "failed" if tolerant else "crash"
        assert stage.letters == 2 * [DeadLetter("poison", "root/router", reason)]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s112_a_full_routee_holds_the_router_back_and_nothing_is_lost(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(RoundRobin(), "a", "b", capacity=1)
        async with stage.system:
            await stage.tell(*(10 * [1.0]))
            assert stage.router.queued > 0
            await trio.sleep(10)
        assert stage.counts == {"a": 5, "b": 5}
        assert stage.letters == []

    run(main, seed)


def test_s145_a_router_is_named_and_restarted_as_any_actor() -> None:
    async def main() -> None:
        router = Ref[object, object]("root/router")
        name = Name[object, object]("the-router")
        routees = Routees[object, object]()
        spec = router_child(router, routees, Fragile(), name=name, backoff=SLOW)
        assert spec.restart is Restart.TRANSIENT
        assert spec.backoff is SLOW
        async with ActorSystem(supervising(spec)) as system:
            assert system.names.find(name) is router

    run(main, 0)


def test_s141_a_routee_is_what_a_strategy_may_look_at() -> None:
    ref = Ref[object, object]("root/a")
    routee = Routee("a", ref)
    ref.tell_nowait("waits")
    assert (routee.name, routee.load, routee.running) == ("a", 1, False)
