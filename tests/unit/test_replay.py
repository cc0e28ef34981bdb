"""Records that are followed again: who takes them, and what is known in the end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from understudy.engine.places import StepEntry, Waiting
from understudy.engine.replay import DivergedError, Replay
from understudy.journal.sealing import VARIABLE, Keys, new_key
from understudy.journal.values import stored_sealed
from understudy.models.function_journal import FunctionOutcome
from understudy_protocols.codec import to_plain
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.records import (
    Answered,
    Begun,
    Called,
    Ended,
    Failed,
    Finished,
    Held,
    Paused,
    Placed,
    Record,
    Released,
    Reserved,
    Reshaped,
    Retrying,
    Skipped,
)
from understudy_protocols.usage import NO_USAGE, Usage

PATHS = ["a", "b", "c"]
FAILURE = Failure.of(Cause.SERVER, "no", where="a")
CREATED = 100.0
KEYS = Keys({VARIABLE: new_key()})


class Strand:
    """A line of control that only stands somewhere."""

    def __init__(self, position: str = "") -> None:
        self.ended: bool = False
        self.waiting: Waiting | None = None
        self._position = position

    def position(self) -> str:
        return self._position


class Standing:
    """An arrival that takes down what comes; a retry is not the last record."""

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.taken: list[Placed] = []
        self.gone_on: list[Replay] = []

    def take(self, record: Placed, replay: Replay) -> bool:
        self.taken.append(record)
        return not isinstance(record, Retrying)

    def go(self, replay: Replay) -> None:
        self.gone_on.append(replay)


class Scene:
    """A replay of some records, and strands that have come to some places."""

    def __init__(self, *records: Record, at: Sequence[tuple[str, str]] = ()) -> None:
        self.called: list[tuple[str, str, FunctionOutcome]] = []
        self.all_paused = False
        self.replay = Replay(
            records,
            PATHS.__getitem__,
            CREATED,
            {b"digest": b"\xa5large"}.__getitem__,
            KEYS,
            lambda: self.all_paused,
            self._on_called,
        )
        self.standing = [self.arrive(path, position) for path, position in at]

    def _on_called(self, path: str, position: str, outcome: FunctionOutcome) -> None:
        self.called.append((path, position, outcome))

    def arrive(self, path: str, position: str = "") -> Standing:
        arrival = Standing(Strand(position))
        self.replay.arrive(path, arrival)
        return arrival


def used(calls: int, number: int = 1) -> AttemptRecord:
    return AttemptRecord(number, 0.0, 1.0, FAILURE, Usage(calls=calls))


def plain_attempts(*attempts: AttemptRecord) -> object:
    return to_plain(attempts)


def test_a_record_goes_to_whoever_stands_at_its_place() -> None:
    records: list[Placed] = [
        Finished(0, "", 1, 1, "x"),
        Skipped(1, "left", 2),
        Paused(1, "", 3),
    ]
    scene = Scene(*records, at=[("a", ""), ("b", "left"), ("b", "")])
    scene.replay.follow_all()
    assert [one.taken for one in scene.standing] == [[record] for record in records]
    assert scene.replay.standing() == []


@pytest.mark.parametrize(("position", "where"), [("", "b"), ("left", "b (left)")])
def test_a_record_where_nobody_stands_is_told_by_number_and_place(
    position: str, where: str
) -> None:
    scene = Scene(Reshaped(3), Skipped(1, position, 2), at=[("a", ""), ("b", "right")])
    with pytest.raises(DivergedError) as caught:
        scene.replay.follow_all()
    assert str(caught.value) == (
        f"record 2 is of {where}, which the run does not come to"
    )


def test_who_has_taken_the_last_record_of_a_place_stands_there_no_more() -> None:
    retrying = Retrying(0, "", 1, 2, None)
    finished = Finished(0, "", 2, 1, "x")
    scene = Scene(retrying, finished, finished, at=[("a", "")])
    with pytest.raises(DivergedError, match="record 3 is of a, which"):
        scene.replay.follow_all()
    assert scene.standing[0].taken == [retrying, finished]


def test_one_may_come_again_to_a_place_as_its_last_record_is_taken() -> None:
    class Returning(Standing):
        def take(self, record: Placed, replay: Replay) -> bool:
            super().take(record, replay)
            replay.arrive("a", later)
            return True

    later = Standing(Strand())
    scene = Scene(Skipped(0, "", 1), Skipped(0, "", 2))
    first = Returning(Strand())
    scene.replay.arrive("a", first)
    scene.replay.follow_all()
    assert [len(first.taken), len(later.taken)] == [1, 1]


def test_a_strand_that_was_called_off_takes_nothing_and_does_not_go_on() -> None:
    scene = Scene(Skipped(0, "", 1), at=[("a", ""), ("b", "")])
    called_off, other = scene.standing
    called_off.strand.ended = True
    scene.replay.follow_all()
    assert called_off.taken == []
    assert scene.replay.standing() == ["b"]
    scene.replay.go_on()
    assert [called_off.gone_on, other.gone_on] == [[], [scene.replay]]
    scene.replay.go_on()
    assert len(other.gone_on) == 1


def test_whoever_comes_while_others_go_on_does_not_go_on_by_that() -> None:
    class Moving(Standing):
        def go(self, replay: Replay) -> None:
            replay.arrive("b", later)

    later = Standing(Strand())
    scene = Scene()
    scene.replay.arrive("a", Moving(Strand()))
    scene.replay.go_on()
    assert later.gone_on == []


# --- what is in doubt --------------------------------------------------------------


def test_an_attempt_is_in_doubt_from_its_beginning_to_its_end() -> None:
    begun, failed = Begun(0, "left", 1, 2), Failed(0, "left", 2, 1, None)
    skipped, retrying = Skipped(0, "left", 2), Retrying(0, "left", 2, 2, None)
    for ends in ([failed], [skipped], [retrying], [Finished(0, "left", 2, 1)], []):
        scene = Scene(begun, *ends, at=[("a", "left")])
        scene.replay.follow_all()
        assert list(scene.replay.in_doubt()) == ([] if ends else [("a", 2)])


def test_what_was_called_off_is_not_in_doubt() -> None:
    scene = Scene(Begun(0, "", 1, 1), Begun(1, "", 1, 3), at=[("a", ""), ("b", "")])
    scene.replay.follow_all()
    scene.standing[0].strand.ended = True
    assert list(scene.replay.in_doubt()) == [("b", 3)]


@pytest.mark.parametrize(
    ("reasons", "doubts"),
    [
        (["unknown_outcome"], []),
        (["changed_code"], [("a", 1)]),
        ([], [("a", 1)]),
        (["unknown_outcome", "changed_code"], [("a", 1)]),
    ],
)
def test_whoever_releases_a_run_that_was_held_for_a_doubt_has_settled_it(
    reasons: list[str], doubts: list[tuple[str, int]]
) -> None:
    held = [Held(reason, "") for reason in reasons]
    scene = Scene(Begun(0, "", 1, 1), *held, Released(), at=[("a", "")])
    scene.replay.follow_all()
    assert list(scene.replay.in_doubt()) == doubts


# --- what was used ------------------------------------------------------------------


def test_what_is_put_aside_counts_as_used_by_estimate_until_its_attempt_ends() -> None:
    worst = to_plain(Usage(calls=2, cost_micros=7))
    reserved = Reserved(0, "", 1, 1, worst)
    more = Reserved(0, "", 2, 1, to_plain(Usage(calls=3, cost_micros=9)))
    scene = Scene(reserved, more, at=[("a", "")])
    scene.replay.follow_all()
    # The last one is of all calls of the attempt.
    assert scene.replay.spent == Usage(calls=3, cost_micros=9, estimated=True)
    lost = scene.replay.broken_off("a", Strand())
    failure = Failure.of(
        Cause.UNKNOWN_OUTCOME, "the process ended in this attempt", where="a"
    )
    assert lost == AttemptRecord(1, CREATED, CREATED, failure, scene.replay.spent)
    assert scene.replay.broken_off("a", Strand("left")) is None
    assert scene.replay.broken_off("b", Strand()) is None
    scene = Scene(reserved, Skipped(0, "", 2), at=[("a", "")])
    scene.replay.follow_all()
    assert scene.replay.spent == NO_USAGE
    assert scene.replay.broken_off("a", Strand()) is None


@pytest.mark.parametrize("told_again", [(), (used(1),)])
def test_failed_attempts_count_as_used_until_their_step_ends(
    told_again: tuple[AttemptRecord, ...],
) -> None:
    none = AttemptRecord(2, 1.0, 2.0, FAILURE)
    retries = [
        Retrying(0, "", 1, 2, plain_attempts(used(1))),
        Retrying(0, "", 2, 4, plain_attempts(*told_again, none, used(4, number=3))),
        Retrying(1, "", 3, 2, plain_attempts(used(8))),
    ]
    scene = Scene(*retries, at=[("a", ""), ("b", "")])
    scene.replay.follow_all()
    assert scene.replay.spent == Usage(calls=13)
    scene = Scene(*retries, Skipped(0, "", 4), at=[("a", ""), ("b", "")])
    scene.replay.follow_all()
    assert scene.replay.spent == Usage(calls=8)


def test_time_in_which_all_waited_is_added_up() -> None:
    class Pausing(Standing):
        def take(self, record: Placed, replay: Replay) -> bool:
            scene.all_paused = isinstance(record, Paused)
            return False

    times = [(Paused, 2), (Paused, 5), (Skipped, 9), (Skipped, 20), (Paused, 30)]
    records = [kind(0, "", at * 1_000_000) for kind, at in times]
    scene = Scene(*records, Skipped(0, "", 31_500_000), Reshaped(1))
    scene.replay.arrive("a", Pausing(Strand()))
    scene.replay.follow_all()
    assert scene.replay.paused == 3 + 4 + 1.5


@pytest.mark.parametrize(
    ("attempts", "paused"),
    [((), 3 + 35), ((AttemptRecord(1, 90.0, 120.0, FAILURE),), 3 + 5)],
)
def test_time_in_which_an_attempt_failed_after_an_answer_is_not_added(
    attempts: tuple[AttemptRecord, ...], paused: float
) -> None:
    class Pausing(Standing):
        def take(self, record: Placed, replay: Replay) -> bool:
            scene.all_paused = isinstance(record, Paused)
            return False

    scene = Scene(
        Paused(0, "", 2_000_000),
        Answered(0, "", 5_000_000),
        Retrying(0, "", 40_000_000, 2, plain_attempts(*attempts)),
    )
    scene.replay.arrive("a", Pausing(Strand()))
    scene.replay.follow_all()
    assert scene.replay.paused == paused


def test_time_after_an_answer_is_added_until_something_is_at_work_again() -> None:
    class Pausing(Standing):
        def take(self, record: Placed, replay: Replay) -> bool:
            scene.all_paused = isinstance(record, Paused)
            return False

    scene = Scene(
        Paused(0, "", 2_000_000),
        Answered(0, "", 5_000_000),
        Failed(0, "", 6_000_000, 0, None),
        Finished(0, "", 20_000_000, 4_000_000),
        Finished(0, "", 30_000_000, 4_000_000),
    )
    scene.replay.arrive("a", Pausing(Strand()))
    scene.replay.follow_all()
    assert scene.replay.paused == 3 + 1 + 10


@pytest.mark.parametrize(
    "records",
    [
        # An answer, while something else is at work.
        [Answered(0, "", 5_000_000), Skipped(0, "", 9_000_000)],
        # A step that has failed was at work: only a pause that fails is an answer.
        [
            Answered(0, "", 5_000_000),
            Paused(0, "", 5_000_000),
            Failed(0, "", 6_000_000, 1_000_000, to_plain(FAILURE), 1),
            Finished(0, "", 20_000_000, 4_000_000),
        ],
        # What has ended had begun before all waited, as far as is known.
        [Paused(0, "", 5_000_000), Finished(0, "", 6_000_000, 3_000_000)],
    ],
)
def test_time_in_which_something_was_at_work_is_not_added(
    records: list[Placed],
) -> None:
    class Pausing(Standing):
        def take(self, record: Placed, replay: Replay) -> bool:
            scene.all_paused = isinstance(record, Paused)
            return False

    scene = Scene(*records)
    scene.replay.arrive("a", Pausing(Strand()))
    scene.replay.follow_all()
    assert scene.replay.paused == 0


# --- what stands in records -------------------------------------------------------------


def test_the_end_is_known_by_its_record() -> None:
    ended = Ended("failed", 5, None)
    scene = Scene(ended)
    assert scene.replay.ended is None
    scene.replay.follow_all()
    assert scene.replay.ended is ended


def test_what_a_function_came_to_is_told_with_its_place() -> None:
    called = Called(0, "left", 5_000_000, 2_000_000, "f", "key", "1/2", "said", True)
    scene = Scene(called, at=[("a", "left")])
    scene.replay.follow_all()
    outcome = FunctionOutcome("key", "f", "1/2", "said", True, 103.0, 105.0)
    assert scene.called == [("a", "left", outcome)]
    # The step goes on: it is still there, and has nothing to take.
    assert scene.standing[0].taken == []
    assert scene.replay.standing() == ["a"]


def test_a_large_value_is_fetched() -> None:
    assert Scene().replay.value({"$blob": b"digest"}) == "large"


def test_what_is_sealed_is_opened() -> None:
    sealed = stored_sealed("secret", lambda digest, content: None, KEYS)
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(sealed))
    assert plain != "secret"
    assert Scene().replay.value(plain) == "secret"


def test_what_stands_in_place_of_a_failure_is_told() -> None:
    replay = Scene().replay
    assert replay.failure(to_plain(FAILURE)) == FAILURE
    with pytest.raises(DivergedError) as caught:
        replay.failure("no")
    assert str(caught.value) == "a str stands in place of a failure"


def test_a_step_that_has_ended_is_remembered_as_it_was() -> None:
    replay = Scene().replay
    attempts, usage = (used(2),), Usage(calls=3)
    terms = 3, to_plain(attempts), to_plain(usage)
    finished = Finished(0, "left", 5_000_000, 2_000_000, "x", *terms)
    entry = StepEntry("a", "left", 103.0, 105.0, 3, attempts, None, usage)
    assert replay.entry("a", finished) == entry
    failed = Failed(0, "left", 5_000_000, 2_000_000, to_plain(FAILURE), *terms)
    entry = StepEntry("a", "left", 103.0, 105.0, 3, attempts, FAILURE, usage)
    assert replay.entry("a", failed) == entry
    bare = replay.entry("a", Finished(0, "", 0, 0))
    assert (bare.attempts, bare.failure, bare.usage) == ((), None, None)


def test_a_record_that_cannot_be_at_its_place_is_named_by_its_kind() -> None:
    assert str(Replay.misfit("a", Paused(0, "", 1))) == (
        "a has a record 'paused', which cannot be there"
    )
