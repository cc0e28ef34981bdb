"""The directory of teams, kept by workers that hold a connection to it.

The directory is a table in this process; the connection, and that it breaks, are
played, so that the demo shows what a supervisor does about a worker that breaks.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from understudy.demo.extraction import Issue
from understudy.demo.labels import TEAMS, Category
from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context

BREAKS_AT = 100
"""The look-up at which the demo's connection breaks, once; counted from 1."""


@attrs.define
class Desk:
    """What the steps of the demo share: the directory's far end.

    Args:
      breaks_at: the look-up during which a connection breaks; None for none.
    """

    breaks_at: int | None = None
    look_ups: int = 0
    connections: int = 0

    def connect(self) -> Mapping[Category, str]:
        """Open a connection: what teams there are."""
        self.connections += 1
        return TEAMS

    def count_look_up(self) -> None:
        """Count a look-up.

        Raises:
          ConnectionError: it is the one at which a connection breaks.
        """
        self.look_ups += 1
        if self.look_ups == self.breaks_at:
            raise ConnectionError("the connection to the directory broke (injected)")

    @property
    def restarts(self) -> int:
        """Connections opened in the place of broken ones; one worker assumed."""
        return max(0, self.connections - 1)


@attrs.frozen
class Assignment:
    """An issue, and the team that answers for it."""

    category: Category
    quote: str
    owner: str


class TeamDirectory:
    """Looks up owners over a connection that lives as long as its worker.

    When the connection breaks the worker breaks with it: its supervisor puts a new
    one in its place, with a new connection, and gives it the message again.
    """

    def __init__(self) -> None:
        self._teams: Mapping[Category, str] | None = None

    async def execute(
        self, context: Context[object], attempt: Attempt[Desk]
    ) -> Assignment:
        """Return the issue at hand with its owner.

        Raises:
          ConnectionError: the connection broke; this object is of no use any more.
        """
        if self._teams is None:
            self._teams = attempt.deps.connect()
        attempt.deps.count_look_up()
        issue = context.item_as(Issue)
        category = Category(str(context["categorise"]))
        return Assignment(category, issue.quote, self._teams[category])
