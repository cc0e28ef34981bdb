"""What a supervisor is told: child specs, its own flags, and the verdict on them.

Specs are data.  They are checked when they are made, so that a spec which
exists can be started, and a mistake is named before any child has run.
What a supervisor says in return (events, listings) is in
``supervision_records``.

Source of the words and defaults: OTP ``supervisor``; of the default
intensity: Elixir's ``Supervisor`` (3 in 5 s).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

import attrs
import msgspec

from understudy_protocols.errors import ChildSpecError
from understudy_protocols.restart_policy import (
    DEFAULT_BACKOFF,
    Backoff,
    RestartBudget,
    check_intensity,
    check_period,
    is_length,
)
from understudy_protocols.workload import Workload

_Word = TypeVar("_Word", bound=enum.Enum)


class Restart(enum.Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # after a failure only
    TEMPORARY = "temporary"  # never; its spec is forgotten when it ends


class Strategy(enum.Enum):
    """Which siblings share the fate of a child that is restarted."""

    ONE_FOR_ONE = "one_for_one"  # none
    ONE_FOR_ALL = "one_for_all"  # all
    REST_FOR_ONE = "rest_for_one"  # those started after it
    DYNAMIC = "dynamic"  # none; every child is made from one template


class AutoShutdown(enum.Enum):
    """Whether a supervisor ends when significant children end by themselves."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class ChildKind(enum.Enum):
    """What a child is; a supervisor is given all the time it needs to stop."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class Kill(enum.Enum):
    """The one value of `ChildSpec.shutdown` that is not a length of time."""

    AT_ONCE = "kill at once"


class ExitKind(enum.Enum):
    """How one life of a child ended: exactly one of these."""

    NORMAL = "normal"  # it returned
    SHUTDOWN = "shutdown"  # it was asked to stop, or raised `Shutdown`
    CRASH = "crash"  # it raised
    TIMEOUT = "timeout"  # it, or its start, was over its time
    KILLED = "killed"  # it was cut by force
    START_FAILED = "start_failed"  # it ended before it was ready
    GAVE_UP = "gave_up"  # a supervisor over its restart budget

    @property
    def abnormal(self) -> bool:
        """Whether this end is a failure."""
        return self is not ExitKind.NORMAL and self is not ExitKind.SHUTDOWN


class Exit(msgspec.Struct, frozen=True):
    """The end of one life of a child.

    Args:
      kind: how it ended.
      cause: the exception behind it, the original object; None if there is none.
      result: what its code returned, or ended with by `Shutdown`.
      stuck: where its task still stands, as text, because it was cut and did
        not end in time; empty if it ended.
    """

    kind: ExitKind
    cause: BaseException | None = None
    result: object = None
    stuck: str = ""

    @property
    def fatal(self) -> bool:
        """Whether the cause ends the whole system, as Ctrl-C and ``sys.exit`` do."""
        return self.cause is not None and not isinstance(self.cause, Exception)

    @property
    def escalates(self) -> bool:
        """Whether the child asked, by `Escalate`, that its supervisor give up."""
        return isinstance(self.cause, Escalate)


class Shutdown(Exception):
    """Raise it from a child to end with kind SHUTDOWN: done, and not a failure.

    Args:
      reason: for people to read.
      result: what the child leaves behind; see `SupervisorSpec.auto_shutdown`.
    """

    def __init__(self, reason: str = "", *, result: object = None) -> None:
        super().__init__(*((reason,) if reason else ()))
        self.result = result


class Escalate(Exception):
    """Raise it from a child to make its supervisor give up, whatever the budget.

    Use ``raise Escalate(...) from error``, so that the cause is kept.
    """


class Life(Protocol):
    """One life of one child, as the child's own code sees it."""

    @property
    def path(self) -> str:
        """Where the child stands in the tree, as ``root/workflows/extract``."""
        ...

    @property
    def number(self) -> int:
        """Which life of this child it is; 1 for the first."""
        ...

    def ready(self, value: object = None) -> None:
        """Report that the start is done; *value* is the child's handle.

        Raises:
          SetupError: on a second call.
        """
        ...

    @property
    def stopping(self) -> bool:
        """Whether the child was asked to stop."""
        ...

    async def wait_stop(self) -> None:
        """Return when the child is asked to stop; always a checkpoint.

        Cancellation: nothing is lost; `stopping` stays true once it is.
        """
        ...

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the child is asked to stop, at once if it was.

        It is called synchronously and must neither block nor raise.  A child
        that is killed at once is not asked.
        """
        ...


Start = Callable[[Life], Awaitable[object]]
"""The code of a child: calls `Life.ready` once, serves until asked to stop, returns.

