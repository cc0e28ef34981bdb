"""The shell around a behaviour: one life of one actor, message by message.

The next message is taken without a checkpoint while any is ready.  One
standing scope serves the handler's timeout and a stop that does not wait, if
the conduct has either; it is left, and a fresh one entered, only after it has
fired.  What a handler raises is caught here, outside that scope, and nowhere
else.
"""

from __future__ import annotations

import contextvars
import math
from typing import Generic, TypeVar, assert_never

import trio

from understudy_actors.alarms import Alarm, Alarms
from understudy_actors.behaviour import (
    Actor,
    Answer,
    Behaviour,
    Conduct,
    OnError,
    OnStop,
)
from understudy_actors.custody import Custody
from understudy_actors.envelope import Envelope, Hand, carry, in_hand
from understudy_actors.exits import Circumstances, classify, mistake, named_reason
from understudy_actors.incarnation import Incarnation
from understudy_actors.notices import NOTICES, Notice, ReceiveTimeout
from understudy_actors.ref import Ref
from understudy_protocols.errors import (
    AskTimeoutError,
    HandlerTimeoutError,
    SetupError,
)
from understudy_protocols.frozen import freeze
from understudy_protocols.supervision import (
    Escalate,
    Exit,
    ExitKind,
    Life,
    Shutdown,
)

M = TypeVar("M")
R = TypeVar("R")

_NOT_STARTED = Exit(ExitKind.START_FAILED)
_CUT = Exit(ExitKind.KILLED)

FAIRNESS_QUANTUM = 64
"""Messages handled in a row before the actor lets other tasks run."""


