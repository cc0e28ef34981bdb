"""The nodes that workflows are made of: frozen data, nothing that runs.

Every node is a workflow by itself, so that workflows are made of workflows all
the way down: a step is a workflow of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Never, Self, TypeAlias, TypeVar

import msgspec

from understudy.workflows.joins import Join
from understudy_protocols.errors import ConfigError
from understudy_protocols.state import ORIGINAL_INPUT

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
Deps_contra = TypeVar("Deps_contra", contravariant=True)


def check_label(what: str, name: object) -> None:
    """Refuse a name that could not stand in a path, or hides the input.

    Raises:
      ConfigError: it is no text, or one that has a meaning of its own.
    """
    if not isinstance(name, str) or not name or "/" in name or "#" in name:
        raise ConfigError(
            f"{what} cannot be named {name!r}; give it a text without '/' and '#'"
        )
    if name == ORIGINAL_INPUT:
        raise ConfigError(
            f"{what} cannot be named {name!r}: a step finds the input under that name"
        )


class Workflow(
    msgspec.Struct,
    Generic[In_contra, Out_co, Deps_contra],
    frozen=True,
    eq=False,
    kw_only=True,
):
    """Base of all nodes; compared by identity, since names may repeat.

    Args:
      name: what its value is stored under; unique in its scope.
      version: a mark to change when the meaning changes but the shape does not.
    """

    name: str
    version: str = ""

    def __post_init__(self) -> None:
        check_label("a node", self.name)

    def named(self, name: str) -> Self:
        """Return the same node under another name."""
        return msgspec.structs.replace(self, name=name)

    def versioned(self, version: str) -> Self:
        """Return the same node with another mark of its version."""
        return msgspec.structs.replace(self, version=version)

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The nodes inside this one, each with its label, in order."""
        return ()

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"

    @property
    def kind(self) -> str:
        """What sort of node this is, in one word."""
        return type(self).__name__.lower()


AnyWorkflow: TypeAlias = Workflow[Never, object, Never]
"""A workflow of whatever input, output and dependencies."""


class Maybe(msgspec.Struct, Generic[Out_co], frozen=True, eq=False):
    """A need that may be unfilled: the node may not have run; see `maybe`."""

    node: AnyWorkflow | str


Need: TypeAlias = AnyWorkflow | Maybe[object] | str
"""What a step may ask for: a node, its name, or `maybe` of either."""


class Sequence(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """Nodes one after another; its value is that of the last."""

    nodes: tuple[AnyWorkflow, ...]

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The nodes, by their names."""
        return tuple((node.name, node) for node in self.nodes)


GROUPING = "sequence"
"""The name of a sequence that was given none."""


def is_grouping(node: AnyWorkflow) -> bool:
    """Whether *node* only groups others: then its value has no name of its own."""
    return isinstance(node, Sequence) and node.name == GROUPING


class Parallel(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """Branches side by side; its value is a mapping from branch to value."""

    branches: Mapping[str, AnyWorkflow]
    join: Join
    max_concurrent: int | None

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The branches."""
        return tuple(self.branches.items())


class Each(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """One run of a body for every item of a list; its value is a tuple."""

    body: AnyWorkflow
    over: AnyWorkflow | str | Callable[[Never], Iterable[object]]
    join: Join
    max_concurrent: int

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The body."""
        return ((self.body.name, self.body),)


class Route(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """One of several branches, as a policy decides; its value is that branch's."""

    policy: object
    branches: Mapping[str, AnyWorkflow]

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The branches."""
        return tuple(self.branches.items())


class Cascade(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """Tiers, each tried when the one before was not good enough or failed."""

    tiers: tuple[AnyWorkflow, ...]
    accept: Callable[[Never], bool]

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The tiers, by their names."""
        return tuple((tier.name, tier) for tier in self.tiers)


class Repeat(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """A body run again until its value is good, at most so many rounds."""

    body: AnyWorkflow
    until: Callable[[Never], bool]
    max_rounds: int | None

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The body."""
        return ((self.body.name, self.body),)


class Pause(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """A place where a person or another system gives the value.

    Args:
      output: the type that the answer must have.
      timeout: how long to wait; seconds, or None for ever.
      default: the answer when the time is over; only with *timeout*, and
        without it the pause then fails.
    """

    output: object
    timeout: float | None
    default: object
    has_default: bool


class Child(Workflow[In_contra, Out_co, Deps_contra], frozen=True, eq=False):
    """A workflow with an input and a scope of its own inside another one."""

    workflow: AnyWorkflow
    source: AnyWorkflow | str | Callable[[Never], object] | None

    @property
    def parts(self) -> tuple[tuple[str, AnyWorkflow], ...]:
        """The workflow inside."""
        return ((self.workflow.name, self.workflow),)
