"""A chain of steps for DBOS, which is not installed with the benchmarks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

NAME = "chain"

CONNECTIONS = 20
"""What DBOS has if it is not told otherwise."""


class DbosChain:
    """DBOS over a file of SQLite, and a workflow that calls one step in a loop.

    Args:
      body: of the step; given its number, and returns it.
      tuned: the file in WAL mode and one connection to it, with which it was
        quickest here; else as DBOS makes it.
    """

    def __init__(
        self,
        folder: Path,
        body: Callable[[int], int],
        steps: int,
        *,
        tuned: bool = False,
    ) -> None:
        path = folder / "dbos.sqlite"
        if tuned:
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
        self._module: Any = import_module("dbos")
        self._dbos: Any = self._module.DBOS
        self._dbos(
            config={
                "name": NAME,
                "system_database_url": f"sqlite:///{path}",
                "log_level": "ERROR",
                "sys_db_pool_size": 1 if tuned else CONNECTIONS,
            }
        )
        once: Callable[[int], int] = self._dbos.step()(body)

        def chain(number: int) -> int:
            return sum(once(each) for each in range(steps)) + number

        self.run: Callable[[int], int] = self._dbos.workflow()(chain)
        self._dbos.launch()

    def live(self) -> int:
        """Begin one run, or let DBOS bring it back by itself; return what it gives."""
        if self._dbos.get_workflow_status(NAME) is None:
            with self._module.SetWorkflowID(NAME):
                self._dbos.start_workflow(self.run, 0)
        given: int = self._dbos.retrieve_workflow(NAME).get_result()
        return given
