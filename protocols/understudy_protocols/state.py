"""The state that travels from step to step: what came in, and what each step made of it."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, cast, final, overload

import msgspec

from understudy_protocols.errors import ConfigError, MissingOutputError
from understudy_protocols.frozen import FrozenMap, freeze, sealed_map
from understudy_protocols.frozen_types import admit, immutable
from understudy_protocols.layers import (
    WIDTH,
    LayeredMap,
    Layers,
    flattened,
    layered,
    look_up,
    put_below,
)

if TYPE_CHECKING:
    # A default, so that a bare OrchestrationState means the common case.  At run
    # time that would take a backport until Python 3.13, for nothing.
    from typing_extensions import TypeVar

    InputT_co = TypeVar("InputT_co", default=Mapping[str, object], covariant=True)
else:
    from typing import TypeVar

    InputT_co = TypeVar("InputT_co", covariant=True)

ORIGINAL_INPUT: Final = "original_input"

_ABSENT: Final = object()


class _Origin(msgspec.Struct, frozen=True):
    """What all states of one run share."""

    task_id: str
    inputs: Any
    metadata: FrozenMap[str, object]
    created_at: datetime


_Parts = tuple[_Origin, dict[str, object], Layers]


@final
class OrchestrationState(Generic[InputT_co]):
    """The immutable state of one run, deep down to the last value.

    Everything handed in is frozen on the way (see ``freeze``).  Adding an output
    makes a new state that shares all else with the old one, and costs the same
    for a thousand outputs as for ten.

    Args:
      task_id: names the run; not empty.
      inputs: what the run is about: a mapping, or any value that can be frozen.
      outputs: the results so far, by step name.
      metadata: facts about the run that no step depends on.
      created_at: when the run was accepted; aware, kept in UTC.  Default: now.

    Raises:
      NotFrozenError: a value cannot be made immutable; the error names its path.
      ConfigError: an id, name or time that cannot be used.
    """

    # One slot, so that a new state is one write: the facts that all states of a
    # run share, the newest outputs, and the layers below them.
    __slots__ = ("_parts",)
    _parts: _Parts

    @overload
    def __init__(
        self: OrchestrationState[Mapping[str, object]],
        task_id: str,
        inputs: Mapping[str, object],
        outputs: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        created_at: datetime | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        task_id: str,
        inputs: InputT_co,
        outputs: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        created_at: datetime | None = None,
    ) -> None: ...
    def __init__(
        self,
        task_id: str,
        inputs: object,
        outputs: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        created_at: datetime | None = None,
    ) -> None:
        if not task_id:
            raise ConfigError("task_id is empty; give the run a name of its own")
        frozen = [
            (_checked(n), freeze(v, f"outputs.{n}")) for n, v in (outputs or {}).items()
        ]
        facts = cast("FrozenMap[str, object]", freeze(dict(metadata or {}), "metadata"))
        origin = _Origin(task_id, freeze(inputs, "inputs"), facts, _in_utc(created_at))
        newest, layers = layered(frozen)
        _set_parts(self, (origin, newest, layers))

    @classmethod
    def accepted(
        cls,
        task_id: str,
        frozen_inputs: object,
        metadata: FrozenMap[str, object],
        created_at: datetime,
    ) -> OrchestrationState[object]:
        """Return the first state of a run, of parts that are known to be good.

        Args:
          frozen_inputs: what ``freeze`` returned.
          created_at: aware, in UTC.
        """
        origin = _Origin(task_id, frozen_inputs, metadata, created_at)
        newest: dict[str, object] = {}
        state = _blank(OrchestrationState)
        _set_parts(state, (origin, newest, ()))
        return state

    @property
    def task_id(self) -> str:
        """The run's name."""
        return self._parts[0].task_id

    @property
    def inputs(self) -> InputT_co:
        """What the run is about, frozen."""
        return cast("InputT_co", self._parts[0].inputs)

    @property
    def outputs(self) -> Mapping[str, object]:
        """The results so far by step name, in the order they were first written."""
        _, newest, layers = self._parts
        return LayeredMap(newest, layers) if layers else sealed_map(newest)

    @property
    def metadata(self) -> FrozenMap[str, object]:
        """Facts about the run that no step depends on."""
        return self._parts[0].metadata

    @property
    def created_at(self) -> datetime:
        """When the run was accepted, in UTC; the same in every state of the run."""
        return self._parts[0].created_at

    def with_output(
        self, step_name: str, output: object
    ) -> OrchestrationState[InputT_co]:
        """Return a state that also holds *output*, frozen, under *step_name*.

        A name that is there already keeps its place and gets the new value.

        Raises:
          NotFrozenError: a part of *output* cannot be made immutable.
          ConfigError: the name is empty, or is ``original_input``.
        """
        if type(output) not in immutable:
            output = freeze(output, f"outputs.{step_name}")
        return self.with_frozen_output(_checked(step_name), output)

    def with_frozen_output(
        self, step_name: str, output: object
    ) -> OrchestrationState[InputT_co]:
        """Do the same for an output that ``freeze`` returned; nothing is checked."""
        origin, newest, layers = self._parts
        if len(newest) < WIDTH:
            newest = newest.copy()
            newest[step_name] = output
        else:
            layers = put_below(layers, newest)
            newest = {step_name: output}
        state = _blank(OrchestrationState)
        _set_parts(state, (origin, newest, layers))
        return state

    def with_inputs(self, inputs: object) -> OrchestrationState[object]:
        """Return a state of the same run with other *inputs* and no outputs.

        Raises:
          NotFrozenError: a part of *inputs* cannot be made immutable.
        """
        origin = self._parts[0]
        return OrchestrationState(
            origin.task_id, inputs, None, origin.metadata, origin.created_at
        )

    def get_output(self, step_name: str, default: object = None) -> object:
        """Return one output, or *default*."""
        _, newest, layers = self._parts
        value = newest.get(step_name, _ABSENT)
        if value is not _ABSENT:
            return value
        return look_up(layers, step_name, default)

    def get_context_for_step(
        self, step_name: str, required_outputs: Iterable[str]
    ) -> FrozenMap[str, object]:
        """Return what one step may see: ``original_input`` and what it declared.

        Args:
          step_name: who asks; for the error.
          required_outputs: the names of the outputs it needs.

        Raises:
          MissingOutputError: one of them is not there; the error lists what is.
        """
        if isinstance(required_outputs, str):
            raise ConfigError(
                f"{step_name} names its outputs as one string; write a tuple: "
                f"({required_outputs!r},)"
            )
        names = tuple(required_outputs)
        context: dict[str, object] = {ORIGINAL_INPUT: self._parts[0].inputs}
        for name in names:
            value = self.get_output(name, _ABSENT)
            if value is _ABSENT:
                raise self._missing(step_name, names)
            context[name] = value
        return sealed_map(context)

    def _missing(self, step_name: str, names: tuple[str, ...]) -> MissingOutputError:
        there = tuple(self.outputs)
        missing = tuple(name for name in names if name not in there)
        return MissingOutputError(step_name, missing, there)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrchestrationState):
            return NotImplemented
        return self._parts[0] == other._parts[0] and self.outputs == other.outputs

    def __hash__(self) -> int:
        return hash((self._parts[0], frozenset(self.outputs.items())))

    def __repr__(self) -> str:
        names = tuple(self.outputs)
        shown = ", ".join(names[:5]) + (
            f", ... {len(names)} in all" if names[5:] else ""
        )
        return f"OrchestrationState({self.task_id!r}, outputs: {shown or 'none'})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a state cannot change: {name!r} was not set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a state cannot change: {name!r} was not deleted")

    def __copy__(self) -> OrchestrationState[InputT_co]:
        return self

    def __deepcopy__(self, memo: object) -> OrchestrationState[InputT_co]:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        origin, newest, layers = self._parts
        outputs = flattened(layers, newest)
        rest = (origin.metadata, origin.created_at)
        return (OrchestrationState, (origin.task_id, origin.inputs, outputs, *rest))


def _checked(step_name: str) -> str:
    if not step_name:
        raise ConfigError("an output has an empty name; give the step one")
    if step_name == ORIGINAL_INPUT:
        raise ConfigError(
            f"no step can be named {ORIGINAL_INPUT}: its context holds the run's "
            "inputs under that name; choose another"
        )
    return step_name


def _in_utc(moment: datetime | None) -> datetime:
    if moment is None:
        return datetime.now(UTC)
    if moment.utcoffset() is None:
        raise ConfigError(
            f"created_at {moment.isoformat()} has no time zone; give one, such as "
            "datetime.now(UTC)"
        )
    return moment.astimezone(UTC)


# The slots are written through their descriptors: assignment is what the class forbids.
_State = OrchestrationState[Any]
_blank = cast("Callable[[type[_State]], _State]", object.__new__)


def _writer(slot: str) -> Callable[[_State, object], None]:
    descriptor = cast("types.MemberDescriptorType", OrchestrationState.__dict__[slot])
    return cast("Callable[[_State, object], None]", descriptor.__set__)


_set_parts = _writer("_parts")
admit(OrchestrationState)