class Cell(Generic[M, R]):
    """One life of one actor.

    Args:
      ref: its address, with the inbox to read.
      behaviour: what it does; this life's own.
      conduct: how it takes errors, stops and overlong messages.
      life: what its supervisor knows of it.
    """

    __slots__ = (
        "_actor",
        "_alarms",
        "_behaviour",
        "_conduct",
        "_custody",
        "_inbox",
        "_left",
        "_life",
        "_ref",
        "_scope",
        "busy",
        "path",
    )

    def __init__(
        self,
        ref: Ref[M, R],
        behaviour: Behaviour[M, R],
        conduct: Conduct,
        life: Life,
    ) -> None:
        self.path = life.path
        self._ref = ref
        self._behaviour = behaviour
        self._conduct = conduct
        self._life = life
        self._custody: Custody[M, R] = Custody(ref, conduct, life, self._took_back)
        self._actor: Actor[M, R] = Actor(ref, life, self, self._custody)
        self._inbox = ref.occupy(self)
        self._scope: trio.CancelScope | None = None
        self.busy = False  # a handler runs
        # Messages that may still be taken; -inf: none, whatever comes.
        self._left = math.inf
        self._alarms: Alarms | None = None
        if isinstance(life, Incarnation):
            life.on_cut(self._take_no_more)

    async def run(self) -> None:
        """Set up, handle messages until asked to stop, tear down."""
        end, error = _NOT_STARTED, None
        try:
            if self._conduct.receive_timeout < math.inf:
                self.expect_notices()
            if _has_own("setup", self._behaviour):
                with in_hand(self._ref):
                    await self._behaviour.setup(self._actor)
            self._life.on_stop(self._stop)
            self._life.ready(self._ref)
            if self._life.number > 1 and self._left > 0:
                self._ref.restarted(self._life.number)
            end = _CUT  # if nothing below says otherwise
            error = await self._serve()
            if error is None:  # a handler may have swallowed that we are cut
                await trio.lowlevel.checkpoint_if_cancelled()
            end = classify(error, Circumstances(self.path, True, self._life.stopping))
            # Before the teardown: whoever asked need not wait for that too.
            self._custody.account(named_reason(end), end.cause)
            error = await self._tear_down(end, error)
            if error is not None:
                raise error
        finally:
            # Also when this life is cut by force, which runs no teardown.
            self._leave(end)
            # The error's traceback holds this frame: a cycle, for each crash.
            del end, error

    def displace(self, reason: str, cause: BaseException | None) -> None:
        """Take no more messages; the one in hand counts as lost to *reason*."""
        self._left = -math.inf
        self._custody.settle(reason, cause)
        self._inbox.wake()

    def _leave(self, end: Exit) -> None:
        self._custody.settle(named_reason(end), end.cause)
        self._ref.vacate(self)
        del self._actor, self._custody  # which know us: another cycle

    def _take_no_more(self) -> None:
        """Leave what waits to the next life: this one is being cut."""
        self._left = -math.inf
        self._alarms = None

    def _took_back(self, count: int) -> None:
        if self._conduct.on_stop is OnStop.DRAIN:
            self._left += count  # infinite, unless it drains just now

    def _stop(self) -> None:
        draining = self._conduct.on_stop is OnStop.DRAIN
        self._left = min(self._left, len(self._inbox) if draining else 0)
        self._alarms = None
        if self._conduct.on_stop is OnStop.NOW and self._scope is not None:
            self._scope.cancel("ordered stop")
        self._inbox.wake()

    async def _serve(self) -> Exception | None:
        """Handle messages until asked to stop; return what ends this life else."""
        failure: Exception | None = None
        try:
            while self._left > 0 and failure is None:
                try:
                    # A scope costs more than all else that is done for a message.
                    if self._conduct.cuts_handlers:
                        with trio.CancelScope() as self._scope:
                            await self._handle_messages()
                    else:
                        await self._handle_messages()
                except BaseException as error:
                    failure = _broken_by(error)
                    if failure is None:
                        raise
                failure = self._fatal(self._or_cut(failure))
            return failure
        finally:
            del failure  # as in `run`

    def _fatal(self, error: Exception | None) -> Exception | None:
        """Return what this life ends with because of *error*; None if it goes on."""
        if error is None:
            return None
        if isinstance(error, Shutdown):
            self._custody.done()
            return error
        directive = self._conduct.after(error)
        match directive:
            case OnError.RESTART:
                return error
            case OnError.RESUME:
                return None if self._custody.failed(error) else error
            case OnError.STOP:
                return _caused(Shutdown(f"{self.path} stops"), error)
            case OnError.ESCALATE:
                return _caused(Escalate(f"{self.path} cannot go on"), error)
            case _:
                assert_never(directive)

    def _or_cut(self, failure: Exception | None) -> Exception | None:
        """Return *failure* of the last handler; a cut one failed by that."""
        was_busy, self.busy = self.busy, False
        if not (was_busy and self._scope is not None and self._scope.cancel_called):
            return failure
        if self._life.stopping and self._conduct.on_stop is OnStop.NOW:
            # Whatever its clean-up raised: it was cut, and so not handled.
            self._custody.account_in_hand("stopped", failure)
            return failure and _caused(Shutdown("cut by an ordered stop"), failure)
        timeout = HandlerTimeoutError(self.path, self._conduct.handler_timeout)
        return _caused(timeout, failure)

    async def _handle_messages(self) -> None:
        inbox, timeout = self._inbox, self._conduct.handler_timeout
        scope = self._scope if timeout < math.inf else None
        handled = 0
        while self._left > 0:
            alarm = None if self._alarms is None else self._alarms.take()
            if alarm is not None:
                envelope = alarm.envelope
            elif (taken := inbox.take()) is not None:
                envelope = taken
                self._left -= 1
                if envelope.deadline < math.inf and self._is_late(envelope):
                    continue
            elif self._alarms is None and self._conduct.receive_timeout == math.inf:
                await inbox.park()
                handled = 0
                continue
            elif await self._woken():
                handled = 0
                continue
            else:
                envelope = Envelope(
                    ReceiveTimeout(), contextvars.Context(), crashes=math.inf
                )
            if scope is not None:
                scope.deadline = trio.current_time() + timeout
            try:
                await self._handle(envelope)
            finally:
                if alarm is not None:
                    alarm.handled()
            if scope is not None:
                scope.deadline = math.inf
                if scope.cancel_called:
                    # It came back in the moment it was cut: its result counts.
                    return
            handled += 1
            if handled == FAIRNESS_QUANTUM:
                handled = 0
                await trio.lowlevel.checkpoint()

    async def _woken(self) -> bool:
        """Wait for something to do; False if nothing came for the receive timeout."""
        due = math.inf if self._alarms is None else self._alarms.next_due()
        idle = math.inf
        if self._conduct.receive_timeout < math.inf:
            idle = trio.current_time() + self._conduct.receive_timeout
        with trio.CancelScope(deadline=min(due, idle)) as scope:
            await self._inbox.park()
        return due <= idle or not scope.cancelled_caught

    async def _handle(self, envelope: Envelope) -> None:
        actor = self._actor
        actor.sender = envelope.sender
        actor.reply = envelope.reply
        actor.deadline = envelope.deadline
        self._custody.in_hand = envelope
        self.busy = True
        hand = Hand(self._ref, envelope)
        message: M = envelope.message  # type: ignore[assignment]  # the ref took only these
        try:
            if type(message) in NOTICES:
                notice: Notice = message  # type: ignore[assignment]  # just looked
                await carry(envelope, hand, self._behaviour.notified(notice, actor))
                answer: R | Answer = Answer.LATER  # nobody asked
            else:
                work = self._behaviour.handle(message, actor)
                answer = await carry(envelope, hand, work)
        finally:
            hand.over = True
        self._custody.answer(envelope, answer)
        self.busy = False

    def _is_late(self, envelope: Envelope) -> bool:
        if trio.current_time() < envelope.deadline:
            return False
        late = AskTimeoutError(self._ref.path, 0.0, "deadline")
        self._ref.bury(envelope, "expired", late)
        return True

    # What the behaviour asks for, through its `Actor`

    def order(self, message: M, delay: float, interval: float | None) -> Alarm:
        """See `Actor.send_after` and `Actor.send_every`."""
        alarms = self._alarms or Alarms()
        if not self._life.stopping:
            self._alarms = alarms
        envelope = Envelope(
            freeze(message, "message"),
            contextvars.copy_context(),
            self._ref.path,
            crashes=math.inf,  # it belongs to this life
        )
        return alarms.add(envelope, delay, interval)

    def expect_notices(self) -> None:
        """See `Actor.watch`."""
        if not _has_own("notified", self._behaviour):
            raise SetupError(
                f"{type(self._behaviour).__qualname__}, the behaviour of {self.path}, "
                "has no `notified` to take a notice; give it one"
            )

    async def _tear_down(self, end: Exit, error: Exception | None) -> Exception | None:
        """Run the teardown; return what breaks the actor, *error* before its own."""
        try:
            if _has_own("teardown", self._behaviour):
                timeout = self._conduct.teardown_timeout
                with in_hand(self._ref), trio.fail_after(timeout):
                    await self._behaviour.teardown(end)
        except Exception as failure:  # noqa: BLE001 # a behaviour failed: raised by `run`
            if error is None:
                return failure
            error.add_note(f"its teardown failed too: {failure!r}")
        return error


def _has_own(hook: str, behaviour: object) -> bool:
    """Whether *behaviour* does something in *hook*, which does nothing by default."""
    return getattr(type(behaviour), hook) is not getattr(Behaviour, hook)


def _broken_by(error: BaseException) -> Exception | None:
    """Return what a handler failed with; None if *error* is none of its failures."""
    failed = mistake(error)
    if not isinstance(failed, Exception) or _is_cut(error):
        return None
    return failed


def _is_cut(error: BaseException) -> bool:
    """Whether *error* is the cut of this life, on its way to its scope."""
    if isinstance(error, Exception):
        return False
    return trio.current_effective_deadline() == -math.inf


def _caused(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error
