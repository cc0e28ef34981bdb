"""What a handler does with one message: the place for more kinds of behaviour.

Each act is an async function of the `Scene` that returns the handler's answer.
Those under `act` are what actors do; those under `faulty` are what goes wrong.
To have a further feature of actors simulated, add acts that use it; what must
always hold of it belongs in the `Ledger` or the `Lives`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable

import attrs
import trio
from chaos import Broken, Declared, Fault, Finished, Hopeless, Trouble
from parcels import Done, Player, Work
from stage import Stage

from understudy_actors.behaviour import Actor, Answer
from understudy_protocols.errors import DeliveryError
from understudy_protocols.supervision import Shutdown


@attrs.frozen
class Scene:
    """One handler at work.

    Attributes:
      stage: the run it is in.
      behaviour: whose handler it is.
      sender: its name as a sender; no other life's.
      work: the message in hand.
      actor: what its behaviour was given.
      limit: its handler timeout; seconds.
    """

    stage: Stage
    behaviour: object
    sender: str
    work: Work
    actor: Actor[Work, Done]
    limit: float

    @property
    def answer(self) -> Done:
        """The right answer."""
        return Done(self.work.number)

    @property
    def is_sent(self) -> bool:
        """Whether the work was sent, and not ordered by the actor itself."""
        return self.actor.sender != self.actor.ref.path

    def other(self) -> Player:
        """Return any ref there is."""
        return self.stage.any_ref()


Act = Callable[[Scene], Awaitable[Done | Answer]]

_ACTS: list[Act] = []
_FAULTY: dict[Fault, Act] = {}
_FAULTY_NOTES = (
    Fault.HANDLER_RAISES,
    Fault.HANDLER_HANGS,
    Fault.SHIELDS,
    Fault.SWALLOWS,
)


async def play(scene: Scene) -> Done | Answer:
    """Do one thing or another, by chance."""
    stage = scene.stage
    if scene.work.plain or stage.quiet:
        scene.actor.unstash_all()
        return scene.answer
    if scene.work.poisoned:
        raise Broken("poisoned")
    fault = stage.chaos.one_of(_FAULTY)
    if fault is not None:
        return await _FAULTY[fault](scene)
    return await stage.random.choice(_ACTS)(scene)


async def take_note(stage: Stage) -> None:
    """Deal with a notice, or fail to."""
    if stage.quiet:
        return
    match stage.chaos.one_of(_FAULTY_NOTES):
        case Fault.HANDLER_RAISES:
            raise stage.random.choice((Broken, Declared, Finished, Shutdown))("a note")
        case Fault.HANDLER_HANGS:
            await trio.sleep(HANG)
        case Fault.SHIELDS:
            await shielded(stage)
        case Fault.SWALLOWS:
            await swallowing(stage)
        case _:
            await stage.sleep(0.0, 0.1)


def act(weight: int) -> Callable[[Act], Act]:
    """Have actors do this, so often against other acts."""

    def add(what: Act) -> Act:
        _ACTS.extend([what] * weight)
        return what

    return add


def faulty(fault: Fault) -> Callable[[Act], Act]:
    """Have this happen when *fault* strikes a handler."""

    def add(what: Act) -> Act:
        _FAULTY[fault] = what
        return what

    return add


# What actors do


@act(6)
async def work(scene: Scene) -> Done | Answer:
    """Take a while."""
    await scene.stage.sleep(0.0, 0.0, 0.1, 0.5)
    return scene.answer


@act(3)
async def tell_another(scene: Scene) -> Done | Answer:
    """Send on, to itself as well as to others."""
    stage = scene.stage
    strict = stage.random.random() < 0.2
    late = trio.current_time() + stage.random.choice((0.2, 100.0))
    with contextlib.suppress(DeliveryError):
        await stage.post.tell(
            scene.sender, scene.other(), timeout=1.0, deadline=late, strict=strict
        )
    return scene.answer


@act(3)
async def ask_another(scene: Scene) -> Done | Answer:
    """Ask, to itself and in circles as well; an error may be its own end."""
    stage = scene.stage
    try:
        timeout = stage.random.choice((0.0, 0.5, 2.0))
        await stage.post.ask(scene.sender, scene.other(), timeout)
    except (DeliveryError, Trouble, TimeoutError):
        if stage.chaos.strikes(Fault.HANDLER_RAISES):
            raise
    return scene.answer


@act(4)
async def work_limited(scene: Scene) -> Done | Answer:
    """Work with a token of a shared limit."""
    async with scene.stage.tokens.held():
        await scene.stage.sleep(0.0, 0.1, 1.0, 2.0)
    return scene.answer


@act(2)
async def answer_later(scene: Scene) -> Done | Answer:
    """Keep the reply for somebody else to settle."""
    if scene.actor.reply is None:
        return scene.answer
    scene.stage.kept.append((scene.actor.reply, scene.answer))
    return Answer.LATER


@act(2)
async def answer_kept(scene: Scene) -> Done | Answer:
    """Settle a reply that anybody kept, a second time perhaps."""
    kept = scene.stage.kept
    if kept:
        reply, answer = scene.stage.random.choice(kept)
        if scene.stage.random.random() < 0.8:
            kept.remove((reply, answer))
        scene.stage.ledger.replies(reply)
        reply.send(answer)
    return scene.answer


@act(1)
async def answer_twice(scene: Scene) -> Done | Answer:
    """Reply, and answer too."""
    if scene.actor.reply is not None:
        scene.stage.ledger.replies(scene.actor.reply)
        scene.actor.reply.send(scene.answer)
        await scene.stage.pause()
    return scene.answer


@act(1)
async def know_nothing(scene: Scene) -> Done | Answer:
    """Be told what it does not know."""
    return Answer.UNHANDLED


@act(2)
async def pass_on(scene: Scene) -> Done | Answer:
    """Hand the message to another, who then answers it."""
    if not scene.is_sent:
        return scene.answer
    await scene.actor.forward(scene.other(), timeout=1.0)
    return scene.answer


@act(1)
async def give_up(scene: Scene) -> Done | Answer:
    """Make the message a dead letter."""
    scene.actor.give_up("given up")
    return scene.answer


@act(4)
async def put_aside(scene: Scene) -> Done | Answer:
    """Take the message later, perhaps at once; too many break it."""
    if not scene.is_sent:
        return scene.answer
    scene.actor.stash()
    scene.stage.ledger.put_aside(scene.work)
    await scene.stage.pause()
    if scene.stage.random.random() < 0.2:
        scene.actor.unstash_all()
    return scene.answer


@act(2)
async def take_what_is_aside(scene: Scene) -> Done | Answer:
    """Take what was put aside."""
    scene.actor.unstash_all()
    return scene.answer


@act(2)
async def order(scene: Scene) -> Done | Answer:
    """Order a message for later, or again and again."""
    stage = scene.stage
    delay = stage.random.choice((0.0, 0.3, 2.0))
    interval = stage.random.choice((math.inf, 0.5, 3.0))
    stage.alarms.append(
        stage.ledger.order(scene.actor, scene.behaviour, delay, interval)
    )
    return scene.answer


@act(2)
async def call_off(scene: Scene) -> Done | Answer:
    """Call off what anybody ordered."""
    stage = scene.stage
    if stage.alarms:
        ordered = stage.random.choice(stage.alarms)
        stage.alarms.remove(ordered)
        stage.ledger.call_off(*ordered)
    return scene.answer


@act(5)
async def watch(scene: Scene) -> Done | Answer:
    """Watch another, or no more."""
    stage, other = scene.stage, scene.other()
    if stage.random.random() < 0.8:
        restarts = stage.random.random() < 0.5
        scene.actor.watch(other, restarts=restarts)
    else:
        scene.actor.unwatch(other)
    return scene.answer


@act(1)
async def look_up(scene: Scene) -> Done | Answer:
    """Find another by its name: the same one, as long as it is there."""
    stage, other = scene.stage, scene.other()
    name, system = stage.names.get(other), stage.system
    if name is not None and system is not None and other.running:
        found = system.names.find(name)
        stage.book.require(found is other, "S140 another's name", name.text)
    return scene.answer


@act(1)
async def stop_what_holds_it(scene: Scene) -> Done | Answer:
    """Stop itself, or its supervisor; neither may wait for its own end."""
    stage, path = scene.stage, scene.actor.life.path
    supervisor = stage.supervisor_of(path)
    if supervisor is None or stage.random.random() < 0.5:
        return scene.answer
    began = trio.current_time()
    if stage.random.random() < 0.7:
        await supervisor.terminate_child(path.rpartition("/")[2])
    else:
        await supervisor.stop()
    now = trio.current_time() in (began, stage.book.jumped_at)
    stage.book.require(now, "S89 it waited for itself", path)
    await stage.sleep(0.0, 0.5)
    return scene.answer


# What goes wrong


@faulty(Fault.HANDLER_RAISES)
async def fail(scene: Scene) -> Done | Answer:
    """Raise, alone or from a task of its own."""
    await scene.stage.pause()
    kind = scene.stage.random.choice((Broken, Broken, Declared, Finished, Shutdown))
    if scene.stage.random.random() < 0.2:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            raise kind("in a group")
    raise kind("a handler")


@faulty(Fault.HANDLER_HANGS)
async def hang(scene: Scene) -> Done | Answer:
    """Take longer than anybody waits."""
    await trio.sleep(HANG)
    return scene.answer


@faulty(Fault.HANDLER_OVERRUNS)
async def overrun(scene: Scene) -> Done | Answer:
    """Take as long as it may, or a little more."""
    limit = min(scene.limit, 2.0)
    await scene.stage.sleep(limit, limit, limit + 0.1)
    return scene.answer


@faulty(Fault.CLEANUP_RAISES)
async def spill(scene: Scene) -> Done | Answer:
    """Raise when cut."""
    try:
        await trio.sleep(HANG)
    except trio.Cancelled:
        raise Broken("a clean-up") from None
    return scene.answer


@faulty(Fault.ESCALATES)
async def despair(scene: Scene) -> Done | Answer:
    """Raise what makes some supervisors give up."""
    raise Hopeless("a handler")


@faulty(Fault.EXITS)
async def exit_(scene: Scene) -> Done | Answer:
    """End the process; seldom, since that ends the run."""
    if scene.stage.random.random() < 0.1:
        raise SystemExit("a handler")
    return scene.answer


@faulty(Fault.SHIELDS)
async def shield(scene: Scene) -> Done | Answer:
    """Let nobody cut it for a while."""
    await shielded(scene.stage)
    return scene.answer


@faulty(Fault.SWALLOWS)
async def swallow(scene: Scene) -> Done | Answer:
    """Go on when cut."""
    await swallowing(scene.stage)
    return scene.answer


HANG = 12.0
"""Longer than any timeout here; seconds."""


async def shielded(stage: Stage) -> None:
    """Sleep so that nothing can end it, perhaps past every grace."""
    with trio.CancelScope(shield=True):
        await stage.sleep(0.3, 1.5, 4.0)


async def swallowing(stage: Stage) -> None:
    """Sleep, and swallow what ends it, perhaps with some more sleep."""
    try:
        await stage.sleep(0.5, 6.0)
    except trio.Cancelled:
        stage.book.count("swallowed")
        if stage.random.random() < 0.5:
            await shielded(stage)
