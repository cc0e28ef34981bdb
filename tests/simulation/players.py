"""The children of a simulated tree: actors, and workers that are none."""

from __future__ import annotations

import attrs
import trio
from acts import HANG, Scene, play, shielded, swallowing, take_note
from chaos import Broken, Fault, Hopeless
from parcels import Done, Player, Work
from stage import CallbackError, Stage

from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct
from understudy_actors.names import Name
from understudy_actors.notices import Notice
from understudy_protocols.supervision import Escalate, Exit, Life, Shutdown

_SETUP = (
    Fault.INIT_RAISES,
    Fault.INIT_DECLINES,
    Fault.INIT_HANGS,
    Fault.SHIELDS,
    Fault.SWALLOWS,
)
_TEARDOWN = (
    Fault.TEARDOWN_RAISES,
    Fault.TEARDOWN_HANGS,
    Fault.SHIELDS,
    Fault.SWALLOWS,
)
_WORK = (
    Fault.WORKER_RAISES,
    Fault.WORKER_ENDS,
    Fault.ESCALATES,
    Fault.EXITS,
    Fault.SHIELDS,
    Fault.SWALLOWS,
)


@attrs.frozen
class Part:
    """What the lives of one actor have in common."""

    stage: Stage
    ref: Player
    conduct: Conduct
    name: Name[Work, Done] | None


class Plain(Behaviour[Work, Done]):
    """An actor that does one act for each message."""

    def __init__(self, part: Part) -> None:
        self._stage = part.stage
        self._part = part
        self._sender = f"{part.ref.path}@{self._stage.serial()}"

    async def setup(self, actor: Actor[Work, Done]) -> None:
        await begin(self._stage)

    async def handle(self, message: Work, actor: Actor[Work, Done]) -> Done | Answer:
        limit = self._part.conduct.handler_timeout
        scene = Scene(self._stage, self, self._sender, message, actor, limit)
        return await self._stage.handled(self, message, actor, play(scene))

    async def notified(self, notice: Notice, actor: Actor[Work, Done]) -> None:
        await self._stage.notified(notice, actor, take_note(self._stage))


class Tidy(Plain):
    """The same, with something to tear down."""

    async def teardown(self, exit: Exit) -> None:  # noqa: A002 # the base's own word
        await end(self._stage)


async def serve(stage: Stage, life: Life) -> None:
    """Be a worker: a child that is no actor."""
    await begin(stage)
    told = trio.Event()

    def tell() -> None:
        told.set()
        if stage.chaos.strikes(Fault.CALLBACK_RAISES):
            raise CallbackError(life.path)

    life.on_stop(tell)
    life.ready(life.number)
    while not life.stopping:
        with trio.move_on_after(stage.random.choice((0.1, 0.5, 2.0))):
            await told.wait()
            break
        if await _is_done(stage):
            return
    await end(stage)


async def begin(stage: Stage) -> None:
    """Start, or fail to."""
    await stage.pause()
    match stage.chaos.one_of(_SETUP):
        case Fault.INIT_RAISES:
            raise stage.random.choice((Broken, TimeoutError))("an init")
        case Fault.INIT_DECLINES:
            raise Shutdown("not today")
        case Fault.INIT_HANGS:
            await trio.sleep(HANG)
        case Fault.SHIELDS:
            await shielded(stage)
        case Fault.SWALLOWS:
            await swallowing(stage)
        case _:
            await stage.sleep(0.0, 0.0, 0.1, 0.2)


async def end(stage: Stage) -> None:
    """Let go of everything, or fail to."""
    await stage.pause()
    match stage.chaos.one_of(_TEARDOWN):
        case Fault.TEARDOWN_RAISES:
            raise Broken("a teardown")
        case Fault.TEARDOWN_HANGS:
            await trio.sleep(HANG)
        case Fault.SHIELDS:
            await shielded(stage)
        case Fault.SWALLOWS:
            await swallowing(stage)
        case _:
            await stage.sleep(0.0, 0.0, 0.1)


async def _is_done(stage: Stage) -> bool:
    """Do what a worker does once in a while; return whether it ends by itself."""
    match stage.chaos.one_of(_WORK):
        case Fault.WORKER_RAISES:
            raise Broken("a worker")
        case Fault.WORKER_ENDS:
            if stage.random.random() < 0.5:
                raise Shutdown("done")
            return True
        case Fault.ESCALATES:
            raise Escalate("a worker") from Hopeless("a worker")
        case Fault.EXITS:
            if stage.random.random() < 0.1:
                raise SystemExit("a worker")
        case Fault.SHIELDS:
            await shielded(stage)
        case Fault.SWALLOWS:
            await swallowing(stage)
        case _:
            if stage.random.random() < 0.4:
                async with stage.tokens.held():
                    await stage.sleep(0.1, 1.0)
    return False
