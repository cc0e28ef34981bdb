"""Bringing all runs back that an earlier process left, before any of them goes on."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Mapping, Sequence

import trio

from understudy.engine.hosting import Hosted
from understudy.engine.reception import Reception
from understudy_protocols.errors import CodecError, JournalError, RunHeldError
from understudy_protocols.journal import Store, StoredRun

_LOG = logging.getLogger("understudy.runtime")


async def bring_all_back(
    store: Store,
    live: Container[str],
    reception: Reception,
    hosted: Mapping[str, Hosted],
) -> None:
    """Bring all runs back, while others have their turns.

    Args:
      live: the ids of those that are there.
      hosted: the workflows, by name; the runs of others stay where they are.

    Cancellation: those that are there stay there.
    Raises:
      JournalError: it cannot be read.
    """
    last = 0
    strange = Counter[str]()
    # What is read is used before anybody has a turn, who could make it untrue.
    while page := store.left_over(last, _stays):
        for stored, contents in page:
            workflow = hosted.get(stored.workflow)
            if workflow is None:
                strange[stored.workflow] += 1
            elif stored.run_id not in live:
                _bring_back(stored, contents, reception, workflow)
        last = page[-1][0].row
        await trio.lowlevel.checkpoint()
    for name, count in strange.items():
        _LOG.warning(
            "unfinished runs of workflow %r stay where they are (%d): this runtime does "
            "not host it; to go on with them, or to cancel them, host a workflow under "
            "that name, say with `.named(%r)`",
            name,
            count,
            name,
        )


def _stays(damage: str) -> None:
    _LOG.error("a run stays where it is: %s", damage)


def _bring_back(
    stored: StoredRun,
    contents: Sequence[bytes] | None,
    reception: Reception,
    hosted: Hosted,
) -> None:
    try:
        reception.resume(stored, hosted, contents)
    except RunHeldError:
        pass  # until somebody decides
    except (JournalError, CodecError) as error:
        # That one run cannot be read keeps no other from going on.
        _LOG.error("run %r stays where it is: %s", stored.run_id, error)
