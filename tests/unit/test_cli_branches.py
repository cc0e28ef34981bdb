"""A supervision tree in words."""

from __future__ import annotations

import attrs
import pytest

from understudy.cli.branches import Branch, Tone, branch_of, told, trimmed
from understudy.cli.tree_facts import tree_facts
from understudy_protocols.supervision import ChildKind, Restart, Strategy
from understudy_protocols.supervision_records import (
    ChildState,
    ChildStatus,
    TreeSnapshot,
)
from understudy_protocols.workload import Workload

RUNNING = ChildState.RUNNING


def status(
    name: str,
    state: ChildState = RUNNING,
    workload: Workload | None = None,
    *,
    incarnation: int = 1,
    due: float | None = None,
    kind: ChildKind = ChildKind.WORKER,
) -> ChildStatus:
    return ChildStatus(
        name,
        f"root/{name}",
        kind,
        Restart.TRANSIENT,
        state,
        incarnation,
        due,
        None,
        workload,
    )


def tree(*children: ChildStatus, below: tuple[TreeSnapshot, ...] = ()) -> TreeSnapshot:
    return TreeSnapshot("root", Strategy.REST_FOR_ONE, 3, 5.0, children, below)


def only(child: ChildStatus) -> Branch:
    (branch,) = branch_of(tree(child), now=10.0).below
    return branch


@pytest.mark.parametrize(
    ("child", "state", "tone"),
    [
        (status("a"), "running", Tone.QUIET),
        (status("a", workload=Workload(in_hand=1)), "running", Tone.BUSY),
        (status("a", workload=Workload(queued=1)), "running", Tone.BUSY),
        (status("a", ChildState.STARTING), "starting", Tone.UNEASY),
        (status("a", ChildState.RESTARTING), "restarting", Tone.UNEASY),
        (
            status("a", ChildState.RESTARTING, due=10.75),
            "backing off, 0.8 s",
            Tone.UNEASY,
        ),
        (status("a", workload=Workload(due=12)), "backing off, 2.0 s", Tone.UNEASY),
        (status("a", workload=Workload(due=9)), "backing off, 0.0 s", Tone.UNEASY),
        (status("a", workload=Workload(in_hand=3, stuck=2)), "2 stuck", Tone.BAD),
        (status("a", ChildState.STOPPED), "stopped", Tone.UNEASY),
        (
            status("a", ChildState.STOPPED, Workload(down=True, due=12, stuck=1)),
            "down",
            Tone.BAD,
        ),
    ],
)
def test_the_worst_of_a_child_is_its_state(
    child: ChildStatus, state: str, tone: Tone
) -> None:
    branch = only(child)

    assert (branch.state, branch.tone) == (state, tone)


def test_a_step_says_its_limit_its_restarts_and_what_broke_it_last() -> None:
    work = Workload(
        in_hand=1, limit=4, queued=7, replaced=2, cause=ConnectionError("no\nanswer")
    )

    branch = only(status("lookup", workload=work, incarnation=3))

    assert branch == Branch(
        "lookup",
        supervision="transient",
        state="running",
        tone=Tone.BUSY,
        restarts=4,
        in_hand="1 of 4",
        queued=7,
        cause="ConnectionError: no answer",
    )
    assert only(status("a", workload=Workload())).in_hand == "0"
    assert only(status("a")).in_hand == ""


def test_supervisors_say_their_strategy_and_hold_their_children_in_order() -> None:
    inner = TreeSnapshot(
        "root/s",
        Strategy.ONE_FOR_ALL,
        10,
        60.0,
        (status("s/b"), status("s/a")),
        (),
    )
    children = (status("w"), status("s", kind=ChildKind.SUPERVISOR))

    root = branch_of(tree(*children, below=(inner,)), now=0)

    assert [(depth, branch.name) for depth, branch in root.walk()] == [
        (0, "root"),
        (1, "w"),
        (1, "s"),
        (2, "b"),
        (2, "a"),
    ]
    assert root.supervision == "rest_for_one, 3 in 5 s"
    assert root.below[1].supervision == "one_for_all, 10 in 60 s"


def test_a_long_name_keeps_its_end_and_an_odd_one_is_harmless() -> None:
    long = only(status(f"{'x' * 60}.lookup")).name

    assert len(long) == 40
    assert long.startswith("…")
    assert long.endswith("x.lookup")
    assert only(status("a\x1b[31m\nb")).name == "a [31m b"


def test_an_exception_is_told_in_one_line() -> None:
    assert told(ValueError()) == "ValueError"
    assert told(ValueError("a\n  b")) == "ValueError: a b"
    assert len(told(ValueError("x" * 1_000))) == 200


def test_where_there_is_no_room_the_quiet_are_left_out_first() -> None:
    work = {
        "calm": Workload(),
        "busy": Workload(in_hand=1),
        "calmer": Workload(),
        "broken": Workload(down=True, cause=ValueError("x")),
    }
    root = branch_of(tree(*(status(name, workload=work[name]) for name in work)), now=0)

    def kept(lines: int) -> tuple[list[str], int]:
        smaller, left_out = trimmed(root, lines)
        return [branch.name for branch in smaller.below], left_out

    # The cause has a line to itself, and what is left out is told in one.
    assert kept(6) == (list(work), 0)
    assert kept(5) == (["busy", "broken"], 2)
    assert kept(4) == (["broken"], 3)
    assert kept(1) == ([], 4)
    assert attrs.evolve(root, below=()) == trimmed(root, 1)[0]


def test_of_lines_that_matter_alike_the_first_are_kept() -> None:
    root = branch_of(tree(*(status(name) for name in "abcd")), now=0)

    smaller, left_out = trimmed(root, 4)

    assert ([branch.name for branch in smaller.below], left_out) == (["a", "b"], 2)


def test_the_facts_for_programs_hold_all_that_is_shown() -> None:
    work = Workload(1, 4, 7, 2, 1, None, down=True, cause=ValueError("x"))
    inner = TreeSnapshot("root/s", Strategy.ONE_FOR_ALL, 10, 60.0, (), ())
    children = (status("w", workload=work), status("s", kind=ChildKind.SUPERVISOR))

    assert tree_facts(tree(*children, below=(inner,))) == {
        "path": "root",
        "strategy": "rest_for_one",
        "intensity": 3,
        "period": 5.0,
        "children": [
            {
                "path": "root/w",
                "kind": "worker",
                "restart": "transient",
                "state": "running",
                "incarnation": 1,
                "workload": {
                    "in_hand": 1,
                    "limit": 4,
                    "queued": 7,
                    "replaced": 2,
                    "stuck": 1,
                    "down": True,
                    "cause": "ValueError: x",
                },
            },
            {
                "path": "root/s",
                "kind": "supervisor",
                "restart": "transient",
                "state": "running",
                "incarnation": 1,
                "strategy": "one_for_all",
                "intensity": 10,
                "period": 60.0,
                "children": [],
            },
        ],
    }
