"""Many more runs than places wait for people, and their processes die meanwhile."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
import trio
from images import known, utcnow
from paused_world import PausedWorld, Places, people

from understudy import RunStatus, Runtime
from understudy.journal.memory import MemoryStore
from understudy.testing import run_seeded

RUNS = 12
LIVES = 4


@pytest.fixture(autouse=True)
def _little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are brought back, and go on, in many turns."""
    monkeypatch.setattr("understudy.journal.memory.AT_ONCE", 2)
    monkeypatch.setattr("understudy.engine.admission.PLACES_AT_ONCE", 1)
    monkeypatch.setattr("understudy.journal.recorder.IN_A_TURN", 1)


class _Died(BaseException):
    """A process is killed."""


class Lives:
    """One journal, and the lives of processes that execute its runs."""

    def __init__(self, seed: int) -> None:
        self.world = PausedWorld(seed)
        self.flow = self.world.workflow()
        self.source = random.Random(seed + 1)
        self.store = MemoryStore()
        self.ended: dict[str, RunStatus] = {}
        self.start = 0.0
        self.seen: Counter[str] = Counter()

    async def life(self, last: bool) -> None:
        """Execute the runs for a while, or to the last; then leave, or die."""
        source, store = self.source, self.store
        runtime = Runtime(
            self.flow,
            journal=store,
            utcnow=utcnow(self.start),
            max_runs=source.choice([1, 2, 4]),
            max_paused=source.choice([0, 3, 100, 100]),
            durability=source.choice(["step", "async"]),
            seed=1,
        )
        image: MemoryStore | None = None
        places = Places(runtime)
        trio.lowlevel.add_instrument(places)
        try:
            async with runtime, trio.open_nursery() as nursery:
                nursery.start_soon(people, runtime, source)
                nursery.start_soon(self.ask, runtime)
                for number in range(RUNS):
                    nursery.start_soon(self.one, runtime, f"run {number}")
                if last:
                    with trio.fail_after(10_000):
                        while runtime.list() or len(self.ended) < RUNS:
                            await trio.sleep(1)
                else:
                    await trio.sleep(source.choice([0.5, 3.0, 9.0, 30.0]))
                if source.random() < 0.5:
                    image = store.copy()
                    self.check_ends(image)
                self.seen["coming back"] += len(runtime._door._back) > 0
                nursery.cancel_scope.cancel()
                raise _Died
        except* _Died:
            pass
        finally:
            trio.lowlevel.remove_instrument(places)
            self.start += trio.current_time()
        assert not places.wrong, places.wrong[:5]
        self.seen["aside"] += places.aside > 4
        self.store = store if image is None or last else image
        self.store._owned = False

    async def one(self, runtime: Runtime[Any], run_id: str) -> None:
        """Submit a run, or find it again, and note how it ended."""
        await trio.sleep(self.source.choice([0.0, 0.5]))
        handle = await runtime.submit(self.flow, 7, run_id=run_id)
        result = await handle.result()
        assert self.ended.setdefault(run_id, result.status) is result.status
        assert "mailbox" not in str(result.failure)

    async def ask(self, runtime: Runtime[Any]) -> None:
        """Answer by way of the journal too."""
        while True:
            await trio.sleep(1.5)
            open_now = [(one, key) for one in runtime.list() for key in one.pauses]
            if open_now:
                handle, key = self.source.choice(open_now)
                words = json.dumps({"pause": key, "value": self.source.choice([1, 2])})
                self.store.ask(handle.run_id, "answer", words.encode())

    def check_ends(self, image: MemoryStore) -> None:
        """Nobody was told of an end that is not safe."""
        for run_id, status in self.ended.items():
            found = image.find(run_id)
            assert found is not None
            assert found.status is status


def lead_lives(seed: int) -> Counter[str]:
    """Let processes live and die until all runs are over."""
    lives = Lives(seed)
    for number in range(LIVES):
        before = {
            key for n in range(RUNS) for key in known(lives.store, f"run {n}").finished
        }
        lives.world.ran.clear()
        run_seeded(lives.life, number == LIVES - 1, seed=seed + number)
        assert not before & set(lives.world.ran), "what was finished was done again"
    assert list(lives.store.unfinished()) == []
    assert len(lives.ended) == RUNS
    lives.check_ends(lives.store)
    for status in lives.ended.values():
        lives.seen[status.value] += 1
    return lives.seen


@pytest.mark.parametrize("block", range(4))
def test_however_processes_die_each_run_that_waits_for_people_ends_once(
    block: int,
) -> None:
    seen: Counter[str] = Counter()
    for seed in range(block * 16, (block + 1) * 16):
        seen += lead_lives(seed)
    kinds = ("completed", "failed", "cancelled", "aside", "coming back")
    assert all(seen[kind] for kind in kinds), seen
