"""Names for actors: one system's directory, from typed names to refs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from understudy_protocols.errors import SetupError, UnknownNameError

if TYPE_CHECKING:
    # Loaded by those whose actors send messages.
    from understudy_actors.envelope import Address
    from understudy_actors.ref import Ref

M = TypeVar("M")
R = TypeVar("R")


class Name(msgspec.Struct, Generic[M, R], frozen=True):
    """What an actor is called, and what can be sent to it.

    ::

        PRINTER = Name[Job, Receipt]("printer")

    Args:
      text: the name itself; two names are the same if their texts are.
    """

    text: str

    def __str__(self) -> str:
        return self.text


class Names:
    """The names that are taken in one system.

    A name leads to an address, which outlives the restarts of the actor behind
    it; it is free again when that actor is gone for good.
    """

    def __init__(self) -> None:
        self._refs: dict[str, Address] = {}

    def find(self, name: Name[M, R]) -> Ref[M, R]:
        """Return the ref of the actor with this name.

        Raises:
          UnknownNameError: there is none.
        """
        ref = self._refs.get(name.text)
        if ref is None:
            raise UnknownNameError(name.text, self.taken)
        # Whoever registered it had to give a ref of the name's own types.
        return cast("Ref[M, R]", ref)

    @property
    def taken(self) -> tuple[str, ...]:
        """The names that there are, in the order in which they were taken."""
        return tuple(self._refs)

    def register(self, name: Name[M, R], ref: Ref[M, R]) -> None:
        """Let *name* lead to *ref*; nothing changes if it does already.

        Raises:
          SetupError: another actor has it.
        """
        there = self._refs.setdefault(name.text, ref)
        if there is not ref:
            raise SetupError(
                f"{ref.path} cannot be called {name.text!r}: {there.path} is; "
                "names are unique in a system"
            )

    def release(self, name: Name[M, R], ref: Ref[M, R]) -> None:
        """Let *name* be free, if it leads to *ref*."""
        if self._refs.get(name.text) is ref:
            del self._refs[name.text]
