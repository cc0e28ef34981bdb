"""A run goes on under other code only if what it relies on is what it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import cast

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import RUN, Filmed, records_of
from journal_lives import Flow, ends, image_at, live, noting

from understudy import (
    Context,
    RunResult,
    RunStatus,
    Runtime,
    all_of,
    best_effort,
    parallel,
    quorum,
    repeat,
    sequence,
    step,
)
from understudy.journal.memory import MemoryStore
from understudy.testing import run_seeded, seeds
from understudy.workflows.joins import Join
from understudy.workflows.nodes import (
    Cascade,
    Child,
    Each,
    Parallel,
    Repeat,
    Route,
    Sequence,
)
from understudy_protocols.errors import (
    RunHeldError,
    SetupError,
    UnnamedFunctionError,
)
from understudy_protocols.journal import Batch
from understudy_protocols.records import (
    Held,
    Placed,
    Released,
    Reshaped,
    encode_record,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))

from workflow_trees import AnyNode, Group, build, check_meaning, ran, trees

notes: list[str] = []


def made(*names: str, **versions: str) -> Flow:
    """Return steps in a row, each of a second; some with a version."""
    steps = [noting(name, notes) for name in names]
    return sequence(*(one.versioned(versions.get(one.name, "")) for one in steps))


def crashed(workflow: Flow, at: float) -> MemoryStore:
    """Return what a crash at *at* leaves of a run of *workflow*."""
    store = Filmed()
    live(workflow, store, ends(workflow))
    notes.clear()
    return image_at(store, at)


def done() -> list[str]:
    """Return the names of the steps that ran since the crash."""
    return [note.split()[0] for note in notes]


def held(workflow: Flow, store: MemoryStore, *, accept_changes: bool = False) -> str:
    """Return what the run is held for, and see that it did nothing."""
    before = len(notes)
    with pytest.raises(RunHeldError) as caught:
        live(workflow, store, ends(workflow), accept_changes=accept_changes)
    assert caught.value.reason == "changed_code"
    assert len(notes) == before
    return caught.value.detail


# --- what is behind a run, and where it stands -----------------------------------


@pytest.mark.parametrize(
    ("now", "ran_then"),
    [
        (made("a", "b", "c"), ["b", "c"]),
        (made("a", "b", "c", c="2"), ["b", "c"]),
        (made("a", "b", "c", "d"), ["b", "c", "d"]),
        (made("a", "b", "d"), ["b", "d"]),
        (made("a", "b", "x", "c"), ["b", "x", "c"]),
        (made("a", "b"), ["b"]),
    ],
)
def test_a_change_of_what_a_run_has_not_come_to_is_in_nobodys_way(
    now: Flow, ran_then: list[str]
) -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    result = live(now, image, ends(now))
    assert result.value == ran_then[-1]
    assert done() == ran_then


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (made("a", "b", "c", a="2"), "a: version is now 2, and was not there"),
        (made("a", "b", "c", b="2"), "b: version is now 2, and was not there"),
        (made("a", "x", "b", "c"), "x is new"),
        (made("x", "a", "b", "c"), "record 1 is of a, which the run does not come to"),
        (made("b", "c"), "a is gone"),
        (made("b", "a", "c"), "the order is now b, a, c"),
        (made("a", "b", "c").versioned("2"), "the workflow: version is now 2"),
    ],
)
def test_a_change_of_what_a_run_has_done_or_is_at_holds_it_and_says_so(
    now: Flow, told: str
) -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    assert told in held(now, image)
    # Somebody has to decide: it does not go on by itself the next time either.
    assert told in held(now, image)
    assert sum(isinstance(one, Held) for one in records_of(image)) == 1


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (best_effort(), "all: join is now best_effort, and was all_of"),
        (quorum(1), "all: join is now quorum of 1, and was all_of"),
    ],
)
def test_a_join_counts_while_a_run_is_inside_and_afterwards(
    now: Join, told: str
) -> None:
    def flow(join: Join) -> Flow:
        one, two = noting("one", notes), noting("two", notes, takes=3.0)
        inside = cast("Flow", parallel(one, two, join=join, name="all"))
        return sequence(inside, noting("last", notes))

    for at in (0.5, 1.5, 3.5):
        assert told in held(flow(now), crashed(flow(all_of()), at))
    notes.clear()


def never(value: object) -> bool:
    """Say no."""
    return False


def test_the_rounds_of_a_loop_count_while_a_run_is_in_it() -> None:
    def flow(rounds: int) -> Flow:
        return repeat(noting("round", notes), until=never, max_rounds=rounds)

    told = held(flow(4), crashed(flow(3), 1.5))
    assert told == "the workflow: max_rounds is now 4, and was 3"


def test_only_the_runs_that_rely_on_a_change_are_held() -> None:
    old, new = made("a", "b"), made("a", "b", b="2")
    store = Filmed()

    async def two(runtime: Runtime[object]) -> None:
        await runtime.submit(old, "input", run_id="early")
        await trio.sleep(0.7)
        await runtime.submit(old, "input", run_id="late")
        await trio.sleep(0.8)

    live(old, store, two, drain_timeout=0)
    image = image_at(store, 1.5)

    async def both(runtime: Runtime[object]) -> None:
        assert (await runtime.get("late").result()).value == "b"
        with pytest.raises(RunHeldError):
            await runtime.submit(new, "input", run_id="early")
        assert (await runtime.run(new, "input", run_id="new")).ok

    live(new, image, both)


# --- afterwards ---------------------------------------------------------------------


def test_what_was_done_under_the_new_code_counts_as_done_under_it() -> None:
    image = crashed(made("a", "b", "c"), 0.5)
    new = made("a", "b", "c", b="2", c="2")
    film = Filmed()
    film.__dict__.update(image.__dict__)
    live(new, film, ends(new))
    notes.clear()
    again = image_at(film, 2.5)
    assert sum(isinstance(one, Reshaped) for one in records_of(again)) == 1
    result = live(new, again, ends(new))
    assert (result.value, done()) == ("c", ["c"])
    third = made("a", "b", "c", b="3", c="2")
    assert held(third, image_at(film, 2.5)) == "b: version is now 3, and was 2"


def test_changes_can_be_accepted_for_all_runs() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    new = made("a", "b", "c", a="2", b="2")
    assert "a: version" in held(new, image)

    async def waits(runtime: Runtime[object]) -> RunResult[object]:
        # It went on by itself when the runtime began.
        return await runtime.get(RUN).result()

    again = image.copy()
    result = live(new, image, waits, accept_changes=True)
    assert (result.value, done()) == ("c", ["b", "c"])
    film = Filmed()
    film.__dict__.update(again.__dict__)
    live(new, film, ends(new), accept_changes=True)
    notes.clear()
    # Once accepted, they are: the next process need not be told again.
    live(new, image_at(film, 1.5), ends(new))
    assert done() == ["c"]


def test_no_word_makes_a_run_go_where_its_records_do_not_lead() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    told = held(made("b", "c"), image, accept_changes=True)
    assert told == "record 1 is of a, which the run does not come to (a is gone)"


def test_a_held_run_goes_on_when_it_is_told_to() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    new = made("a", "b", "c", a="2")
    held(new, image)

    async def retry(runtime: Runtime[object]) -> object:
        return await runtime.retry(RUN).result()

    result = cast("RunResult[object]", live(new, image, retry))
    assert (result.value, done()) == ("c", ["b", "c"])


def test_a_held_run_goes_on_by_itself_when_the_code_is_what_it_was() -> None:
    old = made("a", "b", "c")
    image = crashed(old, 1.5)
    held(made("a", "b", "c", a="2"), image)

    async def waits(runtime: Runtime[object]) -> object:
        return await runtime.get(RUN).result()

    result = cast("RunResult[object]", live(old, image, waits))
    assert (result.value, done()) == ("c", ["b", "c"])


@pytest.mark.parametrize(
    ("now", "ran_then"),
    [
        (made("a", "b", "c", "d"), ["b", "c", "d"]),
        (made("a", "b", "c", c="2"), ["b", "c"]),
        (made("a", "b"), ["b"]),
    ],
)
def test_a_held_run_goes_on_under_any_code_that_it_would_have_gone_on_under(
    now: Flow, ran_then: list[str]
) -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    held(made("a", "b", "c", b="2"), image)

    async def waits(runtime: Runtime[object]) -> object:
        return await runtime.get(RUN).result()

    result = cast("RunResult[object]", live(now, image, waits))
    assert (result.value, done()) == (ran_then[-1], ran_then)


def test_a_held_run_says_what_is_in_its_way_now() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    first = "a: version is now 2, and was not there"
    assert held(made("a", "b", "c", a="2"), image) == first
    # Seen where it stands, and not among what it has done.
    second = "b: version is now 2, and was not there"
    for _ in range(2):
        assert held(made("a", "b", "c", b="2"), image) == second
    told = [one.detail for one in records_of(image) if isinstance(one, Held)]
    assert told == [first, second]
    assert not any(isinstance(one, Released) for one in records_of(image))
    found = image.find(RUN)
    assert found is not None
    assert found.status is RunStatus.HELD


def test_a_held_run_is_asked_for_twice_in_one_life_and_says_it_once() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    held(made("a", "b", "c", a="2"), image)
    new = made("a", "b", "c", b="2")

    async def twice(runtime: Runtime[object]) -> None:
        for _ in range(2):
            with pytest.raises(RunHeldError, match="b: version"):
                await runtime.submit(new, "input", run_id=RUN)

    live(new, image, twice, resume="manual")
    assert sum(isinstance(one, Held) for one in records_of(image)) == 2


def test_a_held_run_whose_records_lead_nowhere_is_not_let_go_over_and_over() -> None:
    image = crashed(made("a", "b", "c"), 1.5)
    held(made("b", "c"), image)
    held(made("b", "c"), image, accept_changes=True)
    records = records_of(image)
    held(made("b", "c"), image, accept_changes=True)
    assert records_of(image) == records
    assert not any(isinstance(one, Released) for one in records)


# --- another name -------------------------------------------------------------------


def test_runs_of_a_workflow_that_is_not_there_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = made("a", "b").named("letters")
    store = Filmed()

    async def four(runtime: Runtime[object]) -> None:
        await runtime.run(old, "input", run_id="over")
        handles = [await runtime.submit(old, "input") for _ in range(3)]
        for handle in handles:
            await handle.result()

    live(old, store, four)
    image = image_at(store, 2.5)
    new = old.named("mail")
    live(new, image, ends(new))
    assert [(one.name, one.levelname) for one in caplog.records] == [
        ("understudy.runtime", "WARNING")
    ]
    told = (
        "unfinished runs of workflow 'letters' stay where they are (3): this runtime "
        "does not host it; to go on with them, or to cancel them, host a workflow "
        "under that name, say with `.named('letters')`"
    )
    assert caplog.messages == [told]
    caplog.clear()
    live(old, image_at(store, 9.0), ends(old))
    assert not caplog.records


def test_a_run_goes_on_under_the_name_that_its_workflow_had() -> None:
    old = made("a", "b").named("letters")
    image = crashed(old, 1.5)
    new = made("a", "b", "c").named("mail")

    async def both(runtime: Runtime[object]) -> object:
        with pytest.raises(SetupError, match="in another workflow, 'letters'"):
            await runtime.submit(new, "input", run_id=RUN)
        return await runtime.get(RUN).result()

    async def life() -> object:
        kept = new.named("letters")
        async with Runtime(new, kept, journal=image) as runtime:
            return await both(runtime)

    result = cast("RunResult[object]", run_seeded(life, seed=0))
    assert result.value == "c"


def test_accepting_changes_does_not_repeat_what_must_not_be_repeated() -> None:
    def pays(version: str) -> Flow:
        async def body(context: Context[object]) -> str:
            notes.append("paid")
            await trio.sleep(1)
            return "paid"

        return step(name="pays", output=str, replay_safe=False, version=version)(body)

    old, new = pays("1"), pays("2")
    image = crashed(old, 0.5)
    assert "version" in held(new, image)
    released = image.copy()
    found = released.find(RUN)
    assert found is not None
    batch = Batch()
    number = len(records_of(released))
    batch.records.append((found.row, number, encode_record(Released())))
    released.write(batch)
    with pytest.raises(RunHeldError, match="unknown_outcome"):
        live(old, released, ends(old))
    for accept_changes in (True, False):
        with pytest.raises(RunHeldError) as caught:
            live(new, image, ends(new), accept_changes=accept_changes)
        assert caught.value.reason == "unknown_outcome"
    assert notes == []


def test_a_run_that_is_over_tells_nothing_that_might_be_wrong() -> None:
    old = made("a", "b")
    image = crashed(old, 9.0)
    records = records_of(image)
    assert (
        held(made("a", "b", a="2"), image) == "a: version is now 2, and was not there"
    )
    assert held(made("a", "b", "c"), image) == "c is new"
    assert "more to do" in held(made("a", "b", "c"), image, accept_changes=True)
    assert records_of(image) == records
    found = image.find(RUN)
    assert found is not None
    assert found.status is RunStatus.COMPLETED
    other = made("a", "b", a="2")
    result = live(other, image, ends(other), accept_changes=True)
    assert result.value == "b"
    assert notes == []


def test_a_fork_takes_over_only_what_has_not_changed() -> None:
    old, new = made("a", "b", "c"), made("a", "b", "c", b="2", c="2")
    image = crashed(old, 9.0)

    async def fork(runtime: Runtime[object]) -> object:
        with pytest.raises(SetupError, match=r"b: version is now 2.*an earlier step"):
            runtime.fork(RUN, "c")
        return await runtime.fork(RUN, "b").result()

    result = cast("RunResult[object]", live(new, image, fork))
    assert (result.value, done()) == ("c", ["b", "c"])


def test_a_shape_that_a_later_release_has_written_holds_the_run() -> None:
    old, new = made("a", "b"), made("a", "b", b="2")
    image = crashed(old, 1.5)
    found = image.find(RUN)
    assert found is not None
    shape = msgspec.json.decode(image.fingerprint(found.fingerprint))
    image._shapes[found.fingerprint] = msgspec.json.encode({**shape, "version": 2})
    with pytest.raises(RunHeldError, match="written in version 2") as caught:
        live(new, image, ends(new))
    assert caught.value.reason == "unreadable"


def test_a_function_without_a_name_is_refused_when_the_runtime_is_made() -> None:
    flow: Flow = repeat(noting("a", []), until=lambda _: True, max_rounds=2)
    Runtime(flow)
    with pytest.raises(UnnamedFunctionError, match="until needs a name"):
        Runtime(flow, journal=MemoryStore())


# --- any workflow, any moment, any change --------------------------------------------


def versioned(node: AnyNode, name: str) -> AnyNode:
    """Return *node* with another version of what is called *name* in it."""

    def inside(part: object) -> AnyNode:
        return versioned(cast("AnyNode", part), name)

    made: object = node
    match node:
        case Sequence(nodes=nodes):
            made = msgspec.structs.replace(node, nodes=tuple(map(inside, nodes)))
        case Parallel(branches=branches) | Route(branches=branches):
            turned = {label: inside(part) for label, part in branches.items()}
            made = msgspec.structs.replace(cast("AnyNode", node), branches=turned)
        case Each(body=body) | Repeat(body=body):
            made = msgspec.structs.replace(cast("AnyNode", node), body=inside(body))
        case Cascade(tiers=tiers):
            made = msgspec.structs.replace(node, tiers=tuple(map(inside, tiers)))
        case Child(workflow=workflow):
            made = msgspec.structs.replace(node, workflow=inside(workflow))
        case _:
            pass
    new = cast("AnyNode", made)
    return new.versioned("2") if new.name == name else new


def names(node: AnyNode) -> list[str]:
    """Return the names of all nodes in *node*."""
    parts = [cast("AnyNode", part) for _, part in node.parts]
    return [name for part in parts for name in (part.name, *names(part))]


def outcome_of(
    workflow: AnyNode, store: MemoryStore, start: float, seed: int, accept: bool
) -> tuple[object, str | None]:
    """Return the result of a run, or what it is held for."""
    body = ends(workflow, 7)
    try:
        result = live(
            workflow, store, body, start=start, seed=seed, accept_changes=accept
        )
        return result, None
    except RunHeldError as error:
        return None, error.detail


@settings(
    max_examples=int(os.environ.get("UNDERSTUDY_RESUMES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(spec=trees(), seed=seeds(), at=st.floats(0, 1), which=st.integers(0, 99))
def test_a_run_is_held_just_where_it_has_been_at_what_has_changed(
    spec: Group, seed: int, at: float, which: int
) -> None:
    old = build(spec)
    store = Filmed()
    check_meaning(spec, 7, live(old, store, ends(old, 7), seed=seed))
    before, image = store.images[round(at * (len(store.images) - 1))]
    there = names(old)
    name = there[which % len(there)]
    new = versioned(old, name)
    placed = [one for one in records_of(image) if isinstance(one, Placed)]
    labels = {
        label
        for record in placed
        for label in image.fingerprint(record.node).decode().split("/")
    }
    ran.clear()
    result, told = outcome_of(new, image.copy(), before, seed, False)
    if told is None:
        assert name not in labels, "it has been there"
    else:
        assert told.endswith(f"{name}: version is now 2, and was not there")
        assert ran == []
        result, told = outcome_of(new, image, before, seed, True)
        assert told is None
    check_meaning(spec, 7, result)  # type: ignore[arg-type]


@settings(
    max_examples=int(os.environ.get("UNDERSTUDY_RESUMES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    spec=trees(),
    seed=seeds(),
    at=st.floats(0, 1),
    which=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_a_run_that_was_held_goes_on_just_where_it_would_have_had_it_not_been(
    spec: Group, seed: int, at: float, which: tuple[int, int]
) -> None:
    old = build(spec)
    store = Filmed()
    live(old, store, ends(old, 7), seed=seed)
    before, image = store.images[round(at * (len(store.images) - 1))]
    there = names(old)
    wrong, right = (versioned(old, there[one % len(there)]) for one in which)
    was_held = image.copy()
    outcome_of(wrong, was_held, before, seed, False)
    found = was_held.find(RUN)
    if found is None or found.status is not RunStatus.HELD:
        return
    result, told = outcome_of(right, was_held, before, seed, False)
    assert told == outcome_of(right, image.copy(), before, seed, False)[1]
    if told is None:
        check_meaning(spec, 7, result)  # type: ignore[arg-type]
