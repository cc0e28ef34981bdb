"""The user's own dependencies: checked, and opened by a supervised actor."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import cast

from understudy.engine.hosting import Hosted
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.types import matches, type_name
from understudy_protocols.errors import ConfigError
from understudy_protocols.supervision import ChildSpec, Life


class Dependencies:
    """What steps find as `Attempt.deps`.

    Args:
      given: what the user gave.  An async context manager is entered by an
        actor, again after each restart, and its value is used.

    Attributes:
      value: what steps are given.
    """

    def __init__(self, given: object) -> None:
        self._given = given
        self.value: object = given

    def children(self) -> tuple[ChildSpec, ...]:
        """Return the actor that holds them open, if one is needed."""
        if isinstance(self._given, AbstractAsyncContextManager):
            return (ChildSpec("deps", self._hold),)
        return ()

    def check(self, workflows: Iterable[Hosted]) -> None:
        """Check that they are what the steps declare, once they are known.

        Raises:
          ConfigError: they are something else.
        """
        self._workflows = tuple(workflows)
        if not isinstance(self.value, AbstractAsyncContextManager):
            self._check()

    async def _hold(self, life: Life) -> None:
        manager = cast("AbstractAsyncContextManager[object]", self._given)
        async with manager as value:
            self.value = value
            self._check()
            life.ready()
            await life.wait_stop()

    def _check(self) -> None:
        for hosted in self._workflows:
            for declared in hosted.plan.deps_types:
                if declared is not UNDECLARED and not matches(self.value, declared):
                    raise ConfigError(
                        f"a step of {hosted.name} takes {type_name(declared)} as its "
                        f"deps, and the runtime has {type_name(type(self.value))}; "
                        "give Runtime(deps=...)"
                    )
