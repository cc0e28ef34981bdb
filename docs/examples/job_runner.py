"""A job runner: pictures are made small by a decoder that crashes on damaged ones.

It stands on `understudy_actors` alone.  The desk gives each job to the least busy worker.
A worker that crashes is restarted, and tries the job once more; one that crashes too
often is gone for good, and the foreman hires another.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable

import attrs
import trio

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.limiter import Limiter
from understudy_actors.names import Name
from understudy_actors.notices import Notice, Terminated
from understudy_actors.ref import Ref
from understudy_actors.router import Leftovers, Routees, router_child
from understudy_actors.routing import LeastBusy
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError, AskTimeoutError
from understudy_protocols.restart_policy import RestartBudget
from understudy_protocols.supervision import (
    ChildSpec,
    Restart,
    Strategy,
    SupervisorSpec,
)


@attrs.frozen
class Job:
    """A picture to be made small."""

    picture: str
    megapixels: float


Work = Callable[[Job], Awaitable[str]]
FOREMAN = Name[str, None]("foreman")


async def shrink(job: Job) -> str:
    """Stand where the decoder would: it is slow, and crashes on what is damaged."""
    await trio.sleep(job.megapixels / 50)
    if "damaged" in job.picture:
        raise RuntimeError(f"the decoder crashed on {job.picture}")
    return f"{job.megapixels / 100:g} megapixels are left"


class Worker(Behaviour[Job, str]):
    """Does one job at a time, when a decoder is free; an error breaks this life."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def handle(self, message: Job, actor: Actor[Job, str]) -> str:
        async with self._runner.decoders.held(borrower=actor.ref.path):
            return await self._runner.work(message)


class Foreman(Behaviour[str, None]):
    """Writes down what it is told, and keeps the crew complete."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def handle(self, message: str, actor: Actor[str, None]) -> None:
        self._runner.account.append(message)
        await self._hire(actor)

    async def notified(self, notice: Notice, actor: Actor[str, None]) -> None:
        if isinstance(notice, Terminated):
            gone = f"{notice.actor.path} is gone for good: {notice.reason}"
            self._runner.account.append(gone)
            await self._hire(actor)

    async def _hire(self, actor: Actor[str, None]) -> None:
        runner = self._runner
        above = runner.system.root.children()[0].value
        assert isinstance(above, Supervisor), "if it restarts, so does the foreman"
        while sum(not worker.ref.closed for worker in runner.crew) < runner.size:
            ref = Ref[Job, str](f"root/crew/worker {next(runner.numbers)}")
            await above.start_child(runner.worker(ref))
            runner.crew.join(ref.path, ref)
            actor.watch(ref)
            runner.account.append(f"{ref.path} is hired")


class Runner:
    """The tree, and what its actors share; it outlives them."""

    def __init__(self, work: Work = shrink, size: int = 3) -> None:
        self.work, self.size = work, size
        self.decoders = Limiter(2, "decoders")
        self.crew = Routees[Job, str](leftovers=Leftovers.REROUTE)
        self.numbers, self.account = itertools.count(1), list[str]()
        self.desk = Ref[Job, str]("root/desk")
        template = self.worker(Ref("root/crew/anyone"))
        crew = SupervisorSpec([template], strategy=Strategy.DYNAMIC, intensity=20)
        tree = [
            supervisor_child("crew", crew),
            actor_child(Ref("root/foreman"), lambda: Foreman(self), name=FOREMAN),
            router_child(self.desk, self.crew, LeastBusy(), restart=Restart.PERMANENT),
        ]
        self.system = ActorSystem(SupervisorSpec(tree, strategy=Strategy.REST_FOR_ONE))

    def worker(self, ref: Ref[Job, str]) -> ChildSpec:
        """Return the spec of a worker: it may crash once a minute, and a job twice."""
        twice, once = Conduct(redeliver=1), RestartBudget(1, 60.0)
        return actor_child(ref, lambda: Worker(self), conduct=twice, budget=once)

    async def order(self, job: Job, patience: float = 3.0) -> None:
        """Ask for one job, and have it written down what became of it."""
        try:
            said = await self.desk.ask(job, patience)
        except AskTimeoutError:
            said = f"not done in {patience:g} s"
        except ActorStoppedError as error:
            said = f"given up: {error.__cause__ or error}"
        await self.system.names.find(FOREMAN).tell(f"{job.picture}: {said}")

    async def run(self, jobs: Iterable[Job], interval: float = 0.1) -> list[str]:
        """Take in a job every *interval* seconds; return the account of all."""
        async with self.system as system:
            foreman = system.names.find(FOREMAN)
            await foreman.ask("the day begins")
            async with trio.open_nursery() as nursery:
                for job in jobs:
                    nursery.start_soon(self.order, job)
                    await trio.sleep(interval)
            await foreman.ask("the day ends")
        return self.account


def main() -> None:
    """Print what becomes of six pictures: one is damaged, and one is too large."""
    sizes = {"cat": 12, "damaged": 22, "dog": 24, "sea": 18, "sky": 14, "map": 200}
    jobs = [Job(f"{name}.png", size) for name, size in sizes.items()]
    print(*trio.run(Runner().run, jobs), sep="\n")


if __name__ == "__main__":
    main()
