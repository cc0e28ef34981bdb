"""Every public async call of the two upper layers, and a scene in which it is made.

A scene brings about all that the call needs, and hands the call to *body*, in
the task in which it is to be made.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import trio

from understudy import (
    Attempt,
    Context,
    RunHandle,
    Runtime,
    parallel_execute,
    step,
    with_retry,
)
from understudy.models.conversation import converse
from understudy.models.scripted import ScriptedModel
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.dead_letters import DeadLetters
from understudy_actors.limiter import Limiter
from understudy_actors.mailbox import Mailbox
from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_actors.supervisor import Supervisor
from understudy_actors.system import ActorSystem
from understudy_protocols.chat import ModelRequest
from understudy_protocols.supervision import ChildSpec, Life, SupervisorSpec

Call = Callable[[], Awaitable[object]]
Body = Callable[[Call], Awaitable[None]]
Scene = Callable[[Body], Awaitable[None]]

ROOT = Path(__file__).parents[2]

NOT_CALLED = {
    "Behaviour": "its methods are the user's own",
    "Work": "what a step actor calls",
    "Messages": "what an `Actor` hands on, which is listed here as `Actor`",
    "Custody": "the same",
    "Pool": "what a worker hands on to the step actor",
    "System": "what `ActorSystem` is made of",
    "Cell": "the shell around a behaviour",
    "Ref.take_over": "the end of `Actor.forward`",
    "StepActor": "a child's code, and what a worker hands on to it",
    "SupervisorLoop": "a child's code",
    "Watchdog": "a child's code",
    "CallScope": "what `BoundModel` hands on to the attempt",
    "Surroundings": "what `Attempt` hands on to the shell",
    "WorkflowStep": "its methods are the user's own",
    "StatefulStep": "its methods are the user's own",
    "call": "how `with_retry` and `parallel_execute` make a call",
    "call_bare": "how `parallel_execute` makes a call",
    "FaultyModel": "a model: what it does is awaited by `BoundModel`",
    "LocalModel": "a model",
    "RecordedModel": "a model",
    "ScriptedModel": "a model",
    "stream_whole": "what models make a stream of",
    "GatedModel": "a model",
    "Asking": "how `BoundModel` makes a call",
    "Hedge": "how `BoundModel` makes a call",
    "EventStream.caught_up": "what a model's answer waits for while it is shown",
    "run_function": "how `converse` calls a function",
    "FunctionJournal": "what `converse` hands on to the attempt",
}
"""Public async functions that no user of ours awaits, and why."""

SCENES: dict[str, Scene] = {}
"""By the name of the call, as ``Ref.tell``; several are set apart by a colon."""


def declared() -> Iterator[str]:
    """Yield the names of all public async functions, as the source has them."""
    files = [
        *(ROOT / "actors" / "understudy_actors").glob("*.py"),
        *(ROOT / "runtime" / "understudy").glob("*.py"),
        *(ROOT / "runtime" / "understudy" / "models").glob("*.py"),
        *(ROOT / "runtime" / "understudy" / "workflows").glob("*.py"),
    ]
    for file in files:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef) and _is_public(node.name):
                yield node.name
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for one in node.body:
                    if isinstance(one, ast.AsyncFunctionDef) and _is_public(one.name):
                        yield f"{node.name}.{one.name}"


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name.endswith("__")


def of(name: str) -> Callable[[Scene], Scene]:
    """Register the scene of a call."""

    def register(scene: Scene) -> Scene:
        SCENES[name] = scene
        return scene

    return register


# Actors


class Echo(Behaviour[object, object]):
    """Answers with the message."""

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        return message


def echo(name: str) -> tuple[Ref[object, object], ChildSpec]:
    ref = Ref[object, object](name)
    return ref, actor_child(ref, Echo)


@of("Ref.tell")
async def _tell(body: Body) -> None:
    await body(lambda: Ref[object, object]("a").tell(1))


@of("Ref.ask")
async def _ask(body: Body) -> None:
    ref, child = echo("a")
    async with ActorSystem(SupervisorSpec((child,))):
        await body(lambda: ref.ask(1))


@of("Reply.wait")
async def _reply_given(body: Body) -> None:
    reply = Reply[int]("a", None, DeadLetters())
    reply.send(1)
    await body(reply.wait)


@of("Mailbox.put")
async def _put(body: Body) -> None:
    await body(lambda: Mailbox[int]("a", 1).put(1))


@of("Limiter.acquire")
async def _acquire(body: Body) -> None:
    await body(Limiter(1).acquire)


@of("Limiter.held")
async def _hold(body: Body) -> None:
    limiter = Limiter(1)

    async def block() -> None:
        async with limiter.held():
            pass

    await body(block)
    assert limiter.holders == ()


@of("Actor.forward")
async def _forward(body: Body) -> None:
    ref, (to, child) = Ref[object, object]("b"), echo("a")

    class Passes(Behaviour[object, object]):
        async def handle(self, message: object, actor: Actor[object, object]) -> object:
            await body(lambda: actor.forward(to))
            return None

    async with ActorSystem(SupervisorSpec((child, actor_child(ref, Passes)))):
        with trio.move_on_after(1):
            assert await ref.ask("hello") == "hello"


@of("Incarnation.wait_stop")
async def _wait_stop(body: Body) -> None:
    async def child(life: Life) -> None:
        life.ready()
        await life.wait_stop()
        await body(life.wait_stop)

    async with ActorSystem(SupervisorSpec((ChildSpec("a", child),))):
        pass


# Supervisors and systems


async def _serve(life: Life) -> None:
    life.ready(life)
    await life.wait_stop()


async def _with_children(body: Body, call: Callable[[Supervisor], Call]) -> None:
    """Make a call to a supervisor of a child that runs and one that is stopped."""
    ref, actor = echo("actor")
    children = (ChildSpec("runs", _serve), ChildSpec("stopped", _serve), actor)
    async with ActorSystem(SupervisorSpec(children)) as system:
        await system.root.terminate_child("stopped")
        assert ref.home == "root/actor"
        await body(call(system.root))


def _by_hand(name: str, call: Callable[[Supervisor], Call]) -> None:
    async def scene(body: Body) -> None:
        await _with_children(body, call)

    SCENES[f"Supervisor.{name}"] = scene


_by_hand("start_child", lambda root: lambda: root.start_child(ChildSpec("a", _serve)))
_by_hand("restart_child", lambda root: lambda: root.restart_child("stopped"))
_by_hand("terminate_child", lambda root: lambda: root.terminate_child("runs"))
_by_hand("terminate_child: again", lambda root: lambda: root.terminate_child("stopped"))
_by_hand("delete_child", lambda root: lambda: root.delete_child("stopped"))
_by_hand("stop", lambda root: root.stop)


@of("Supervisor.terminate")
async def _terminate(body: Body) -> None:
    ref, child = echo("a")
    async with ActorSystem(SupervisorSpec((child,))) as system:
        await body(lambda: system.root.terminate(ref))


@of("Supervisor.terminate: again")
async def _terminate_again(body: Body) -> None:
    ref, child = echo("a")
    async with ActorSystem(SupervisorSpec((child,))) as system:
        await system.root.terminate(ref)
        await body(lambda: system.root.terminate(ref))


@of("Supervisor.stop: again")
async def _stop_root_again(body: Body) -> None:
    async with ActorSystem(SupervisorSpec()) as system:
        await system.root.stop()
        await body(system.root.stop)


@of("ActorSystem.stop")
async def _stop(body: Body) -> None:
    async with ActorSystem(SupervisorSpec((ChildSpec("a", _serve),))) as system:
        await body(system.stop)


@of("ActorSystem.stop: again")
async def _stop_again(body: Body) -> None:
    async with ActorSystem(SupervisorSpec()) as system:
        await system.stop()
        await body(system.stop)


@of("ActorSystem.ended")
async def _ended(body: Body) -> None:
    async with ActorSystem(SupervisorSpec()) as system:
        await system.stop()
        await body(system.ended)


@of("ActorSystem.__aenter__")
async def _enter_system(body: Body) -> None:
    system = ActorSystem(SupervisorSpec((ChildSpec("a", _serve),)))
    entered = False

    async def enter() -> None:
        nonlocal entered
        await system.__aenter__()
        entered = True

    await body(enter)
    if entered:
        await system.__aexit__(None, None, None)


@of("ActorSystem.__aexit__")
async def _leave_system(body: Body) -> None:
    system = ActorSystem(SupervisorSpec((ChildSpec("a", _serve),)))
    await system.__aenter__()
    await body(lambda: system.__aexit__(None, None, None))


@of("ActorSystem.__aenter__: block")
async def _system(body: Body) -> None:
    async def block() -> None:
        async with ActorSystem(SupervisorSpec((ChildSpec("a", _serve),))):
            pass

    await body(block)


# Runs


@step
async def double(context: Context[int]) -> int:
    await trio.sleep(1)
    return 2 * context.input


async def _in_step(body: Body, call: Callable[[Attempt[object]], Call]) -> None:
    """Make a call from the function of a step."""

    @step
    async def calls(context: Context[object], attempt: Attempt[object]) -> int:
        await body(call(attempt))
        return 1

    model = ScriptedModel(["yes"])
    async with Runtime(calls, models={"m": model}) as runtime:
        assert (await runtime.run(calls, 0)).ok


@of("Attempt.wait")
async def _wait(body: Body) -> None:
    await _in_step(body, lambda attempt: lambda: attempt.wait(0))


@of("BoundModel.complete")
async def _complete(body: Body) -> None:
    await _in_step(body, lambda attempt: lambda: attempt.models["m"].complete("?"))


@of("BoundModel.reply")
async def _reply(body: Body) -> None:
    request = ModelRequest("?")
    await _in_step(body, lambda attempt: lambda: attempt.models["m"].reply(request))


@of("converse")
async def _converse(body: Body) -> None:
    await _in_step(body, lambda attempt: lambda: converse(attempt.models["m"], "?", ()))


@of("Worker.regain_permit")
async def _regain(body: Body) -> None:
    # What a step's `wait` does when it is over.
    await _wait(body)


@of("Runtime.run")
async def _run(body: Body) -> None:
    async with Runtime(double) as runtime:
        await body(lambda: runtime.run(double, 1))


@of("Runtime.submit")
async def _submit(body: Body) -> None:
    async with Runtime(double) as runtime:
        await body(lambda: runtime.submit(double, 1))


@of("Runtime.__aenter__")
async def _enter_runtime(body: Body) -> None:
    runtime = Runtime(double)
    entered = False

    async def enter() -> None:
        nonlocal entered
        await runtime.__aenter__()
        entered = True

    await body(enter)
    if entered:
        await runtime.__aexit__(None, None, None)


@of("Runtime.__aexit__")
async def _leave_runtime(body: Body) -> None:
    runtime = Runtime(double)
    await runtime.__aenter__()
    await body(lambda: runtime.__aexit__(None, None, None))


@of("Runtime.__aenter__: block")
async def _runtime(body: Body) -> None:
    async def block() -> None:
        async with Runtime(double):
            pass

    await body(block)


async def _with_run(body: Body, call: Callable[[RunHandle[int]], Call]) -> None:
    """Make a call about a run that is over."""
    async with Runtime(double) as runtime:
        handle = await runtime.submit(double, 1)
        await handle.result()
        await body(call(handle))


@of("RunHandle.result")
async def _result(body: Body) -> None:
    await _with_run(body, lambda handle: handle.result)


@of("RunHandle.wait")
async def _wait_for_run(body: Body) -> None:
    await _with_run(body, lambda handle: handle.wait)


@of("ManyRuns.__anext__")
async def _next_of_many(body: Body) -> None:
    async with Runtime(double) as runtime, runtime.run_many(double, [1]) as results:
        await body(results.__anext__)


@of("ManyRuns.aclose")
async def _close_many(body: Body) -> None:
    async with Runtime(double) as runtime:
        await body(runtime.run_many(double, []).aclose)


@of("EventStream.__anext__")
async def _next_event(body: Body) -> None:
    async with Runtime(double) as runtime, runtime.events() as events:
        await runtime.run(double, 1)
        await body(events.__anext__)


@of("EventStream.__aenter__")
async def _watch(body: Body) -> None:
    async with Runtime(double) as runtime:

        async def block() -> None:
            async with runtime.events():
                pass

        await body(block)


@of("RunStream.__aenter__")
async def _watch_run(body: Body) -> None:
    async with Runtime(double) as runtime:

        async def block() -> None:
            async with runtime.stream(double, 1):
                pass

        await body(block)


@of("RunStream.__anext__")
async def _next_event_of_run(body: Body) -> None:
    async with Runtime(double) as runtime, runtime.stream(double, 1) as stream:
        await body(stream.__anext__)


@of("RunStream.result")
async def _result_of_stream(body: Body) -> None:
    async with Runtime(double) as runtime, runtime.stream(double, 1) as stream:
        await stream.result()
        await body(stream.result)


async def _at_once() -> int:
    return 1


@of("with_retry")
async def _retry(body: Body) -> None:
    await body(lambda: with_retry(_at_once))


@of("parallel_execute")
async def _execute(body: Body) -> None:
    await body(lambda: parallel_execute([_at_once]))


@of("parallel_execute: nothing")
async def _execute_nothing(body: Body) -> None:
    await body(lambda: parallel_execute(list[Call]()))
