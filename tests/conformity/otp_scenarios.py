"""Random scenarios for a supervision tree, as data that Erlang can read too.

A scenario is a static tree and a list of commands.  Both sides, ours and OTP's,
tell what happens as *steps*, one for the start, one for each command and one
for the last stop, each a list of lines:

* ``init PATH``, ``init PATH fails``, ``init PATH declines``: a start was tried;
* ``end PATH``: a child ended as it was told by the scenario;
* ``stop PATH``: a child ended because its supervisor asked it to;
* ``gave_up PATH``: a supervisor was over its restart intensity;
* ``= WORD``: what the command was answered;
* ``PATH specs active supervisors workers: a+ b-``: the listing of a supervisor
  once nothing moves any more, with what runs (+) and what does not (-);
* ``! WORD``: how the root ended.

What is not made, because it cannot be compared:

* ``shutdown=0``: in OTP it is a race whether the child is asked first.
* A sub-supervisor that is killed at once: in OTP its children are then told by
  their links, all at the same time.
* Ends at one instant under different supervisors: in OTP these run in parallel.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Iterator

import attrs

from understudy_protocols.supervision import AutoShutdown, Kill, Restart, Strategy

PERIOD = 3600.0  # S53: no restart leaves the window, whichever way it is counted
DEPTH = 3  # levels of supervisors


class Init(enum.Enum):
    """What one start of a child comes to."""

    READY = "ready"
    FAILS = "fails"
    DECLINES = "declines"


class Finish(enum.Enum):
    """How a worker ends by itself."""

    CRASH = "crash"
    RETURN = "return"
    SHUT_DOWN = "shut_down"
    SHUT_DOWN_WITH_DETAIL = "shut_down_with_detail"  # to us the same
    KILL = "kill"  # by force, from outside: it cannot tell


class Verb(enum.Enum):
    """An admin call that takes an id."""

    TERMINATE = "terminate"
    RESTART = "restart"
    DELETE = "delete"


@attrs.frozen
class Group:
    """What makes a child a supervisor: its flags and first children."""

    strategy: Strategy
    intensity: int
    auto_shutdown: AutoShutdown
    children: tuple[Node, ...]


@attrs.frozen
class Node:
    """One child.

    Args:
      id: its name; one lower-case letter, or ``root``.
      restart, shutdown, significant: as in `ChildSpec`.
      inits: what its starts come to, first one first; ready after that.
      stops_badly: whether a worker that is asked to stop fails over it.
      group: None for a worker.
    """

    id: str
    restart: Restart = Restart.PERMANENT
    shutdown: float | Kill = math.inf
    significant: bool = False
    inits: tuple[Init, ...] = ()
    stops_badly: bool = False
    group: Group | None = None


@attrs.frozen
class End:
    """The worker at *path* ends."""

    how: Finish
    path: str


@attrs.frozen
class Together:
    """Two workers of the supervisor at *path* end at one instant, in this order."""

    path: str
    ends: tuple[End, End]


@attrs.frozen
class Call:
    """The supervisor at *path* is asked to do something with a child."""

    verb: Verb
    path: str
    id: str


@attrs.frozen
class Add:
    """The supervisor at *path* is asked to start another child."""

    path: str
    node: Node


Command = End | Together | Call | Add


@attrs.frozen
class Scenario:
    """A tree, what is done with it, and the seed that both came from."""

    seed: int
    root: Node
    commands: tuple[Command, ...]


def generate(seed: int) -> Scenario:
    """Return the scenario of *seed*, always the same."""
    return _Generator(seed).scenario()


def nodes(path: str, node: Node) -> Iterator[tuple[str, Node]]:
    """Yield *node* and all below it, each with its path."""
    yield path, node
    for child in node.group.children if node.group is not None else ():
        yield from nodes(f"{path}/{child.id}", child)


def outline(place: str, tree: Node) -> str:
    """Return *tree*, which stands at *place*, a child a line."""
    lines: list[str] = []
    for path, node in nodes(place, tree):
        words = [path, node.restart.value]
        if isinstance(node.shutdown, Kill):
            words.append("killed at once")
        if node.significant:
            words.append("significant")
        if node.group is not None:
            auto = node.group.auto_shutdown.value
            words += [node.group.strategy.value, str(node.group.intensity), auto]
        if node.stops_badly:
            words.append("stops badly")
        words += [init.value for init in node.inits]
        lines.append("  ".join(words))
    return "\n".join(lines)


def shown(command: Command) -> str:
    """Return *command* on one line."""
    match command:
        case End(how, path):
            return f"{how.value} {path}"
        case Together(_, (first, second)):
            return f"at one instant: {shown(first)}, {shown(second)}"
        case Call(verb, path, name):
            return f"{verb.value}_child {path} {name}"
        case Add(path, node):
            tree = outline(f"{path}/{node.id}", node).replace("\n", "; ")
            return f"start_child {path}: {tree}"


class _Generator:
    """Draws one scenario.  What it may contain at all is drawn first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = draw = random.Random(seed)
        self._fails = draw.choice((0.0, 0.2, 0.4))
        self._declines = draw.choice((0.0, 0.0, 0.15))
        self._kills = draw.choice((0.0, 0.3))
        self._stops_badly = draw.choice((0.0, 0.2))
        self._nests = draw.choice((0.0, 0.3, 0.5))
        self._intensities = draw.choice(((0, 1), (1, 2, 3), (2, 3, 20), (20, 50)))
        self._significant = draw.random() < 0.4
        self._strategies = draw.choice(
            (list(Strategy)[:3], [draw.choice(list(Strategy)[:3])])
        )
        self._known: list[tuple[str, Node]] = []
        self._down: list[str] = []  # probably not running

    def scenario(self) -> Scenario:
        root = Node("root", group=self._group(1))
        self._known = list(nodes("root", root))
        length = self._random.randint(4, 12)
        return Scenario(self._seed, root, tuple(self._command() for _ in range(length)))

    # The tree

    def _group(self, level: int) -> Group:
        draw = self._random
        auto = AutoShutdown.NEVER
        if self._significant:
            auto = draw.choice(list(AutoShutdown))
        ids = "abcd"[: draw.randint(1, 4)]
        return Group(
            draw.choice(self._strategies),
            draw.choice(self._intensities),
            auto,
            tuple(self._node(name, level, auto) for name in ids),
        )

    def _node(self, name: str, level: int, auto: AutoShutdown) -> Node:
        draw = self._random
        group = None
        if level < DEPTH and draw.random() < self._nests:
            group = self._group(level + 1)
        restart = draw.choices(list(Restart), (6, 2 if group is None else 1, 1))[0]
        shutdown: float | Kill = draw.choice((math.inf, 60.0))
        if group is None and draw.random() < self._kills:
            shutdown = Kill.AT_ONCE
        significant = (
            auto is not AutoShutdown.NEVER
            and restart is not Restart.PERMANENT
            and draw.random() < 0.7
        )
        badly = group is None and draw.random() < self._stops_badly
        return Node(name, restart, shutdown, significant, self._inits(), badly, group)

    def _inits(self) -> tuple[Init, ...]:
        draw = self._random
        if draw.random() < self._fails:
            first = draw.choices((0, 1, 2), (1, 15, 4))[0]
            return (Init.READY,) * first + (Init.FAILS,) * draw.randint(1, 3)
        if draw.random() < self._declines:
            return (Init.READY,) * draw.choice((0, 1)) + (Init.DECLINES,)
        return ()

    # The commands

    def _command(self) -> Command:
        draw = self._random
        kind = draw.choices(("end", "together", "call", "add"), (10, 2, 5, 1))[0]
        match kind:
            case "end":
                how = draw.choices(list(Finish), (12, 3, 2, 1, 3))[0]
                path = self._worker()
                if how is not Finish.CRASH:
                    self._down.append(path)
                return End(how, path)
            case "together":
                return self._together()
            case "call":
                return self._call()
            case _:
                return self._add()

    def _worker(self) -> str:
        workers = [path for path, node in self._known if node.group is None]
        return self._random.choice(workers or ["root/a"])

    def _together(self) -> Command:
        draw = self._random
        path = self._worker().rpartition("/")[0]
        ids = [
            node.id
            for place, node in self._known
            if node.group is None and place.rpartition("/")[0] == path
        ]
        if len(set(ids)) < 2:
            return End(Finish.CRASH, self._worker())
        first, second = draw.sample(sorted(set(ids)), 2)
        hows = draw.choices(list(Finish)[:3], (4, 1, 1), k=2)
        ends = (End(hows[0], f"{path}/{first}"), End(hows[1], f"{path}/{second}"))
        return Together(path, ends)

    def _call(self) -> Command:
        draw = self._random
        verb = draw.choices(list(Verb), (3, 3, 2))[0]
        if verb is not Verb.TERMINATE and self._down and draw.random() < 0.8:
            target = draw.choice(self._down)
        else:
            target = draw.choice([path for path, _ in self._known[1:]])
        if draw.random() < 0.05:
            target = f"{target.rpartition('/')[0]}/z"
        if verb is Verb.TERMINATE:
            self._down.append(target)
        path, _, name = target.rpartition("/")
        return Call(verb, path, name)

    def _add(self) -> Command:
        draw = self._random
        path, parent = draw.choice([it for it in self._known if it[1].group])
        assert parent.group is not None, "only supervisors were drawn from"
        # Now and then one that is refused: significant, and nobody heeds it.
        auto = parent.group.auto_shutdown
        if draw.random() < 0.3:
            auto = AutoShutdown.ANY_SIGNIFICANT
        node = self._node(draw.choice("abxy"), path.count("/") + 1, auto)
        self._known.extend(nodes(f"{path}/{node.id}", node))
        return Add(path, node)
