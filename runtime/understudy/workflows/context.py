"""What a step receives of the state: the input and what it declared, no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Generic, Never, Protocol, TypeVar, overload

from understudy.workflows.nodes import AnyWorkflow, Maybe, Workflow
from understudy_protocols.articles import with_article
from understudy_protocols.state import ORIGINAL_INPUT, OrchestrationState

In_co = TypeVar("In_co", covariant=True)
T = TypeVar("T")

_ABSENT = object()


class Place(Protocol):
    """Where in its run a step stands."""

    item: object
    previous: object
    round: int


class Context(Mapping[str, object], Generic[In_co]):
    """A read-only view of a run's state, as wide as the step's `needs`.

    As a mapping it holds ``"original_input"`` and each needed output under its
    name.  Index it with the node itself to get the value with its type.
    """

    __slots__ = ("_needs", "_place", "_state")

    def __init__(
        self,
        state: OrchestrationState[In_co],
        needs: Mapping[str, bool] | None,
        place: Place,
    ) -> None:
        """Make the view of *state* that a step with these *needs* gets.

        Args:
          needs: the names that may be read; the value says whether the output
            must exist.  None for all that *state* holds.
          place: where in its run the step stands.
        """
        self._state = state
        self._needs = needs
        self._place = place

    @property
    def item(self) -> object:
        """The item of the innermost `each` around the step, else None."""
        return self._place.item

    @property
    def previous(self) -> object:
        """The last round's value of the innermost `repeat`; None in the first."""
        return self._place.previous

    @property
    def round(self) -> int:
        """The number of that round, from 1; 0 outside of a `repeat`."""
        return self._place.round

    @property
    def input(self) -> In_co:
        """The input of the run, or of the child workflow around the step."""
        return self._state.inputs

    @overload
    def __getitem__(self, key: Workflow[Never, T, Never]) -> T: ...
    @overload
    def __getitem__(self, key: Maybe[T]) -> T | None: ...
    @overload
    def __getitem__(self, key: str) -> object: ...
    def __getitem__(self, key: Workflow[Never, T, Never] | Maybe[T] | str) -> object:
        """Return the value of a needed node.

        Raises:
          KeyError: the step does not declare that need; says what it declares.
        """
        if isinstance(key, Maybe):
            return self._optional(key.node)
        name = key if isinstance(key, str) else key.name
        if name == ORIGINAL_INPUT:
            return self._state.inputs
        needs = self._needs
        if needs is not None and name not in needs:
            raise KeyError(self._not_declared(name))
        value = self._state.get_output(name, _ABSENT)
        if value is not _ABSENT:
            return value
        if needs is None:
            raise KeyError(self._not_declared(name))
        # The check saw to it that what must exist does.
        assert not needs[name], f"{name} is needed and was not made"
        return None

    def get(self, key: object, default: object = None) -> object:
        """Return the value of a needed node, or *default* where it did not run.

        Raises:
          KeyError: the step does not declare that need: no default hides that.
        """
        if not isinstance(key, str):
            raise KeyError(f"{key!r} is no name of a node")
        value = self[key]
        return default if value is None else value

    def __iter__(self) -> Iterator[str]:
        yield ORIGINAL_INPUT
        yield from self._names

    def __len__(self) -> int:
        return 1 + len(self._names)

    def as_state(self) -> OrchestrationState[In_co]:
        """Return what may be seen as a state of its own."""
        state = self._state
        if self._needs is None:
            return state
        made = {name: state.get_output(name, _ABSENT) for name in self._needs}
        return OrchestrationState(
            state.task_id,
            state.inputs,
            {name: value for name, value in made.items() if value is not _ABSENT},
            state.metadata,
            state.created_at,
        )

    @property
    def _names(self) -> Collection[str]:
        return self._state.outputs if self._needs is None else self._needs

    def item_as(self, kind: type[T]) -> T:
        """Return `item`, which must be a *kind*.

        Raises:
          TypeError: it is something else.
        """
        if not isinstance(self.item, kind):
            raise TypeError(
                f"the item is {with_article(type(self.item).__name__)}, not {with_article(kind.__name__)}"
            )
        return self.item

    def previous_as(self, kind: type[T]) -> T | None:
        """Return `previous`, which must be a *kind* or None.

        Raises:
          TypeError: it is something else.
        """
        if self.previous is not None and not isinstance(self.previous, kind):
            raise TypeError(
                f"the previous value is {with_article(type(self.previous).__name__)}, "
                f"not {with_article(kind.__name__)}"
            )
        return self.previous

    def _optional(self, node: AnyWorkflow | str) -> object:
        name = node if isinstance(node, str) else node.name
        if self._needs is None and name not in self._state.outputs:
            return None
        return self[name]

    def _not_declared(self, name: str) -> str:
        declared = ", ".join(self._names) or "nothing"
        if self._needs is None:
            return f"{name} was not made where this step can see it ({declared} was)"
        return f"{name} is not among what this step needs ({declared}); add it to needs"
