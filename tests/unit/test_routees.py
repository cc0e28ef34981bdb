"""The routees: who joins and leaves, and what becomes of the messages they leave.

No actor runs here: a ref that is closed has what it left either given on or buried.
"""

from __future__ import annotations

from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.notices import ReceiveTimeout, Terminated
from understudy_actors.ref import Ref
from understudy_actors.router import Leftovers, Routees

AnyRef = Ref[object, object]


class Yard:
    """Refs whose dead letters all come to one place."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self._sink = DeadLetters(self.letters.append, now=lambda: 0.0)

    def ref(self, path: str) -> AnyRef:
        return Ref(path, dead_letters=self._sink)

    @property
    def buried(self) -> list[tuple[str, object]]:
        return [(letter.address, letter.message) for letter in self.letters]

    def contents(self, ref: AnyRef) -> list[object]:
        """Close *ref*, and return what was in it."""
        before = len(self.letters)
        ref.close("looked into")
        return [letter.message for letter in self.letters[before:]]


def rerouting(**refs: AnyRef) -> Routees[object, object]:
    return Routees(refs, leftovers=Leftovers.REROUTE)


def test_routees_can_begin_with_none() -> None:
    routees = Routees[object, object]()
    assert len(routees) == 0
    routees.join("a", Ref("a"))
    assert [routee.name for routee in routees] == ["a"]


def test_without_a_word_what_is_left_is_a_dead_letter() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    Routees({"a": a}).serve(router)
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.buried == [("a", "left")]


def test_one_that_joins_a_serving_router_is_watched_and_leaves_it_its_messages() -> (
    None
):
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    routees = rerouting()
    routees.serve(router)
    routees.join("a", a)
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.letters == []
    assert yard.contents(router) == [Terminated(a, "stopped"), "left"]


def test_one_that_has_left_keeps_its_messages_and_is_watched_no_more() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    routees = rerouting(a=a)
    routees.serve(router)
    routees.leave("a")
    assert len(routees) == 0
    assert a.heir is None
    a.tell_nowait("its own")
    a.close("stopped")
    assert yard.buried == [("a", "its own")]
    assert yard.contents(router) == []


def test_who_leaves_before_the_router_serves_is_never_watched() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    routees = rerouting(a=a)
    routees.leave("a")
    routees.serve(router)
    a.close("stopped")
    assert yard.contents(router) == []


def test_one_that_leaves_goes_on_leaving_its_messages_to_a_router_it_joined_later() -> (
    None
):
    yard = Yard()
    a, first, second = yard.ref("a"), yard.ref("first"), yard.ref("second")
    before, after = rerouting(a=a), rerouting()
    before.serve(first)
    after.serve(second)
    after.join("a", a)
    before.leave("a")
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.contents(first) == []
    assert yard.contents(second) == [Terminated(a, "stopped"), "left"]


def test_who_has_two_names_and_leaves_by_one_is_a_routee_by_the_other() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    routees = rerouting(once=a, twice=a)
    routees.serve(router)
    routees.leave("once")
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.contents(router) == [Terminated(a, "stopped"), "left"]


def test_the_end_of_one_takes_all_its_names_and_no_others() -> None:
    yard = Yard()
    a, b = yard.ref("a"), yard.ref("b")
    routees = rerouting(once=a, twice=a, other=b)
    routees.ended(Terminated(a, "stopped"))
    assert [routee.name for routee in routees] == ["other"]


def test_before_there_is_a_router_what_is_left_is_a_dead_letter() -> None:
    yard = Yard()
    a = yard.ref("a")
    rerouting(a=a)
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.buried == [("a", "left")]


def test_when_the_router_is_gone_what_is_left_is_a_dead_letter_of_the_routee() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    rerouting(a=a).serve(router)
    router.close("stopped")
    a.tell_nowait("left")
    a.close("stopped")
    assert yard.buried == [("a", "left")]


def test_messages_go_back_to_the_router_in_order_and_notices_do_not() -> None:
    yard = Yard()
    a, router = yard.ref("a"), yard.ref("router")
    routees = rerouting(a=a)
    routees.serve(router)
    router.tell_nowait("waits")
    a.notify(ReceiveTimeout())
    a.tell_nowait("first")
    a.tell_nowait("second")
    a.close("stopped")
    assert yard.buried == [("a", ReceiveTimeout())]
    assert yard.contents(router) == [
        Terminated(a, "stopped"),
        *("first", "second", "waits"),
    ]
