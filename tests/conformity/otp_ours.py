"""Runs a scenario through our supervisor, and tells it as OTP's side does."""

from __future__ import annotations

import enum
from collections import Counter

import attrs
import trio.testing
from otp_cast import Cast
from otp_scenarios import (
    Add,
    Call,
    Command,
    End,
    Scenario,
    Together,
    Verb,
)

from understudy.testing import run_seeded
from understudy_actors.supervisor import Supervisor
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ChildSpecError,
    RuntimeFailed,
    StartFailedError,
)
from understudy_protocols.supervision import (
    ChildKind,
    Strategy,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
)

_SIGNS = {ChildState.RUNNING: "+", ChildState.STOPPED: "-"}


class Race(enum.Enum):
    """What two ends at one instant leave open, since our starts are tasks (S23).

    OTP brings back the first child before it looks at the second end.  We have
    seen both ends before a child that is brought back takes a step.
    """

    UNORDERED = "unordered"  # the two restarts, among each other
    APART = "apart"  # OTP makes restarts that the second end undoes


@attrs.frozen
class Told:
    """What our side did.

    Args:
      scenario: as it was run: ends at one instant stand in the order they had.
      steps: what happened, a list of lines for each step.
      counts: how often each kind of thing happened, for each step.
      races: what is left open in a step.
      s032: the step and line in which a transient supervisor first gave up:
        from there OTP goes another way.
    """

    scenario: Scenario
    steps: list[list[str]]
    counts: list[Counter[str]]
    races: dict[int, Race]
    s032: tuple[int, int] | None


def run_ours(scenario: Scenario) -> Told:
    """Run *scenario* under virtual time, and the schedule of its seed."""
    return _Run(scenario).told()


class _Run:
    """Carries out the commands."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._cast = Cast()
        # Which steps had two ends at one instant, and their supervisors' flags.
        self._together: list[tuple[int, Strategy, tuple[str, ...]]] = []

    def told(self) -> Told:
        cast, seed = self._cast, self._scenario.seed
        commands = list(self._scenario.commands)
        # Put off by some rounds, two ends would not be at one instant.
        together = any(isinstance(command, Together) for command in commands)
        run_seeded(self._main, seed=seed, defer=0.0 if together else seed % 3 * 0.2)
        races: dict[int, Race] = {}
        for step, strategy, order in self._together:
            command = commands[step - 1]
            assert isinstance(command, Together), "noted for one"
            commands[step - 1] = command = _as_it_was(command, cast.steps[step])
            ended = (step, command.path) in cast.gone
            places = [order.index(end.path) for end in command.ends]
            if race := _race(strategy, places, ended):
                races[step] = race
        scenario = attrs.evolve(self._scenario, commands=tuple(commands))
        return Told(scenario, cast.steps, cast.counts, races, cast.s032)

    async def _main(self) -> None:
        root, cast = self._scenario.root, self._cast
        assert root.group is not None, "the root is a supervisor"
        cast.begin_step()
        cast.init("root", root)
        spec = cast.flags("root", root.group)
        try:
            async with ActorSystem(spec, on_event=cast.on_event) as system:
                await self._script(system)
        except StartFailedError:
            cast.say("! start_failed")
            cast.count("first starts that fail")
        except RuntimeFailed:
            cast.say("! shutdown")
        else:
            cast.say("! shutdown")

    async def _script(self, system: ActorSystem) -> None:
        cast = self._cast
        self._list(system.root)
        for command in self._scenario.commands:
            step, result = cast.begin_step(), "none"
            try:
                result = await self._result(system.root, command)
                await trio.testing.wait_all_tasks_blocked()
            finally:  # also if the root gave up, which cancels us
                cast.say(f"= {result}")
                cast.count(f"{_name(command)}: {result}")
            if (step, "root") in cast.gone:
                return
            self._list(system.root)
        cast.begin_step()
        await system.stop()

    def _list(self, supervisor: Supervisor) -> None:
        count, children = supervisor.count(), supervisor.children()
        signs = "".join(f" {it.id}{_SIGNS.get(it.state, '?')}" for it in children)
        self._cast.say(
            f"{supervisor.path} {count.specs} {count.active} "
            f"{count.supervisors} {count.workers}:{signs}"
        )
        for child in children:
            if isinstance(child.value, Supervisor):
                self._list(child.value)

    async def _result(self, root: Supervisor, command: Command) -> str:
        match command:
            case End():
                return self._finish(root, command)
            case Together():
                return self._finish_together(root, command)
            case Call() | Add():
                supervisor = _supervisor(root, command.path)
                if supervisor is None:
                    return "absent"
                try:
                    return await self._called(supervisor, command)
                except ChildSpecError:
                    return "refused"
                except StartFailedError:
                    return "start_failed"
                except AdminError as error:
                    return error.refusal.name.lower()

    def _finish(self, root: Supervisor, *ends: End) -> str:
        if not all(_is_running_worker(root, end.path) for end in ends):
            return "absent"
        for end in ends:
            self._cast.finish(end.path, end.how)
        return "ok"

    def _finish_together(self, root: Supervisor, command: Together) -> str:
        result = self._finish(root, *command.ends)
        supervisor = _supervisor(root, command.path)
        if result == "ok" and supervisor is not None:
            order = tuple(child.path for child in supervisor.children())
            step = len(self._cast.steps) - 1
            self._together.append((step, supervisor.spec.strategy, order))
        return result

    async def _called(self, supervisor: Supervisor, call: Call | Add) -> str:
        match call:
            case Call(Verb.TERMINATE, _, name):
                await supervisor.terminate_child(name)
                return "ok"
            case Call(Verb.DELETE, _, name):
                await supervisor.delete_child(name)
                return "ok"
            case Call(Verb.RESTART, _, name):
                value = await supervisor.restart_child(name)
            case Call():
                raise AssertionError("there is no other verb")
            case Add(path, node):
                child = self._cast.child(f"{path}/{node.id}", node)
                value = await supervisor.start_child(child)
        return "ok" if value is not None else "declined"


def _name(command: Command) -> str:
    match command:
        case End():
            return command.how.value
        case Call():
            return f"{command.verb.value}_child"
        case Add():
            return "start_child"
        case Together():
            return "two ends at one instant"


def _as_it_was(command: Together, step: list[str]) -> Together:
    """Return *command* with the ends in the order in which they were told."""
    first, second = command.ends
    if step.index(f"end {first.path}") < step.index(f"end {second.path}"):
        return command
    return Together(command.path, (second, first))


def _race(strategy: Strategy, order: list[int], ended: bool) -> Race | None:
    """Return what is left open.

    Args:
      strategy: the supervisor's.
      order: where those that ended stand in it, first to end first.
      ended: whether the supervisor ended too.
    """
    if strategy is Strategy.ONE_FOR_ONE:
        return Race.APART if ended else Race.UNORDERED
    if strategy is Strategy.REST_FOR_ONE and order[0] > order[1]:
        return Race.APART
    return None  # one group restart, for both


def _is_running_worker(root: Supervisor, path: str) -> bool:
    above, _, name = path.rpartition("/")
    supervisor = _supervisor(root, above)
    return supervisor is not None and any(
        child.id == name
        and child.kind is ChildKind.WORKER
        and child.state is ChildState.RUNNING
        for child in supervisor.children()
    )


def _supervisor(root: Supervisor, path: str) -> Supervisor | None:
    """Return the supervisor at *path* if it runs."""
    supervisor = root
    for name in path.split("/")[1:]:
        value = next((it.value for it in supervisor.children() if it.id == name), None)
        if not isinstance(value, Supervisor):
            return None
        supervisor = value
    return supervisor
