"""Specs and flags: what is refused, when, and in which words (S1 to S13)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import cast

import attrs
import pytest
import trio
from tree_probe import Probe, run, supervising

from understudy_actors.behaviour import Conduct, OnError
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.errors import ChildSpecError
from understudy_protocols.frozen_classes import field_names
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff, RestartBudget
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildKind,
    ChildSpec,
    ExitKind,
    Kill,
    Life,
    Restart,
    Start,
    Strategy,
    SupervisorSpec,
    check_child_specs,
)


async def serve(life: Life) -> None:
    life.ready()
    await life.wait_stop()


def untyped(cls: type) -> Callable[..., object]:
    """Return *cls* as one without type checking sees it."""
    return cast("Callable[..., object]", cls)


def test_s001_a_child_without_id_is_refused() -> None:
    with pytest.raises(TypeError, match="'id'"):
        untyped(ChildSpec)(start=serve)
    for wrong in ("", "a/b", 7, None):
        with pytest.raises(ChildSpecError, match="id must be"):
            untyped(ChildSpec)(wrong, serve)


def test_s002_a_child_without_code_is_refused() -> None:
    with pytest.raises(TypeError, match="'start'"):
        untyped(ChildSpec)("a")
    for wrong in ("serve", None, 7):
        with pytest.raises(ChildSpecError, match=rf"start of 'a'.*{wrong!r}"):
            ChildSpec("a", cast("Start", wrong))


def test_an_owner_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(ChildSpecError, match=r"on_gone of 'a'.*'me'"):
        untyped(ChildSpec)("a", serve, on_gone="me")


def test_s003_an_unknown_restart_word_is_quoted() -> None:
    with pytest.raises(ChildSpecError, match=r"permanent, transient.*'allways'"):
        untyped(ChildSpec)("a", serve, restart="allways")
    spec = untyped(ChildSpec)("a", serve, restart="transient")
    assert cast("ChildSpec", spec).restart is Restart.TRANSIENT


@pytest.mark.parametrize("good", [0, 0.0, 0.5, 100, math.inf, Kill.AT_ONCE])
def test_s004_a_length_of_time_or_kill_is_a_shutdown(good: float | Kill) -> None:
    assert ChildSpec("a", serve, shutdown=good).shutdown == good


@pytest.mark.parametrize(
    ("shutdown", "takes", "until", "kind"),
    [
        (0, 0.5, 0.0, ExitKind.KILLED),
        (0.5, 0.25, 0.25, ExitKind.SHUTDOWN),
        (0.5, 0.75, 0.5, ExitKind.KILLED),
        (math.inf, 1000.0, 1000.0, ExitKind.SHUTDOWN),
        (Kill.AT_ONCE, 0.5, 0.0, ExitKind.KILLED),
    ],
)
def test_s004_a_shutdown_is_how_long_a_child_may_take(
    shutdown: float | Kill, takes: float, until: float, kind: ExitKind
) -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system(
            [probe.child("A", shutdown=shutdown, stop_takes=takes)]
        ) as system:
            await system.root.terminate_child("A")
            assert trio.current_time() == until
        assert [end.kind for end in probe.ends("root/A")] == [kind]

    run(main)


@pytest.mark.parametrize(
    "bad", [-1, -0.1, -math.inf, math.nan, True, False, "5", "kill at once", None]
)
def test_s004_anything_else_is_no_shutdown(bad: object) -> None:
    with pytest.raises(ChildSpecError, match="shutdown of 'a'"):
        ChildSpec("a", serve, shutdown=cast("float", bad))


@pytest.mark.parametrize("bad", [0, -1, math.nan, True, "5"])
def test_a_start_timeout_is_above_zero(bad: object) -> None:
    with pytest.raises(ChildSpecError, match="start_timeout of 'a'"):
        ChildSpec("a", serve, start_timeout=cast("float", bad))


def test_s005_duplicate_ids_are_named_before_anything_starts() -> None:
    probe = Probe()
    with pytest.raises(ChildSpecError, match="'A'"):
        supervising(probe.child("A"), probe.child("B"), probe.child("A"))
    assert not probe.log


def test_s006_the_defaults_are_those_that_are_documented() -> None:
    worker = ChildSpec("a", serve)
    assert worker.restart is Restart.PERMANENT
    assert worker.kind is ChildKind.WORKER
    assert worker.shutdown == 5.0
    assert worker.start_timeout == 30.0
    assert not worker.significant
    for below in (
        supervisor_child("s", SupervisorSpec()),
        ChildSpec("s", serve, kind=ChildKind.SUPERVISOR),
    ):
        assert below.restart is Restart.PERMANENT
        assert below.kind is ChildKind.SUPERVISOR
        assert below.shutdown == math.inf
        assert below.start_timeout == math.inf
        assert not below.significant
    spec = SupervisorSpec()
    assert spec.strategy is Strategy.ONE_FOR_ONE
    assert (spec.intensity, spec.period) == (3, 5.0)
    assert spec.auto_shutdown is AutoShutdown.NEVER
    assert not spec.revive


def test_s007_unknown_keywords_are_refused() -> None:
    with pytest.raises(TypeError, match="restarts"):
        untyped(ChildSpec)("a", serve, restarts="permanent")
    with pytest.raises(TypeError, match="intesity"):
        untyped(SupervisorSpec)((), intesity=3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"strategy": "one_for_none"}, "strategy must be .*'one_for_none'"),
        ({"intensity": -1}, "intensity must be .*-1"),
        ({"intensity": math.inf}, "intensity must be .*inf"),
        ({"intensity": True}, "intensity must be .*True"),
        ({"intensity": 1.0}, r"intensity must be .*1\.0"),
        ({"period": 0}, "period must be .*0"),
        ({"period": -1}, "period must be .*-1"),
        ({"period": math.inf}, "period must be .*inf"),
        ({"period": math.nan}, "period must be .*nan"),
        ({"period": True}, "period must be .*True"),
        ({"period": "5"}, "period must be .*'5'"),
        ({"auto_shutdown": "perhaps"}, "auto_shutdown must be .*'perhaps'"),
        ({"max_children": 0}, "max_children must be .*0"),
        ({"max_children": True}, "max_children must be .*True"),
        ({"children": ["a"]}, "children must be ChildSpecs; got 'a'"),
    ],
)
def test_s008_each_wrong_flag_is_an_error_of_its_own(
    flags: dict[str, object], message: str
) -> None:
    with pytest.raises(ChildSpecError, match=message):
        untyped(SupervisorSpec)(**flags)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_delay", -1),
        ("max_delay", math.inf),
        ("max_delay", 0.01),
        ("factor", 0.5),
        ("factor", math.inf),
        ("jitter", 1.5),
        ("jitter", math.nan),
        ("reset_after", "1"),
    ],
)
def test_a_backoff_with_an_impossible_bound_is_refused(
    field: str, value: object
) -> None:
    with pytest.raises(ChildSpecError, match=field):
        untyped(Backoff)(**{field: value})


def test_a_childs_own_budget_is_checked_as_the_supervisors_is() -> None:
    with pytest.raises(ChildSpecError, match="intensity"):
        RestartBudget(-1, 5.0)
    with pytest.raises(ChildSpecError, match="period"):
        RestartBudget(1, 0.0)


@pytest.mark.parametrize(
    ("restart", "shutdown", "kind", "significant", "auto_shutdown"),
    list(
        itertools.product(
            Restart,
            [0, 5.0, math.inf, Kill.AT_ONCE],
            ChildKind,
            [False, True],
            AutoShutdown,
        )
    ),
)
def test_s009_only_two_combinations_are_refused(
    restart: Restart,
    shutdown: float | Kill,
    kind: ChildKind,
    significant: bool,
    auto_shutdown: AutoShutdown,
) -> None:
    def make() -> SupervisorSpec:
        child = ChildSpec(
            "a",
            serve,
            restart=restart,
            shutdown=shutdown,
            kind=kind,
            significant=significant,
        )
        return SupervisorSpec((child,), auto_shutdown=auto_shutdown)

    if significant and restart is Restart.PERMANENT:
        with pytest.raises(ChildSpecError, match="significant and permanent"):
            make()
    elif significant and auto_shutdown is AutoShutdown.NEVER:
        with pytest.raises(ChildSpecError, match="significant, but auto_shutdown"):
            make()
    else:
        make()


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown))
@pytest.mark.parametrize("names", ["", "A", "S", "AB", "AA", "AS", "SS", "A!"])
def test_s010_a_check_gives_the_verdict_of_the_start(
    names: str, auto_shutdown: AutoShutdown, strategy: Strategy
) -> None:
    probe = Probe()
    known = {
        "A": probe.child("A"),
        "B": probe.child("B"),
        "S": probe.child("S", restart=Restart.TRANSIENT, significant=True),
        "!": cast("ChildSpec", "no spec"),
    }
    children = [known[name] for name in names]

    def verdict(check: Callable[..., object]) -> str:
        try:
            check(children, strategy=strategy, auto_shutdown=auto_shutdown)
        except ChildSpecError as error:
            return str(error)
        return "fine"

    assert verdict(check_child_specs) == verdict(SupervisorSpec)
    if len(set(names)) < len(names) or "!" in names:
        assert verdict(check_child_specs) != "fine"
    assert not probe.log


def test_s011_a_dynamic_supervisor_takes_exactly_one_template() -> None:
    probe = Probe()
    a, b = probe.child("A"), probe.child("B")
    supervising(a, strategy=Strategy.DYNAMIC)
    for wrong in ((), (a, b)):
        with pytest.raises(ChildSpecError, match=f"got {len(wrong)}"):
            supervising(*wrong, strategy=Strategy.DYNAMIC)


def test_s012_a_refused_child_changes_nothing() -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T", restart=Restart.TEMPORARY)
        async with probe.system(
            [
                probe.child("A"),
                supervisor_child("D", supervising(template, strategy=Strategy.DYNAMIC)),
            ]
        ) as system:
            before = system.root.tree()
            dynamic = before.children[1].value
            assert isinstance(dynamic, Supervisor)
            with pytest.raises(ChildSpecError, match="significant"):
                await system.root.start_child(
                    attrs.evolve(template, id="S", significant=True)
                )
            with pytest.raises(ChildSpecError, match="template"):
                await dynamic.start_child(probe.child("P"))
            assert system.root.tree() == before

    run(main)


def test_s013_a_list_changed_after_hand_over_changes_nothing() -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A"), probe.child("B")]
        spec = SupervisorSpec(
            children, strategy=Strategy.ONE_FOR_ALL, intensity=1, backoff=NO_BACKOFF
        )
        children.pop()
        async with probe.system([supervisor_child("S", spec)]):
            children.clear()
            # First the group is started again, then the whole supervisor.
            for _ in range(2):
                log = await probe.crash_and_settle("A")
                assert log == ["end A", "stop B", "init A", "init B"]

    run(main)


def test_s013_a_spec_cannot_be_changed() -> None:
    child = ChildSpec("a", serve)
    for spec in (child, SupervisorSpec((child,)), RestartBudget(), NO_BACKOFF):
        for name in field_names(type(spec)):
            with pytest.raises(AttributeError):
                setattr(spec, name, None)


def test_s013_rules_do_not_change_after_they_were_handed_over() -> None:
    rules: dict[type[Exception], OnError] = {KeyError: OnError.RESUME}
    conduct = Conduct(on_error=rules)
    rules.clear()
    assert conduct.after(KeyError()) is OnError.RESUME