What it returns is its result: see `SupervisorSpec.auto_shutdown`."""

Gone = Callable[[str, Exit | None], None]
"""Told that a child will not be started again: its path, and how its last life
ended; None if it never had one.  See `ChildSpec`."""


def _word(value: object, words: type[_Word], field: str) -> _Word:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(str(word.value) for word in words)
        raise ChildSpecError(f"{field} must be one of {known}; got {value!r}") from None


def _restart(value: Restart | str) -> Restart:
    return _word(value, Restart, "restart")


def _strategy(value: Strategy | str) -> Strategy:
    return _word(value, Strategy, "strategy")


def _auto_shutdown(value: AutoShutdown | str) -> AutoShutdown:
    return _word(value, AutoShutdown, "auto_shutdown")


def _kind(value: ChildKind | str) -> ChildKind:
    return _word(value, ChildKind, "kind")


# What is checked here is also what a caller without types may hand in.


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and "/" not in value


def _is_spec(value: object) -> bool:
    return isinstance(value, ChildSpec)


def _in_order(children: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    return tuple(children)


def _default_shutdown(spec: ChildSpec) -> float | Kill:
    return 5.0 if spec.kind is ChildKind.WORKER else math.inf


def _default_start_timeout(spec: ChildSpec) -> float:
    # A supervisor's start is bounded by those of its children, one by one.
    return 30.0 if spec.kind is ChildKind.WORKER else math.inf


@attrs.frozen(kw_only=True)
class ChildSpec:
    """How one child is started, stopped, and started again.

    Args:
      id: its name, unique among its siblings; part of its path.
      start: its code; see `Start`.
      restart: when it is started again after it ended.
      kind: whether it is a supervisor itself.
      shutdown: how long it may take to stop before it is cut; seconds, or
        `Kill.AT_ONCE` to cut it without asking.  Default: 5 s, unbounded for
        a supervisor.
      start_timeout: how long its start may take before it is cut; seconds.
        Default: 30 s, unbounded for a supervisor.
      significant: whether its own end counts for the supervisor's auto_shutdown.
      budget: restarts allowed to this child alone, besides the supervisor's
        budget; over it the child stays stopped.
      backoff: waits before its restarts; None for the supervisor's.
      escalates: whether the supervisor gives up when this child has failed for
        good: a temporary one that failed, or one over its own budget.
      on_gone: called once when no other life is to follow: the child ended or
        was stopped and stays so, or its supervisor ends.  A restart, its own
        or its group's, is none of these.  A child that stays known and is
        started after all can be gone again.  It is called synchronously and
        must neither block nor raise.
      workload: says, for each listing, what the child has to do; whether it
        lives or not.  It is called synchronously and must neither block nor raise.

    Raises:
      ChildSpecError: a value that cannot be used; the message quotes it.
    """

    id: str = attrs.field(kw_only=False)
    start: Start = attrs.field(kw_only=False)
    restart: Restart = attrs.field(default=Restart.PERMANENT, converter=_restart)
    kind: ChildKind = attrs.field(default=ChildKind.WORKER, converter=_kind)
    shutdown: float | Kill = attrs.field(
        default=attrs.Factory(_default_shutdown, takes_self=True)
    )
    start_timeout: float = attrs.field(
        default=attrs.Factory(_default_start_timeout, takes_self=True)
    )
    significant: bool = False
    budget: RestartBudget | None = None
    backoff: Backoff | None = None
    escalates: bool = False
    on_gone: Gone | None = None
    workload: Callable[[], Workload] | None = None

    def __attrs_post_init__(self) -> None:
        if not _is_id(self.id):
            raise ChildSpecError(f"id must be a word without a slash; got {self.id!r}")
        if not callable(self.start):
            raise ChildSpecError(
                f"start of {self.id!r} must be an async function; got {self.start!r}"
            )
        if self.on_gone is not None and not callable(self.on_gone):
            raise ChildSpecError(
                f"on_gone of {self.id!r} must be a function; got {self.on_gone!r}"
            )
        if not isinstance(self.shutdown, Kill) and not is_length(self.shutdown):
            raise ChildSpecError(
                f"shutdown of {self.id!r} must be seconds, 0 or more, or "
                f"Kill.AT_ONCE; got {self.shutdown!r}"
            )
        if not is_length(self.start_timeout) or self.start_timeout == 0:
            raise ChildSpecError(
                f"start_timeout of {self.id!r} must be seconds above 0; "
                f"got {self.start_timeout!r}"
            )
        if self.significant and self.restart is Restart.PERMANENT:
            raise ChildSpecError(
                f"{self.id!r} is significant and permanent: it never ends for good; "
                "make it transient or temporary"
            )

    def named(self, id: str, start: Start | None = None) -> ChildSpec:  # noqa: A002 # the field's own name
        """Return this spec for another child, as a dynamic supervisor takes it.

        Args:
          id: the other child's name.
          start: its code; None for the same.
        """
        return attrs.evolve(self, id=id, start=start or self.start)


def check_child_specs(
    children: Iterable[ChildSpec],
    *,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
) -> None:
    """Check whether these children can be under one supervisor; start nothing.

    Raises:
      ChildSpecError: they cannot; the message says which and why.  Making a
        `SupervisorSpec` of them gives the same verdict.
    """
    seen = set[str]()
    for spec in children:
        if not _is_spec(spec):
            raise ChildSpecError(f"children must be ChildSpecs; got {spec!r}")
        if spec.id in seen:
            raise ChildSpecError(f"two children have the id {spec.id!r}")
        if spec.significant and auto_shutdown is AutoShutdown.NEVER:
            raise ChildSpecError(
                f"{spec.id!r} is significant, but auto_shutdown is never; "
                "choose any_significant or all_significant"
            )
        seen.add(spec.id)
    if strategy is Strategy.DYNAMIC and len(seen) != 1:
        raise ChildSpecError(
            f"a dynamic supervisor takes exactly one child spec, its template; "
            f"got {len(seen)}"
        )


@attrs.frozen(kw_only=True)
class SupervisorSpec:
    """A supervisor's children and flags.

    Args:
      children: in start order; for a dynamic supervisor, the one template.
      strategy: which siblings share the fate of a restarted child.
      intensity: restarts allowed inside one period; a count, 0 or more.
      period: length of that window; seconds, above 0.
      backoff: waits before restarts, unless a child has its own.
      auto_shutdown: whether the end of significant children ends it too.  The
        result of the child that did it is then the supervisor's own.
      max_children: most children it may have, restarting ones included.
      revive: whether a group restart also starts children that had finished
        or were stopped by hand.  Default no: a finished paid step must not
        run again because a sibling failed.

    Raises:
      ChildSpecError: a value that cannot be used; the message quotes it.
    """

    children: tuple[ChildSpec, ...] = attrs.field(
        default=(), converter=_in_order, kw_only=False
    )
    strategy: Strategy = attrs.field(default=Strategy.ONE_FOR_ONE, converter=_strategy)
    intensity: int = 3
    period: float = 5.0
    backoff: Backoff = DEFAULT_BACKOFF
    auto_shutdown: AutoShutdown = attrs.field(
        default=AutoShutdown.NEVER, converter=_auto_shutdown
    )
    max_children: int | None = None
    revive: bool = False

    def __attrs_post_init__(self) -> None:
        check_intensity(self.intensity)
        check_period(self.period)
        limit = self.max_children
        if limit is not None and (isinstance(limit, bool) or limit < 1):
            raise ChildSpecError(
                f"max_children must be a whole number above 0; got {limit!r}"
            )
        check_child_specs(
            self.children, strategy=self.strategy, auto_shutdown=self.auto_shutdown
        )
