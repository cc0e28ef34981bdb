"""Who watches whom: what is told, and what is left behind."""

from __future__ import annotations

from understudy_actors.death_watch import DeathWatch
from understudy_actors.notices import Restarted, Terminated
from understudy_actors.ref import Ref

ACTOR: Ref[object, object] = Ref("root/watched")
ENDED = Terminated(ACTOR, "stopped")


class Log:
    """A watcher that takes down what it is told."""

    def __init__(self) -> None:
        self.notices: list[Terminated | Restarted] = []

    def notify(self, notice: Terminated | Restarted) -> None:
        self.notices.append(notice)


def test_both_sides_know_of_a_watch_until_it_is_taken_back() -> None:
    log = Log()
    watching, watched = DeathWatch(log), DeathWatch(Log())
    watching.watch(watched, restarts=False)
    assert (len(watching), len(watched)) == (1, 1)
    watching.unwatch(watched)
    assert (len(watching), len(watched)) == (0, 0)
    watching.unwatch(watched)
    watched.terminated(ENDED)
    assert log.notices == []


def test_watchers_and_watched_count_together() -> None:
    one, other = DeathWatch(Log()), DeathWatch(Log())
    one.watch(other, restarts=False)
    other.watch(one, restarts=False)
    assert (len(one), len(other)) == (2, 2)


def test_the_end_of_either_side_leaves_nothing_behind() -> None:
    log = Log()
    for ends in (0, 1):
        pair = DeathWatch(log), DeathWatch(Log())
        pair[0].watch(pair[1], restarts=False)
        pair[ends].terminated(ENDED)
        assert (len(pair[0]), len(pair[1])) == (0, 0)
    assert log.notices == [ENDED]
