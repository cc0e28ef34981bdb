"""The work of steps that keep something between messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from understudy.engine.driving import Body
from understudy.engine.step_op import StepHost, StepOp
from understudy.engine.step_work import StepWork
from understudy.workflows.step import StatefulStep


class StatefulWork(StepWork):
    """The work of one worker whose step keeps state: it owns the object."""

    stateful = True

    def __init__(
        self,
        op: StepOp,
        host: StepHost,
        factory: Callable[[], StatefulStep[object]],
    ) -> None:
        super().__init__(op, host)
        self._factory = factory
        self._step: StatefulStep[object] | None = None

    async def setup(self) -> None:
        """Make the object and let it set itself up."""
        made = self._factory()
        setup = getattr(made, "setup", None)
        if setup is not None:
            await setup()
        self._step = made
        self.body: Body = cast("Body", made.execute)

    async def teardown(self) -> None:
        """Let the object go, if it got as far as being set up."""
        teardown = getattr(self._step, "teardown", None)
        if teardown is not None:
            await teardown()
