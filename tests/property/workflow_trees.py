"""Random workflow trees: as plain specs, as real workflows, and what they mean.

A spec is drawn; `build` makes the workflow that the engine runs, and `Meaning`
says by plain recursion what must come of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, cast

import attrs
import trio
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Cause,
    Context,
    Decision,
    Outcome,
    RetryConfig,
    RunResult,
    RunStatus,
    StepError,
    Workflow,
    all_of,
    best_effort,
    cascade,
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
from understudy_protocols.state import OrchestrationState

MAX_ATTEMPTS = 3
NEVER = 99

ran: list[str] = []
"""The keys of steps whose functions came to their end, in that order."""


def digest(value: object) -> int:
    """Return a number that stands for *value*, the same in every process."""
    return zlib.crc32(repr(plain(value)).encode()) & 0xFFFF


def plain(value: object) -> object:
    """Return *value* so that equal values have equal texts."""
    if isinstance(value, Outcome):
        outcome = cast("Outcome[object]", value)
        return ("ok", plain(outcome.value)) if outcome.ok else ("failed",)
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return tuple((key, plain(entries[key])) for key in sorted(entries))
    if isinstance(value, tuple):
        return tuple(plain(item) for item in cast("tuple[object, ...]", value))
    return value


# --- what there is -----------------------------------------------------------


@attrs.frozen
class Leaf:
    """A step, in one of several shapes.

    Args:
      needs: names, and whether they must exist.
      fails: attempts that fail before one goes well; NEVER for all.
      retried: whether its failures are of a kind that is tried again.
      runs: it runs unless a digest of its place, modulo 2, is this.
      shape: a function, an object that sees all in scope, a list of items, or
        a pause that answers itself after its time.
    """

    name: str
    needs: tuple[tuple[str, bool], ...]
    fails: int
    retried: bool
    runs: int | None
    delay: float
    backoff: float
    shape: Literal["function", "object", "list", "pause"]


@attrs.frozen
class Group:
    """A sequence; without a name it only groups."""

    name: str | None
    parts: tuple[Spec, ...]


@attrs.frozen
class Split:
    """A parallel, or with *over* an each: a number of items, or a list step."""

    name: str
    parts: tuple[Spec, ...]
    join: Literal["all_of", "best_effort", "quorum"]
    needed: int
    limit: int | None
    over: int | str | None = None


@attrs.frozen
class Detour:
    """A route, cascade, repeat or child."""

    name: str
    kind: Literal["route", "cascade", "repeat", "child"]
    parts: tuple[Spec, ...]
    rounds: int = 1
    policy: Literal["sync", "async", "object"] = "sync"


Spec: TypeAlias = Leaf | Group | Split | Detour
AnyNode: TypeAlias = Workflow[object, object, object]


# --- drawing -----------------------------------------------------------------


@attrs.define
class _Known:
    """Names that a node drawn now could need: whether certain, whether lists."""

    names: dict[str, tuple[bool, bool]]

    def copy(self) -> _Known:
        return _Known(dict(self.names))


@st.composite
def trees(draw: st.DrawFn) -> Group:
    """Draw a workflow of at most some dozens of nodes."""
    drawer = _Drawer(draw)
    return drawer.group(3, _Known({}), "whole")


class _Drawer:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0

    def fresh(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def spec(self, depth: int, known: _Known) -> Spec:
        kinds = ["leaf", "leaf", "list"]
        if depth > 0 and self.count < 30:
            kinds += ["group", "split", "each", "route", "cascade", "repeat", "child"]
        kind = self.draw(st.sampled_from(kinds))
        match kind:
            case "leaf" | "list":
                return self.leaf(known, kind == "list")
            case "group":
                name = self.draw(st.sampled_from([None, "named"]))
                return self.group(depth - 1, known, name and self.fresh("seq"))
            case "split" | "each":
                return self.split(depth - 1, known, kind == "each")
            case _:
                return self.detour(depth - 1, known, kind)

    def leaf(self, known: _Known, is_list: bool) -> Leaf:
        draw = self.draw
        some = st.lists(st.sampled_from(sorted(known.names)), max_size=3, unique=True)
        wanted = draw(some) if known.names else []
        shapes = st.sampled_from(["function", "function", "object", "pause"])
        shape = "list" if is_list else draw(shapes)
        return Leaf(
            name=self.fresh("s"),
            needs=tuple((name, known.names[name][0]) for name in wanted),
            fails=draw(st.sampled_from([0, 0, 0, 0, 1, 2, NEVER])),
            retried=draw(st.booleans()),
            runs=None if shape == "pause" else draw(st.sampled_from([None, None, 0])),
            delay=draw(st.sampled_from([0.0, 0.0, 1.0, 2.5])),
            backoff=draw(st.sampled_from([0.0, 1.0])),
            shape=cast("Literal['function', 'object', 'list', 'pause']", shape),
        )

    def group(self, depth: int, known: _Known, name: str | None) -> Group:
        parts: list[Spec] = []
        for _ in range(self.draw(st.integers(1, 4))):
            parts.append(self.spec(depth, known))
            self.see(parts[-1], known)
        return Group(name, tuple(parts))

    def see(self, spec: Spec, known: _Known) -> None:
        if spec.name is not None:
            is_list = isinstance(spec, Leaf) and spec.shape == "list"
            known.names[spec.name] = (certain(spec), is_list)

    def split(self, depth: int, known: _Known, is_each: bool) -> Split:
        draw = self.draw
        most = 1 if is_each else draw(st.integers(1, 3))
        parts = tuple(self.branch(depth, known) for _ in range(most))
        limit = draw(st.sampled_from([1, 2, None]))
        join = draw(st.sampled_from(["all_of", "best_effort", "quorum"]))
        over: int | str | None = None
        if is_each:
            lists = [
                n for n, (sure, is_list) in known.names.items() if sure and is_list
            ]
            sizes: list[int | str] = [0, 1, 3, *lists]
            over = draw(st.sampled_from(sizes))
            limit = limit or 5
        # Which branches count is determined only where they run one by one.
        needed = draw(st.integers(1, most)) if limit == 1 else most
        if is_each and join == "quorum":
            limit = 1
        kind = cast("Literal['all_of', 'best_effort', 'quorum']", join)
        return Split(self.fresh("split"), parts, kind, needed, limit, over)

    def detour(self, depth: int, known: _Known, kind: str) -> Detour:
        draw = self.draw
        outside = _Known({}) if kind == "child" else known
        most = draw(st.integers(1, 3)) if kind in ("route", "cascade") else 1
        policy = draw(st.sampled_from(["sync", "async", "object"]))
        return Detour(
            self.fresh(kind),
            cast("Literal['route', 'cascade', 'repeat', 'child']", kind),
            tuple(self.branch(depth, outside) for _ in range(most)),
            draw(st.integers(1, 3)),
            cast("Literal['sync', 'async', 'object']", policy),
        )

    def branch(self, depth: int, known: _Known) -> Spec:
        spec = self.spec(depth, known.copy())
        if isinstance(spec, Group) and spec.name is None:
            return attrs.evolve(spec, name=self.fresh("seq"))
        return spec


def label(spec: Spec) -> str:
    """Return what a branch is called: its own name."""
    assert spec.name is not None, "a branch has a name"
    return spec.name


def certain(spec: Spec) -> bool:
    """Whether the node always has a value."""
    match spec:
        case Leaf():
            # An object is always asked whether it should run.
            return spec.runs is None and spec.shape != "object"
        case Group():
            return certain(spec.parts[-1])
        case Split():
            return True
        case Detour():
            parts = spec.parts[-1:] if spec.kind == "cascade" else spec.parts
            return all(certain(part) for part in parts)


# --- what steps compute, in the engine and by recursion ------------------------


@attrs.frozen
class Place:
    """What a step can see of where it stands."""

    given: object
    item: object = None
    previous: object = None
    round: int = 0

    def number(self) -> int:
        return digest((self.given, self.item, self.previous, self.round))


def wanted(spec: Leaf, place: Place) -> bool:
    return spec.runs is None or digest((spec.name, place.number())) % 2 != spec.runs


def computed(spec: Leaf, place: Place, seen: Mapping[str, object]) -> object:
    number = digest((spec.name, place.number(), seen))
    if spec.shape == "list":
        return tuple(number + index for index in range(number % 4))
    return number


def place_of(context: Context[object]) -> Place:
    return Place(context.input, context.item, context.previous, context.round)


# --- the real thing ----------------------------------------------------------


class _Object:
    def __init__(self, spec: Leaf) -> None:
        self.spec = spec
        self.name = spec.name

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        await trio.sleep(self.spec.delay)
        if self.spec.fails:
            raise StepError("as drawn", cause=Cause.STEP_ERROR)
        value = digest((self.name, state.inputs, dict(state.outputs)))
        return state.with_output(self.name, value)

    def should_execute(self, state: OrchestrationState) -> bool:
        return self.spec.runs is None or digest(state.inputs) % 2 != self.spec.runs


class _Policy:
    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def decide(self, context: Context[object], /) -> Decision:
        chosen = place_of(context).number() % len(self.labels)
        return Decision(self.labels[chosen], {"n": chosen})


def build(spec: Spec) -> AnyNode:
    """Return the workflow that *spec* describes."""
    match spec:
        case Leaf():
            return _leaf(spec)
        case Group():
            parts = [build(part) for part in spec.parts]
            return (
                sequence(*parts)
                if spec.name is None
                else sequence(*parts, name=spec.name)
            )
        case Split():
            return _split(spec)
        case Detour():
            return _detour(spec)


def _leaf(spec: Leaf) -> AnyNode:
    if spec.shape == "object":
        return sequence(_Object(spec)).nodes[0]  # type: ignore[return-value]
    if spec.shape == "pause":
        seconds = spec.delay + 1
        if spec.fails:
            return pause(spec.name, timeout=seconds)
        return pause(spec.name, timeout=seconds, default=digest(spec.name))

    async def body(context: Context[object], attempt: Attempt[object]) -> object:
        if spec.delay:
            await trio.sleep(spec.delay)
        if attempt.number <= spec.fails:
            cause = Cause.SERVER if spec.retried else Cause.STEP_ERROR
            raise StepError("as drawn", cause=cause)
        seen = {name: context[name] for name, _ in spec.needs}
        ran.append(attempt.key)
        return computed(spec, place_of(context), seen)

    def when(context: Context[object]) -> bool:
        return wanted(spec, place_of(context))

    return step(
        name=spec.name,
        needs=[name if sure else maybe(name) for name, sure in spec.needs],
        output=tuple if spec.shape == "list" else int,
        retry=RetryConfig(max_attempts=MAX_ATTEMPTS, backoff_base=spec.backoff),
        when=None if spec.runs is None else named_function("as drawn", when),
    )(body)


def _split(spec: Split) -> AnyNode:
    join = {"all_of": all_of, "best_effort": best_effort}.get(
        spec.join, lambda: quorum(spec.needed)
    )()
    if spec.over is None:
        branches = {label(part): build(part) for part in spec.parts}
        made: object = parallel(
            name=spec.name, join=join, max_concurrent=spec.limit, **branches
        )
        return cast("AnyNode", made)
    size = spec.over

    def items(context: Context[object]) -> tuple[int, ...]:
        assert isinstance(size, int)
        return tuple(range(size))

    over = size if isinstance(size, str) else named_function("as drawn", items)
    return each(
        build(spec.parts[0]),
        over=over,
        join=join,
        max_concurrent=spec.limit or 5,
        name=spec.name,
    )


def accepts(value: object) -> bool:
    return digest(value) % 3 == 0


def inner_input(context: Context[object]) -> int:
    return digest((context.input, context.item))


def _detour(spec: Detour) -> AnyNode:
    parts = [build(part) for part in spec.parts]
    match spec.kind:
        case "route":
            labels = tuple(label(part) for part in spec.parts)
            policy = _Policy(labels)

            async def later(context: Context[object]) -> str:
                await trio.sleep(0.5)
                return policy.decide(context).route

            def now(context: Context[object]) -> str:
                return policy.decide(context).route

            chosen: object = {"sync": now, "async": later, "object": policy}[
                spec.policy
            ]
            branches = dict(zip(labels, parts, strict=True))
            if spec.policy != "object":
                chosen = named_function(
                    "as drawn", cast("Callable[..., object]", chosen)
                )
            made: object = route(chosen, name=spec.name, **branches)  # type: ignore[call-overload]  # labels look like options
            return cast("AnyNode", made)
        case "cascade":
            return cascade(*parts, accept=accepts, name=spec.name)
        case "repeat":
            return repeat(
                parts[0], until=accepts, max_rounds=spec.rounds, name=spec.name
            )
        case "child":
            return child(
                parts[0],
                input=inner_input,
                name=spec.name,
            )


# --- what it means -------------------------------------------------------------


class Failed(Exception):
    """The node fails."""


class Skipped(Exception):
    """The node does not run."""


Entry: TypeAlias = tuple[str, str, str, int]
"""A step that ended: name, position, status, attempts."""


@attrs.define
class Meaning:
    """Runs a spec by plain recursion.

    Attributes:
      must: the steps that certainly end.
      may: those that end unless they were cancelled, or never begun, because a
        sibling was faster to fail.
    """

    must: list[Entry] = attrs.field(factory=list[Entry])
    may: list[Entry] = attrs.field(factory=list[Entry])

    def run(
        self, spec: Spec, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        """Return the node's value; adds what it makes visible to *env*."""
        match spec:
            case Leaf():
                return self.leaf(spec, env, place, at)
            case Group():
                value: object = None
                skipped = False
                for part in spec.parts:
                    skipped = False
                    try:
                        value = self.run(part, env, place, at)
                    except Skipped:
                        skipped = True
                    else:
                        if part.name is not None:
                            env[part.name] = value
                if skipped:
                    raise Skipped
                return value
            case Split():
                return self.split(spec, env, place, at)
            case Detour():
                return self.detour(spec, env, place, at)

    def leaf(
        self, spec: Leaf, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        where = "/".join(at)
        if spec.shape == "pause":
            if spec.fails:
                raise Failed
            return digest(spec.name)
        is_object = spec.shape == "object"
        if is_object:
            runs = spec.runs is None or digest(place.given) % 2 != spec.runs
        else:
            runs = wanted(spec, place)
        if not runs:
            self.must.append((spec.name, where, "skipped", 0))
            raise Skipped
        again = spec.retried and not is_object
        needed = spec.fails + 1 if again or not spec.fails else NEVER
        if needed > MAX_ATTEMPTS:
            made = MAX_ATTEMPTS if again else 1
            self.must.append((spec.name, where, "failed", made))
            raise Failed
        self.must.append((spec.name, where, "completed", needed))
        if is_object:
            return digest((spec.name, place.given, env))
        return computed(spec, place, {name: env.get(name) for name, _ in spec.needs})

    def split(
        self, spec: Split, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        if spec.over is None:
            todo = [(label(part), part, place) for part in spec.parts]
        else:
            size = spec.over
            found = range(size) if isinstance(size, int) else env[size]
            items = cast("tuple[object, ...]", found)
            todo = [
                (str(i), spec.parts[0], attrs.evolve(place, item=item))
                for i, item in enumerate(items)
            ]
        ended: list[tuple[str, object]] = []
        hurried = Meaning()
        for name, part, inner in todo:
            if spec.limit == 1 and self.verdict(spec, ended, len(todo)) is not None:
                break
            try:
                value = hurried.run(part, dict(env), inner, (*at, name))
                ended.append((name, ("ok", value)))
            except Skipped:
                ended.append((name, ("ok", None)))
            except Failed:
                ended.append((name, None))
        verdict = self.verdict(spec, ended, len(todo))
        assert verdict is not None, "all branches have ended"
        if verdict or spec.limit == 1:
            self.must += hurried.must
        else:
            self.may += hurried.must
        self.may += hurried.may
        if not verdict:
            raise Failed
        return self.joined(spec, dict(ended), [name for name, _, _ in todo])

    def verdict(
        self, spec: Split, ended: list[tuple[str, object]], branches: int
    ) -> bool | None:
        good = sum(value is not None for _, value in ended)
        bad = len(ended) - good
        if spec.join == "all_of" and bad:
            return False
        if spec.join == "quorum":
            if good >= spec.needed:
                return True
            return False if branches - bad < spec.needed else None
        return True if len(ended) == branches else None

    def joined(
        self, spec: Split, ended: dict[str, object], labels: list[str]
    ) -> object:
        values: list[tuple[str, object]] = []
        for name in labels:
            value = ended.get(name)
            if spec.join == "all_of":
                value = cast("tuple[str, object]", value)[1]
            else:
                value = ("failed",) if value is None else value
            values.append((name, value))
        return dict(values) if spec.over is None else tuple(v for _, v in values)

    def detour(
        self, spec: Detour, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        parts = spec.parts
        match spec.kind:
            case "route":
                index = place.number() % len(parts)
                self.must.append((spec.name, "/".join(at), "completed", 1))
                return self.run(
                    parts[index], dict(env), place, (*at, label(parts[index]))
                )
            case "cascade":
                return self.cascade(spec, env, place, at)
            case "repeat":
                return self.repeat(spec, env, place, at)
            case "child":
                fresh = Place(digest((place.given, place.item)))
                return self.run(parts[0], {}, fresh, (*at, label(parts[0])))

    def cascade(
        self, spec: Detour, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        for part in spec.parts:
            last = part is spec.parts[-1]
            try:
                value = self.run(part, dict(env), place, (*at, label(part)))
            except (Failed, Skipped):
                if last:
                    raise
            else:
                if last or accepts(value):
                    return value
        raise AssertionError("a cascade has a last tier")

    def repeat(
        self, spec: Detour, env: dict[str, object], place: Place, at: tuple[str, ...]
    ) -> object:
        value: object = None
        for number in range(1, spec.rounds + 1):
            inner = attrs.evolve(place, previous=value, round=number)
            try:
                value = self.run(spec.parts[0], dict(env), inner, (*at, str(number)))
            except Skipped:
                if number == 1:
                    raise
                return value
            if accepts(value):
                return value
        return value


def check_meaning(spec: Group, given: object, result: RunResult[object]) -> None:
    """See that a run came to what plain recursion says of its workflow."""
    meaning, env = Meaning(), dict[str, object]()
    value: object = None
    try:
        value = meaning.run(spec, env, Place(given), ())
    except Failed:
        assert result.status is RunStatus.FAILED
        assert result.failure is not None
    except Skipped:
        assert result.status is RunStatus.COMPLETED
    else:
        assert result.status is RunStatus.COMPLETED
    if result.status is RunStatus.COMPLETED:
        assert plain(result.value) == plain(value)
        assert plain(result.outputs) == plain(env)
        assert list(result.outputs) == list(env)
    ended, must = _entries(result), sorted(meaning.must)
    for entry in must:
        assert ended.count(entry) == must.count(entry), entry
    for entry in ended:
        assert entry in must or entry in meaning.may, entry


def _entries(result: RunResult[object]) -> list[Entry]:
    return sorted(
        (step.path.rpartition("/")[2], step.position, step.status, step.number)
        for step in result.steps
    )
