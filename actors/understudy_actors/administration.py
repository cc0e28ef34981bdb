"""What a supervisor does when it is asked by hand: never a matter of budget."""

from __future__ import annotations

from understudy_actors.children import Child, Children
from understudy_actors.supervision_messages import (
    Add,
    Answer,
    Delete,
    Reply,
    StartAgain,
    Terminate,
    Withdraw,
)
from understudy_protocols.supervision import SupervisorSpec
from understudy_protocols.supervision_records import ChildState, Refusal


class Administration:
    """The admin calls on one supervisor.

    Args:
      spec: its flags.
      children: its table.

    Attributes:
      closed: it is stopping, so nothing is started any more.
    """

    def __init__(self, spec: SupervisorSpec, children: Children) -> None:
        self.closed = False
        self._limit = spec.max_children
        self._children = children

    def add(self, event: Add) -> None:
        """Start a new child; the reply comes when it is ready, or has failed."""
        children, spec = self._children, event.spec
        known = children.get(spec.id)
        if self.closed:
            children.refuse(event.reply, Refusal.STOPPING)
        elif known is not None and known.state is ChildState.RUNNING:
            children.refuse(event.reply, Refusal.ALREADY_STARTED, known.value)
        elif known is not None:
            children.refuse(event.reply, Refusal.ALREADY_PRESENT)
        elif self._limit is not None and len(children) >= self._limit:
            children.refuse(event.reply, Refusal.MAX_CHILDREN)
        else:
            child = children.add(spec, newborn=True)
            child.starters.append(event.reply)
            children.start(child)

    def start_again(self, event: StartAgain) -> None:
        """Start a stopped child; the reply comes when it is ready, or has failed."""
        child = self._stopped(event.id, event.reply)
        if child is None:
            return
        if self.closed:
            self._children.refuse(event.reply, Refusal.STOPPING)
            return
        child.starters.append(event.reply)
        self._children.start(child)

    def terminate(self, event: Terminate) -> None:
        """Stop a child, or its pending restart; the reply comes when it is gone."""
        child = self._named(event.id, event.reply)
        if child is None:
            return
        child.stoppers.append(event.reply)
        self._children.take_down(child)

    def delete(self, event: Delete) -> None:
        """Forget a stopped child."""
        child = self._stopped(event.id, event.reply)
        if child is not None:
            self._children.remove(child)
            self._children.out.append(Answer(event.reply, None))

    def withdraw(self, event: Withdraw) -> None:
        """Stop the child whose start nobody waits for any more."""
        child = self._children.get(event.id)
        if child is not None and event.reply in child.starters:
            self._children.take_down(child)

    def _named(self, child_id: str, reply: Reply) -> Child | None:
        child = self._children.get(child_id)
        if child is None:
            self._children.refuse(reply, Refusal.NOT_FOUND)
        return child

    def _stopped(self, child_id: str, reply: Reply) -> Child | None:
        child = self._named(child_id, reply)
        if child is None or child.state is ChildState.STOPPED:
            return child
        refusal = Refusal.RUNNING if child.alive else Refusal.RESTARTING
        self._children.refuse(reply, refusal)
        return None
