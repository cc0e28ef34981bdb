"""The shape of a workflow: what is in it, what is not, and how changes are told."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from pathlib import Path
from typing import Any, Literal, NamedTuple, NewType, TypedDict, cast

import attrs
import msgspec
import pytest
from hypothesis import given

from understudy import (
    Context,
    ModelReply,
    OrchestrationState,
    Outcome,
    RetryConfig,
    Router,
    Workflow,
    best_effort,
    cascade,
    check,
    child,
    each,
    maybe,
    named_function,
    parallel,
    pause,
    quorum,
    repeat,
    route,
    sequence,
    step,
)
from understudy.workflows.fingerprint import (
    Fingerprint,
    decode_fingerprint,
    difference,
    fingerprint_of,
)
from understudy.workflows.type_words import definitions, in_words
from understudy_protocols.codec import register_tag
from understudy_protocols.errors import CodecError, UnnamedFunctionError, WorkflowError

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))

from workflow_trees import Group, build, trees

Flow = Workflow[Any, object, object]
HERE = __name__


@step
async def first(context: Context[str]) -> int:
    """Give a number."""
    return 1


@step
async def second(context: Context[str]) -> int:
    """Give another."""
    return 2


def good(value: object) -> bool:
    """Say yes."""
    return True


def fine(value: object) -> bool:
    """Say yes as well."""
    return True


def texts(context: Context[object]) -> tuple[str, ...]:
    """Give items."""
    return ("a",)


def numbers(context: Context[object]) -> tuple[int, ...]:
    """Give other items."""
    return (1,)


def left(context: Context[object]) -> str:
    """Go left."""
    return "left"


def right(context: Context[object]) -> str:
    """Go right."""
    return "right"


def shape(node: object) -> Fingerprint:
    """Return the shape of *node*, as part of a workflow, written and read again."""
    flow: Any = sequence(first, cast("Flow", node), name="whole")
    made = fingerprint_of(check(flow))
    again = decode_fingerprint(made.encode())
    assert again == made
    return made


def changes(old: object, new: object) -> list[str]:
    return difference(shape(old), shape(new))


# --- what counts ----------------------------------------------------------------

two: dict[str, Any] = {"left": first.named("l"), "right": second.named("r")}
three: dict[str, Any] = {**two, "middle": second.named("m")}

CHANGED: dict[str, tuple[object, object, list[str]]] = {
    "a version": (
        second,
        second.versioned("2"),
        ["second: version is now 2, and was not there"],
    ),
    "another version": (
        second.versioned("1"),
        second.versioned("2"),
        ["second: version is now 2, and was 1"],
    ),
    "a name": (second, second.named("other"), ["second is gone", "other is new"]),
    "the kind": (
        second,
        pause("second", output=int),
        ["second is a pause, and was a step"],
    ),
    "a new need": (
        second,
        step(name="second", needs=(first,))(second.call),  # type: ignore[arg-type]
        ["second: need of first is now certain, and was not there"],
    ),
    "how a need is needed": (
        step(name="second", needs=(first,))(second.call),  # type: ignore[arg-type]
        step(name="second", needs=(maybe(first),))(second.call),  # type: ignore[arg-type]
        ["second: need of first is now maybe, and was certain"],
    ),
    "the function": (
        second,
        step(name="second")(first.call),  # type: ignore[arg-type]
        [f"second: function is now {HERE}:first, and was {HERE}:second"],
    ),
    "when": (
        step(name="second", when=good)(second.call),  # type: ignore[arg-type]
        step(name="second", when=fine)(second.call),  # type: ignore[arg-type]
        [f"second: when is now {HERE}:fine, and was {HERE}:good"],
    ),
    "the output": (
        pause("wait", output=int),
        pause("wait", output=str),
        ["wait: output is now str, and was int"],
    ),
    "the join": (
        parallel(**two),
        parallel(**two, join=best_effort()),
        ["parallel: join is now best_effort, and was all_of"],
    ),
    "a number of the join": (
        parallel(**two, join=quorum(1)),
        parallel(**two, join=quorum(2)),
        ["parallel: join is now quorum of 2, and was quorum of 1"],
    ),
    "the branches": (
        parallel(**three),
        parallel(**two),
        [
            "parallel: branches is now left, right, and was left, middle, right",
            "parallel/middle is gone",
        ],
    ),
    "the items": (
        each(second, over=texts),
        each(second, over=numbers),
        [
            "each: given is now tuple[int, ...], and was tuple[str, ...]",
            f"each: over is now {HERE}:numbers, and was {HERE}:texts",
        ],
    ),
    "the policy": (
        route(left, **two),
        route(right, **two),
        [f"route: policy is now {HERE}:right, and was {HERE}:left"],
    ),
    "the routes": (
        route(left, **three),
        route(left, **two),
        [
            "route: branches is now left, right, and was left, middle, right",
            "route/middle is gone",
        ],
    ),
    "what is accepted": (
        cascade(second, first.named("third"), accept=good),
        cascade(second, first.named("third"), accept=fine),
        [f"cascade: accept is now {HERE}:fine, and was {HERE}:good"],
    ),
    "the order of tiers": (
        cascade(second, first.named("third"), accept=good),
        cascade(first.named("third"), second, accept=good),
        [
            "cascade: tiers is now third, second, and was second, third",
            "the order is now first, cascade, cascade/third, cascade/second",
        ],
    ),
    "what ends a loop": (
        repeat(second, until=good, max_rounds=3),
        repeat(second, until=fine, max_rounds=3),
        [f"repeat: until is now {HERE}:fine, and was {HERE}:good"],
    ),
    "the rounds": (
        repeat(second, until=good, max_rounds=3),
        repeat(second, until=good, max_rounds=4),
        ["repeat: max_rounds is now 4, and was 3"],
    ),
    "what a child is about": (
        child(second, input=left, name="inner"),
        child(second, input=right, name="inner"),
        [f"inner: source is now {HERE}:right, and was {HERE}:left"],
    ),
    "the order": (
        sequence(second, second.named("third")),
        sequence(second.named("third"), second),
        ["the order is now first, third, second"],
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_told_with_the_node_and_what_was_there(what: str) -> None:
    old, new, told = CHANGED[what]
    assert changes(old, new) == told
    assert shape(old).encode() != shape(new).encode()
    assert changes(old, old) == changes(new, new) == []


def test_the_input_is_that_of_the_whole_workflow() -> None:
    @step
    async def one(context: Context[str]) -> int:
        return 1

    @step(name="one")
    async def other(context: Context[bytes]) -> int:
        return 1

    old, new = (fingerprint_of(check(sequence(it))) for it in (one, other))
    assert difference(old, new) == ["the workflow: input is now bytes, and was str"]


@pytest.mark.parametrize(
    "new",
    [
        step(name="second", retry=RetryConfig(max_attempts=9), timeout=5)(second.call),  # type: ignore[arg-type]
        step(name="second", max_concurrent=1, replay_safe=False)(second.call),  # type: ignore[arg-type]
        sequence(second),
        sequence(sequence(second)),
    ],
)
def test_what_does_not_change_the_meaning_is_not_in_it(new: object) -> None:
    assert shape(new).encode() == shape(second).encode()


def test_the_order_of_needs_is_not_in_it() -> None:
    def needing(*needs: str) -> object:
        return sequence(second, step(name="it", needs=needs)(first.call))  # type: ignore[arg-type]

    one, other = needing("first", "second"), needing("second", "first")
    assert shape(one).encode() == shape(other).encode()


def test_neither_limits_nor_the_order_of_branches_change_a_node() -> None:
    turned = dict(reversed(two.items()))
    old = shape(parallel(**two))
    new = shape(parallel(**turned, max_concurrent=1))
    assert difference(old, new, old.order) == []
    limited = each(second, over=texts, max_concurrent=9)
    assert changes(each(second, over=texts), limited) == []


# --- types ----------------------------------------------------------------------


class Mood(Enum):
    GOOD = 1
    BAD = 2


class Access(Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: int
    rest: tuple[Pair, ...] = ()


class Row(TypedDict):
    mood: Mood


@attrs.frozen
class Tagged:
    title: str


register_tag(Tagged, "test.tagged")

UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (int, "int"),
        (None, "None"),
        (str | int | None, "None | int | str"),
        (int | str | None, "None | int | str"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple"),
        (Mapping[str, Mood], "Mapping[str, Mood]"),
        (Literal["b", "a", Mood.BAD], "Literal['a', 'b', Mood.BAD]"),
        (UserId, "int"),
        (Callable[[int], str], "Callable[list, str]"),
        (Outcome[Tagged], "understudy.outcome[test.tagged]"),
        (
            {"type": "object", "a": [1, {"b": None}]},
            '{"a":[1,{"b":null}],"type":"object"}',
        ),
    ],
)
def test_a_type_has_the_same_words_everywhere(declared: object, words: str) -> None:
    assert in_words(declared) == words


@pytest.mark.parametrize(
    ("declared", "facts"),
    [
        (int, {}),
        (Mood, {"members of Mood": "BAD, GOOD"}),
        (Access, {"members of Access": "READ=1, WRITE=2"}),
        (
            tuple[Pair, ...],
            {"field Pair.left": "int", "field Pair.rest": "tuple[Pair, ...]"},
        ),
        (Row, {"field Row.mood": "Mood", "members of Mood": "BAD, GOOD"}),
        (Tagged | None, {"field test.tagged.title": "str"}),
        (ModelReply, {}),
    ],
)
def test_the_fields_of_classes_are_in_it_but_not_those_of_our_own(
    declared: object, facts: dict[str, str]
) -> None:
    assert dict(definitions(declared)) == facts


def test_a_field_of_a_field_that_has_changed_is_told() -> None:
    def said(kind: object) -> object:
        issue = msgspec.defstruct("Issue", [("weight", kind)], frozen=True)
        fields = {"issue": attrs.field(type=issue)}
        report: type[object] = attrs.make_class("Report", fields, frozen=True)
        return pause("said", output=report)

    told = ["said: field Issue.weight is now str, and was int"]
    assert changes(said(int), said(str)) == told


# --- functions without a name -----------------------------------------------------

nameless = functools.partial(good)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (step(name="it", when=lambda _: True)(first.call), "it: with a journal, when"),  # type: ignore[arg-type]
        (
            step(thread=True)(lambda context: 1),
            "<lambda>: with a journal, its function",
        ),
        (step(thread=True)(functools.partial(left)), "partial: with a journal, its"),
        (each(second, over=lambda _: (1,)), "each: with a journal, over"),
        (route(lambda _: "left", **two), "route: with a journal, policy"),
        (cascade(second, accept=lambda _: True), "cascade: with a journal, accept"),
        (repeat(second, until=nameless, max_rounds=2), "repeat: with a journal, until"),
        (child(second, input=lambda _: ""), "second: with a journal, input"),
    ],
)
def test_a_function_without_a_name_is_refused_with_what_to_do(
    node: object, said: str
) -> None:
    with pytest.raises(UnnamedFunctionError, match="at the top of a module") as caught:
        shape(node)
    assert str(caught.value).startswith(said)
    assert isinstance(caught.value, WorkflowError)


def test_steps_are_known_by_their_names_wherever_they_were_made() -> None:
    def make() -> object:
        @step
        async def inside(context: Context[object]) -> int:
            return 1

        return inside

    assert shape(make()).encode() == shape(make()).encode()
    assert "function" not in shape(make()).nodes["inside"]


def test_steps_that_are_objects_and_routers_have_all_the_names_they_need() -> None:
    class Old:
        name = "old"

        async def execute(self, state: OrchestrationState) -> OrchestrationState:
            return state

        def should_execute(self, state: OrchestrationState) -> bool:
            return True

    assert shape(sequence(Old())).nodes["old"]["when"] == "should_execute"
    router = Router()
    for label in ("simple", "standard", "complex"):
        router.add_route(label, second.named(label))
    assert (
        shape(router.as_workflow()).nodes["router"]["policy"].endswith(":LengthTiers")
    )


def test_a_lambda_with_a_name_is_known_by_it() -> None:
    def loop() -> object:
        return repeat(
            second, until=named_function("done", lambda value: value == 2), max_rounds=2
        )

    assert shape(loop()).nodes["repeat"]["until"] == "done"
    assert shape(loop()).encode() == shape(loop()).encode()


# --- as bytes ---------------------------------------------------------------------


@given(trees())
def test_any_workflow_that_is_built_twice_has_the_same_shape(spec: Group) -> None:
    one, other = (fingerprint_of(check(build(spec))) for _ in range(2))
    assert one.encode() == other.encode()
    assert difference(one, other) == []
    assert decode_fingerprint(one.encode()) == one
    paths = {node.path for node in check(build(spec)).root.walk()}
    assert one.nodes.keys() - {""} <= paths


def test_every_process_makes_the_same_bytes() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import test_fingerprint as it\n"
        "for old, new, _ in it.CHANGED.values():\n"
        "    print(it.shape(old).encode(), it.shape(new).encode())\n"
        "print(it.in_words(int | str | None), it.in_words(it.Access))\n"
    )
    folder = Path(__file__).parent
    printed = {
        subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(printed) == 1


def test_a_shape_of_a_later_release_is_refused_by_its_version() -> None:
    later = msgspec.json.encode({"version": 2, "nodes": 7})
    with pytest.raises(CodecError, match="version 2; this release reads version 1"):
        decode_fingerprint(later)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"version":1,"nodes":[]}'])
def test_bytes_that_are_no_shape_are_refused(content: bytes) -> None:
    with pytest.raises(CodecError, match="no shape of a workflow"):
        decode_fingerprint(content)


# --- only where a run has been ------------------------------------------------------


def test_only_changes_at_some_nodes_and_around_them_are_told() -> None:
    def make(name: str, join: Any) -> object:
        inner = parallel(second.versioned(name), first.named("b"), name="inner")
        last = first.named("c").versioned(name)
        return cast("Flow", parallel(inner, last, join=join, name="outer"))

    old, new = shape(make("1", quorum(1))), shape(make("2", quorum(2)))
    there = "outer/inner/second: version is now 2, and was 1"
    outer = "outer: join is now quorum of 2, and was quorum of 1"
    assert difference(old, new, []) == []
    assert difference(old, new, ["first"]) == []
    assert difference(old, new, ["outer/inner/b"]) == [outer]
    assert difference(old, new, ["outer/inner/second"]) == [outer, there]
    versioned = msgspec.structs.replace(
        old, nodes={**old.nodes, "": {"kind": "sequence"}}
    )
    assert difference(old, versioned, []) == [
        "the workflow: input was str, and is gone"
    ]
