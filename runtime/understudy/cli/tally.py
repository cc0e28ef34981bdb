"""What a job has come to: counts, the closing sentence, the exit code."""

from __future__ import annotations

from collections import Counter

import attrs

from understudy_protocols.usage import Usage


@attrs.define
class Tally:
    """The counts of a job.

    Args:
      read: input lines taken; a count.
      not_read: input lines known of and not taken; a count.
      counted_all: whether these are all there were.
      before: results that an earlier call wrote, and that count here as well; a count.
      completed: runs that completed; a count.
      others: the other results, by status or cause.
      calls: requests to models; a count.
      cost_micros: what they cost; micro-USD.
      estimated: whether any of that is an estimate.
    """

    read: int = 0
    not_read: int = 0
    counted_all: bool = True
    before: int = 0
    completed: int = 0
    others: Counter[str] = attrs.field(factory=Counter[str])
    calls: int = 0
    cost_micros: int = 0
    estimated: bool = False

    @property
    def finished(self) -> int:
        """Input lines with a result; a count."""
        return self.completed + self.others.total()

    @property
    def not_run(self) -> int:
        """Input lines known of, without a result; a count."""
        return max(0, self.read - self.finished + self.not_read)

    def add(self, reason: str | None, usage: Usage | None) -> None:
        """Count a result.

        Args:
          reason: why it did not complete; None if it did.
          usage: what it used.
        """
        if reason is None:
            self.completed += 1
        else:
            self.others[reason] += 1
        if usage is not None:
            self.calls += usage.calls
            self.cost_micros += usage.cost_micros
            self.estimated = self.estimated or usage.estimated

    def sentence(self, elapsed: float, output: str) -> str:
        """Return what a job that took *elapsed* seconds has to say at its end."""
        if not self.finished:
            return f"no input lines, and nothing to do ({output} is empty)"
        parts = [f"{self.completed:,} of {_runs(self.finished)} completed"]
        if self.others:
            reasons = ", ".join(f"{n:,} {why}" for why, n in self.others.most_common())
            parts.append(f"{self.others.total():,} did not ({reasons})")
        before = f"; {self.before:,} of them before" if self.before else ""
        return f"{', '.join(parts)}{before}; {self._cost(elapsed)}; results in {output}"

    def stopped_sentence(self, reason: str, kept: str) -> str:
        """Return the same for a job that was stopped.

        Args:
          reason: why, as a clause.
          kept: where the finished results are.
        """
        unread = "" if self.counted_all else ", the rest of the input not read"
        return (
            f"{reason}: {_runs(self.finished)} finished ({kept}), "
            f"{self.not_run:,} not run{unread}"
        )

    def _cost(self, elapsed: float) -> str:
        if not self.calls:
            return f"{elapsed:.1f} s"
        spent = f"{elapsed:.1f} s, {self.calls:,} model calls"
        if not self.cost_micros:
            return spent
        about = "about " if self.estimated else ""
        return f"{spent}, {about}{usd(self.cost_micros)}"


def usd(cost_micros: int) -> str:
    """Return an amount of money for people; *cost_micros* in micro-USD."""
    return f"${cost_micros / 1e6:.{4 if cost_micros >= 1_000 else 6}f}"


def _runs(count: int) -> str:
    return f"{count:,} run" if count == 1 else f"{count:,} runs"
