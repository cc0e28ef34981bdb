"""Row: whether messages handled and lives ended leave anything behind.

Each way of counting has a process to itself.  Run as a program, this is such a
process: it tells, asks and crashes one actor for so many rounds, and prints the
bytes in use after the first tenth of them, and after all.
"""

from __future__ import annotations

import gc
import subprocess
import sys

import trio

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes
from benchmarks.memory import METHODS, RSS, TRACED, begin_counting
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import SupervisorSpec

ROUNDS = 10_000
TELLS = 89
ASKS = 10
CRASH = -1

TENTH = "ours: after 100,000 messages and 1,000 restarts"
ALL = "ours: after 1,000,000 messages and 10,000 restarts"
LEFT = "ours: left behind by a round"


class _Fragile(Behaviour[int, int]):
    async def handle(self, message: int, actor: Actor[int, int]) -> int:
        if message == CRASH:
            raise ValueError("broken")
        return message


async def _endure(rounds: int, method: str) -> tuple[int, int]:
    """Return the bytes in use after a tenth of *rounds*, and after all."""
    used = begin_counting(method)
    ref = Ref[int, int]("root/fragile")
    # The window is as short as can be: this many restarts are the point here.
    spec = SupervisorSpec(
        (actor_child(ref, _Fragile),), period=1e-9, backoff=NO_BACKOFF
    )
    async with ActorSystem(spec):
        await _work(ref, rounds // 10)
        gc.collect()
        after_a_tenth = used()
        await _work(ref, rounds - rounds // 10)
        gc.collect()
        return after_a_tenth, used()


async def _work(ref: Ref[int, int], rounds: int) -> None:
    for _ in range(rounds):
        for number in range(TELLS):
            ref.tell_nowait(number)
        for number in range(ASKS):
            assert await ref.ask(number) == number
        ref.tell_nowait(CRASH)


def _measure(sizes: Sizes) -> Figures:
    figures: Figures = {}
    rounds = sizes.count(ROUNDS, 10)
    for method, suffix in METHODS.items():
        command = [sys.executable, "-m", "benchmarks.actor_endurance"]
        command += [str(rounds), method]
        if method == "traced":
            # From the first line on: what was there before counts too.
            command[1:1] = ["-X", "tracemalloc"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        after_a_tenth, after_all = map(float, printed.stdout.split())
        left = (after_all - after_a_tenth) / (rounds - rounds // 10)
        figures[TENTH + suffix] = [Sample.of(after_a_tenth)]
        figures[ALL + suffix] = [Sample.of(after_all)]
        figures[LEFT + suffix] = [Sample.of(left)]
    return figures


ENDURANCE = Row(
    "actors-endurance",
    "an actor handles a million messages in ten thousand lives; bytes in use",
    Unit.KILOBYTES,
    (
        Claim("all beside a tenth, resident set", ALL + RSS, TENTH + RSS, 1.05),
        Claim("all beside a tenth, tracemalloc", ALL + TRACED, TENTH + TRACED, 1.05),
        Claim("left by 100 messages and a restart", LEFT + TRACED, None, 10.0),
    ),
    _measure,
)

if __name__ == "__main__":
    print(*trio.run(_endure, int(sys.argv[1]), sys.argv[2]))
