"""Which names a node can see, and what the check knows of their values."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec

from understudy.workflows.hints import UNDECLARED
from understudy.workflows.nodes import AnyWorkflow, Maybe, Need, Workflow
from understudy.workflows.types import fits, type_name
from understudy_protocols.errors import (
    DuplicateNameError,
    MissingInputError,
    TypeMismatchError,
    UnknownStepError,
)


class Visible(msgspec.Struct, frozen=True):
    """What a name stands for.

    Args:
      type: the type of the value, as far as it is declared.
      certain: whether it has a value whenever it can be seen.
    """

    type: object
    certain: bool


class Scope:
    """The names visible at one place; a branch looks through to what is around.

    Args:
      everything: the names of all nodes of the workflow, visible or not.
      outer: the scope around this one; None for that of a whole workflow.
    """

    def __init__(
        self, everything: AbstractSet[str], outer: Scope | None = None
    ) -> None:
        self._everything = everything
        self._outer = outer
        self._names: dict[str, Visible] = {}

    def inside(self) -> Scope:
        """Return the scope of a branch that begins here."""
        return Scope(self._everything, self)

    def apart(self) -> Scope:
        """Return the scope of a child workflow, which sees nothing of this one."""
        return Scope(self._everything)

    def find(self, name: str) -> Visible | None:
        """Return what *name* stands for here, if anything."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope._names:
                return scope._names[name]
            scope = scope._outer
        return None

    def names(self) -> list[str]:
        """Return all visible names, those from further out first."""
        around = [] if self._outer is None else self._outer.names()
        return [*around, *self._names]

    def must_be_free(self, name: str, path: str) -> None:
        """Refuse a name that stands for something already.

        Raises:
          DuplicateNameError: it does.
        """
        if self.find(name) is not None:
            raise DuplicateNameError(
                path,
                f"{name!r} is already the name of another node that is visible "
                f"here; give this one another with .named({name + '_2'!r})",
            )

    def add(self, name: str, visible: Visible) -> None:
        """Make *name* visible to what comes after."""
        self._names[name] = visible

    def resolve(self, need: Need, path: str) -> tuple[str, Visible, bool]:
        """Return the name of a need, what it stands for, and if it must exist.

        Args:
          path: who needs it; for the error.
        Raises:
          UnknownStepError: no node of the workflow has that name.
          MissingInputError: it cannot be seen here, or may not have run.
          TypeMismatchError: another node of that name is in scope.
        """
        optional = isinstance(need, Maybe)
        target: object = need.node if isinstance(need, Maybe) else need
        node: AnyWorkflow | None = target if isinstance(target, Workflow) else None
        name = node.name if node is not None else str(target)
        found = self.find(name)
        if found is None:
            raise self._not_visible(name, path)
        if not found.certain and not optional:
            raise MissingInputError(
                path,
                f"needs {name!r}, which may not have run; need maybe({name}) instead, "
                "and expect None",
            )
        meant: object = getattr(node, "output_type", UNDECLARED)
        if not fits(found.type, meant):
            raise TypeMismatchError(
                path,
                f"needs the {name!r} that gives {type_name(meant)}, but the one in "
                f"scope gives {type_name(found.type)}",
            )
        return name, found, not optional

    def _not_visible(
        self, name: str, path: str
    ) -> UnknownStepError | MissingInputError:
        if name in self._everything:
            visible = ", ".join(self.names()) or "nothing but the input"
            return MissingInputError(
                path,
                f"needs {name!r}, which runs later, or inside a branch or child of "
                f"its own; visible here: {visible}",
            )
        # Loaded with the first mistake.
        import difflib

        close = difflib.get_close_matches(name, self._everything, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return UnknownStepError(
            path, f"needs {name!r}, which is nowhere in the workflow{hint}"
        )
