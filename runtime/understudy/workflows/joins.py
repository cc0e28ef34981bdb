"""How a fan-out ends: join policies, and the pure decision behind each.

A join looks at one branch that has just ended and at how many ended before; it
says whether to wait on, to finish or to fail.  It never looks at the clock and
never waits.
"""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

from understudy_protocols.errors import ConfigError

JoinKind = Literal["all_of", "best_effort", "quorum", "first_success"]


class Verdict(enum.Enum):
    """What follows from a branch's end."""

    WAIT = "wait"
    DONE = "done"
    FAILED = "failed"


class Join(msgspec.Struct, frozen=True):
    """A join policy; made by `all_of`, `best_effort`, `quorum`, `first_success`.

    Args:
      kind: the policy's name.
      needed: successes after which the join is done; None for all branches.
    """

    kind: JoinKind
    needed: int | None = None

    def verdict(self, *, branches: int, succeeded: int, failed: int) -> Verdict:
        """Decide after a branch has ended.

        Args:
          branches: how many there are in all; a count.
          succeeded: how many have ended well, this one included.
          failed: how many have ended badly, this one included.
        """
        if self.kind == "all_of" and failed:
            return Verdict.FAILED
        if self.kind in ("all_of", "best_effort"):
            return Verdict.DONE if succeeded + failed == branches else Verdict.WAIT
        needed = 1 if self.needed is None else self.needed
        if succeeded >= needed:
            return Verdict.DONE
        return Verdict.FAILED if branches - failed < needed else Verdict.WAIT


class AllOf(Join, frozen=True):
    """A join whose values are the branches' own."""


class Tolerant(Join, frozen=True):
    """A join that outlives failures, so that its values are outcomes."""


def all_of() -> AllOf:
    """Every branch must succeed; the first failure ends the others."""
    return AllOf("all_of")


def best_effort() -> Tolerant:
    """Wait for every branch, whatever comes of it; values are outcomes."""
    return Tolerant("best_effort")


def quorum(needed: int) -> Tolerant:
    """Done when *needed* branches have succeeded; the others are cancelled.

    What the cancelled ones had spent stays charged.  Values are outcomes.
    """
    if needed < 1:
        raise ConfigError(f"a quorum of {needed} is met by nothing; ask for 1 or more")
    return Tolerant("quorum", needed)


def first_success() -> Tolerant:
    """Done when one branch has succeeded; the others are cancelled.

    What the cancelled ones had spent stays charged.  Values are outcomes.
    """
    return Tolerant("first_success", 1)
