"""What can shut a gate: an address, a key or a model that fails, shared by gates."""

from __future__ import annotations

from typing import Protocol

from understudy.gates.breaker import Breaker
from understudy_protocols.failures import Cause


class Watcher(Protocol):
    """Somebody who waits for a lock."""

    def look_again(self) -> None:
        """Let all who wait see what has changed."""
        ...


class Lock:
    """A breaker, and the failure for which it is open.

    Args:
      cause: the failure, as long as there was none.
      breaker: what decides.

    Attributes:
      breaker, cause: see above; the cause is that of the last failure.
      gates: all that are behind it.
    """

    __slots__ = ("_life", "breaker", "cause", "gates")

    def __init__(self, cause: Cause, breaker: Breaker | None = None) -> None:
        self.breaker: Breaker = breaker or Breaker()
        self.cause: Cause = cause
        self.gates: list[Watcher] = []
        self._life: object = None

    def begin(self, life: object) -> None:
        """Forget what was before *life*; see `Gate.begin`."""
        if self._life is not life:
            self._life = life
            self.breaker.reset()

    @property
    def why(self) -> str:
        """Why it is shut, in a few words."""
        return _WHY.get(self.cause, "it fails again and again")

    def passed(self, probe: int | None) -> None:
        """Take note that a request met nothing wrong here."""
        if self.breaker.succeeded(probe):
            self._tell()

    def failed(
        self, cause: Cause, now: float, probe: int | None, *, at_once: bool
    ) -> None:
        """Take note that a request failed here; see `Breaker.failed`."""
        if self.breaker.failed(now, probe, at_once=at_once):
            self.cause = cause
            self._tell()

    def given_up(self, probe: int | None) -> None:
        """Take note that a request ended and said nothing of this."""
        if self.breaker.given_up(probe):
            self._tell()

    def shut_until(self, cause: Cause, when: float) -> None:
        """Let nothing through before *when*, for *cause*; then one request."""
        self.breaker.open_until(when)
        self.cause = cause
        self._tell()

    def _tell(self) -> None:
        for gate in self.gates:
            gate.look_again()


_WHY = {
    Cause.RATE_LIMIT: "closed by the provider",
    Cause.TRANSPORT: "it cannot be reached",
    Cause.AUTH: "its key is not accepted",
    Cause.QUOTA: "its account has spent what it may",
    Cause.MODEL_GONE: "the provider does not have it",
    Cause.OVERLOADED: "the provider has too much to do",
    Cause.SERVER: "the provider fails again and again",
    Cause.TIMEOUT: "it does not answer in time",
}
