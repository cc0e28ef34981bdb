"""Faults planted in the code under test, for the simulation to notice.

Each is a way to get something wrong that is quiet: no exception, no odd type.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import msgspec

from understudy_actors import supervision
from understudy_actors.alarms import Alarm, Alarms
from understudy_actors.batch import Batch
from understudy_actors.cell import Cell
from understudy_actors.children import Child, Children
from understudy_actors.custody import Custody
from understudy_actors.death_watch import DeathWatch
from understudy_actors.inbox import Inbox
from understudy_actors.incarnation import Incarnation
from understudy_actors.limiter import Limiter
from understudy_actors.lineage import Lineage
from understudy_actors.mailbox import Mailbox
from understudy_actors.names import Names
from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_actors.restart_window import RestartWindow
from understudy_actors.supervision import Supervision
from understudy_actors.supervision_messages import Ended, Report
from understudy_actors.supervisor_loop import SupervisorLoop
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Exit, ExitKind, Kill, Restart
from understudy_protocols.supervision_records import LifeState

Plant = Callable[[], AbstractContextManager[object]]
Fault = Callable[..., Any]

PLANTED: dict[str, Plant] = {}
"""All of them, by what is wrong."""


def planted(owner: object, attribute: str) -> Callable[[Fault], Fault]:
    """Put what is decorated in the place of an attribute of *owner*.

    It is called with the original first.  Its name says what is wrong.
    """

    def plant(fault: Fault) -> Fault:
        original = getattr(owner, attribute)

        def faulty(*args: Any, **named: Any) -> Any:
            return fault(original, *args, **named)

        name = fault.__name__.replace("_", " ")
        PLANTED[name] = lambda: patch.object(owner, attribute, faulty)
        return fault

    return plant


def _nothing(*_: object) -> None:
    return


# Mailboxes


@planted(Mailbox, "put_front")
def a_message_put_in_front_is_lost(original: Fault, box: Mailbox[Any], _: Any) -> None:
    box.on_ready()


@planted(Mailbox, "put_front")
def a_message_put_in_front_goes_to_the_end(
    original: Fault, box: Mailbox[Any], item: Any
) -> None:
    original(box, item)
    box.waiting.rotate(-1)
    box._ahead -= 1


@planted(Mailbox, "take_nowait")
def a_blocked_sender_is_let_go_and_its_message_lost(
    original: Fault, box: Mailbox[Any]
) -> Any:
    blocked = box.blocked
    item = original(box)
    if box.blocked < blocked:
        box.waiting.pop()
    return item


@planted(Mailbox, "close")
def a_mailbox_that_closes_forgets_its_first_message(
    original: Fault, box: Mailbox[Any], *why: Any
) -> list[Any]:
    left: list[Any] = original(box, *why)
    return left[1:]


@planted(Mailbox, "_put_in_full")
def what_overflows_is_dropped_without_a_word(
    original: Fault, box: Mailbox[Any], item: Any
) -> None:
    told, box._on_dropped = box._on_dropped, _nothing
    try:
        original(box, item)
    finally:
        box._on_dropped = told


@planted(Inbox, "signal")
def nobody_is_woken_for_a_notice(original: Fault, inbox: Inbox[Any], item: Any) -> None:
    with patch.object(Inbox, "wake", _nothing):
        original(inbox, item)


@planted(Mailbox, "take_nowait")
def the_last_message_comes_first(original: Fault, box: Mailbox[Any]) -> Any:
    if not box._ahead:
        box.waiting.rotate(1)
    return original(box)


# One life of an actor


@planted(Custody, "account_in_hand")
def the_message_in_hand_at_a_crash_is_lost(
    original: Fault, custody: Custody[Any, Any], *_: Any
) -> None:
    custody.in_hand = None


@planted(Custody, "account_in_hand")
def a_message_is_handled_again_more_often_than_declared(
    original: Fault,
    custody: Custody[Any, Any],
    reason: str,
    cause: BaseException | None,
) -> None:
    envelope = custody.in_hand
    if envelope is not None and envelope.crashes == custody._conduct.redeliver == 1:
        custody.in_hand = msgspec.structs.replace(envelope, crashes=0)
    original(custody, reason, cause)


@planted(Custody, "_put_back")
def what_was_put_aside_comes_back_in_reverse(
    original: Fault, custody: Custody[Any, Any], envelopes: list[Any], reason: str
) -> None:
    original(custody, envelopes[::-1], reason)


@planted(Cell, "displace")
def a_stuck_life_keeps_its_message(
    original: Fault, cell: Cell[Any, Any], *_: Any
) -> None:
    cell._left = -math.inf


@planted(Cell, "_take_no_more")
def a_life_that_is_cut_takes_messages(original: Fault, cell: Cell[Any, Any]) -> None:
    return


@planted(Custody, "failed")
def a_message_that_failed_leaves_no_trace(
    original: Fault, custody: Custody[Any, Any], _: Exception
) -> bool:
    custody.in_hand = None
    return True


@planted(Alarm, "cancel")
def what_was_called_off_comes_all_the_same(original: Fault, alarm: Alarm) -> None:
    return


@planted(Alarms, "arm")
def an_alarm_comes_too_early(
    original: Fault, alarms: Alarms, alarm: Alarm, delay: float
) -> None:
    original(alarms, alarm, delay / 2)


@planted(DeathWatch, "terminated")
def only_the_first_watcher_is_told(
    original: Fault, watch: DeathWatch, notice: Any
) -> None:
    for watcher in list(watch._watchers)[1:]:
        watcher.unwatch(watch)
    original(watch, notice)


@planted(Names, "release")
def a_name_is_never_free_again(original: Fault, names: Names, *_: Any) -> None:
    return


@planted(Ref, "retire")
def an_actor_that_is_gone_keeps_its_inbox_open(
    original: Fault, ref: Ref[Any, Any], *_: Any
) -> int:
    return 0


@planted(Reply, "send")
def a_late_reply_is_dropped_without_a_word(
    original: Fault, reply: Reply[Any], value: Any
) -> None:
    if reply.wanted:
        original(reply, value)


@planted(Reply, "fail")
def an_asker_is_not_told_of_the_end(
    original: Fault, reply: Reply[Any], _: BaseException
) -> None:
    return


# Limits


@planted(Limiter, "release")
def every_fourth_token_is_not_given_back(
    original: Fault, limiter: Limiter, token: Any
) -> None:
    if int(token.borrower) % 4 == 0:
        del limiter._holders[token]
        limiter._total -= 1
        limiter._holders[token] = None
    else:
        original(limiter, token)


@planted(Limiter, "resize")
def a_resize_hands_out_one_too_many(
    original: Fault, limiter: Limiter, total: int
) -> None:
    original(limiter, total + 1)
    limiter._total = total


@planted(Limiter, "_serve")
def the_last_in_line_is_served_first(original: Fault, limiter: Limiter) -> None:
    for line in limiter._lines.values():
        line.move_to_end(next(reversed(line)), last=False)
    original(limiter)


# What a supervisor decides


@planted(supervision, "must_restart")
def a_temporary_child_that_failed_is_restarted(
    original: Fault, restart: Restart, kind: ExitKind
) -> bool:
    return kind.abnormal or restart is Restart.PERMANENT


@planted(supervision, "must_restart")
def a_permanent_child_that_ended_well_is_not_restarted(
    original: Fault, restart: Restart, kind: ExitKind
) -> bool:
    return restart is not Restart.TEMPORARY and kind.abnormal


@planted(RestartWindow, "after_restart")
def an_old_restart_counts_for_ever(
    original: Fault, window: RestartWindow, now: float
) -> RestartWindow:
    restarts = (*window.restarts, now)
    return RestartWindow(window.intensity, window.period, restarts)


@planted(RestartWindow, "after_restart")
def a_restart_too_many_is_granted(
    original: Fault, window: RestartWindow, now: float
) -> RestartWindow:
    after: RestartWindow = original(window, now)
    if len(after.restarts) == window.intensity + 1:
        return RestartWindow(window.intensity, window.period, after.restarts[1:])
    return after


@planted(Supervision, "_restart_row")
def only_the_child_that_failed_is_restarted(
    original: Fault, core: Supervision, failed: Child, row: list[Child]
) -> None:
    original(core, failed, [failed])


@planted(Batch, "to_stop")
def children_stop_in_the_order_of_their_start(
    original: Fault, batch: Batch
) -> Child | None:
    return next((child for child in batch._down if child.leaving), None)


@planted(Batch, "to_start")
def children_start_last_one_first(original: Fault, batch: Batch) -> Child | None:
    waiting = [child for child in batch._up if child.state.value in _WAITING]
    return waiting[0] if waiting else original(batch)


_WAITING = ("pending", "restarting")


@planted(Lineage, "keep_only")
def numbers_begin_anew_with_each_supervisor(
    original: Fault, lineage: Lineage, ids: Any
) -> None:
    original(lineage, ())


@planted(Children, "tell_gone")
def nobody_is_told_that_a_child_is_gone(
    original: Fault, children: Children, child: Child
) -> None:
    child.gone = True
    child.end = None


@planted(Children, "arm")
def a_backoff_is_twice_as_long_for_one_child(
    original: Fault, children: Children, due: float, child: Child | None = None
) -> int:
    due += 0 if child is None or child.due is None else 1.0
    token: int = original(children, due, child)
    return token


# What a supervisor does


@planted(SupervisorLoop, "life_ended")
def an_end_is_reported_and_told_as_well(
    original: Fault, loop: SupervisorLoop, life: Incarnation, end: Exit
) -> None:
    loop._emit(life, LifeState.STOPPED, end)
    original(loop, life, end)


@planted(SupervisorLoop, "_stop_life")
def a_child_counts_as_gone_when_it_is_asked_to_stop(
    original: Fault, loop: SupervisorLoop, life: Incarnation, grace: float | Kill
) -> None:
    original(loop, life, grace)
    child_id = life.path.rpartition("/")[2]
    loop.post(Ended(child_id, life.number, Exit(ExitKind.SHUTDOWN)))


@planted(SupervisorLoop, "_bound")
def nothing_is_ever_over_its_time(
    original: Fault, loop: SupervisorLoop, *_: Any
) -> None:
    return


@planted(Incarnation, "kill")
def a_child_to_be_killed_at_once_is_asked_first(
    original: Fault, life: Incarnation
) -> None:
    life.ask_to_stop()
    original(life)


@planted(SupervisorLoop, "_stop_life")
def a_child_is_given_time_to_stop_and_not_asked(
    original: Fault, loop: SupervisorLoop, life: Incarnation, grace: float | Kill
) -> None:
    loop._bound(life, 0.0 if isinstance(grace, Kill) else grace)


@planted(SupervisorLoop, "_tell_gone")
def the_shell_tells_no_owner(original: Fault, loop: SupervisorLoop, _: Any) -> None:
    return


@planted(SupervisorLoop, "_report")
def the_shell_reports_no_backoff(
    original: Fault, loop: SupervisorLoop, report: Report
) -> None:
    if report.state is not LifeState.BACKING_OFF:
        original(loop, report)


@planted(supervision, "restart_delay")
def a_backoff_depends_on_more_than_the_core_is_told(
    original: Fault, backoff: Backoff, failures: int, draw: float
) -> float:
    delay: float = original(backoff, failures, draw)
    return delay * random.random()
