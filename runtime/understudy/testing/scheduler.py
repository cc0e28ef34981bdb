"""The seam to trio's scheduler: the only file that knows its private names.

Trio sorts each batch of runnable tasks and shuffles it with one module-level
generator, but only when a private switch is on; else it merely reverses half
of the batches, and explores next to nothing.  For the length of one run the
switch is turned on here and the generator replaced by a seeded one, which also
sees every batch: so it can put tasks off, record the order, and count rounds.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import random
import sys
import threading
from collections.abc import Callable, Generator, Iterator, MutableSequence
from typing import TypeVar

import trio

from understudy_protocols.errors import SetupError

_T = TypeVar("_T")
_SWITCH = "_ALLOW_DETERMINISTIC_SCHEDULING"
_GENERATOR = "_r"
_MODULE = "trio._core._run"

# The switch and the generator belong to the process, so two seeded runs at once
# would each draw from the other's seed, and neither could be replayed.
_one_at_a_time = threading.Lock()


class SeededOrder(random.Random):
    """Trio's generator for one run: decides who goes first, and remembers it.

    Args:
      seed: the same seed gives the same decisions.
      defer: chance that a runnable task waits one more round, as if it had met
        one checkpoint more; 0 to below 1.
      max_rounds: batches of tasks until *on_too_many* is called; a count.
      on_too_many: called once, between two steps; may wake tasks.
    """

    def __init__(
        self,
        seed: int,
        defer: float,
        max_rounds: int,
        on_too_many: Callable[[], None],
    ) -> None:
        super().__init__(seed)
        self.rounds: int = 0
        self._abort: BaseException | None = None
        self._last_round = 0
        self._defer = defer
        self._max_rounds = max_rounds
        self._on_too_many = on_too_many
        self._names: dict[object, int] = {}
        self._digest: hashlib.blake2b | None = None

    def record(self) -> None:
        """Begin to keep a digest of the order in which tasks run."""
        self._digest = hashlib.blake2b(digest_size=16)

    def signature(self) -> str:
        """Return the digest of the order so far, as hexadecimal digits."""
        assert self._digest is not None, "record() was not called"
        return self._digest.hexdigest()

    def end_after(self, rounds: int, error: BaseException) -> None:
        """Raise *error* out of the loop itself if *rounds* more are asked for.

        It is the last place from which a run can be ended whose tasks swallow
        every cancellation; trio cannot finish those tasks properly then.
        """
        self._abort, self._last_round = error, self.rounds + rounds

    def shuffle(self, x: MutableSequence[_T]) -> None:
        """Order one batch of runnable tasks: trio runs the last one first."""
        if self._abort is not None and self.rounds >= self._last_round:
            raise self._abort
        self.rounds += 1
        if self.rounds == self._max_rounds:
            self._on_too_many()
        if self._digest is not None:
            # Numbered before the shuffle, while the batch is in order of birth:
            # trio's own numbers go on from run to run.
            for task in x:
                self._names.setdefault(task, len(self._names))
        super().shuffle(x)
        if self._defer and len(x) > 1:
            self._put_off(x)
        if self._digest is not None:
            order = ",".join(str(self._names[task]) for task in x)
            self._digest.update(f"{order};".encode())

    def _put_off(self, batch: MutableSequence[_T]) -> None:
        now, late = list[_T](), list[_T]()
        for task in batch:
            (late if self.random() < self._defer else now).append(task)
        if now:
            batch[:] = now
            _run_queue().extend(late)


@contextlib.contextmanager
def seeded_order(order: SeededOrder) -> Generator[None]:
    """Let *order* decide in the trio run started inside, and put all back after.

    Raises:
      SetupError: this trio keeps its scheduler elsewhere, or another seeded run
        is under way in this process.
    """
    namespace = scheduler_namespace()
    if not _one_at_a_time.acquire(blocking=False):
        raise SetupError(
            "another seeded run is under way in this process; trio has one "
            "scheduler generator for all threads, so run them one after the other"
        )
    had_hypothesis = "hypothesis" in sys.modules
    switch, generator = namespace[_SWITCH], namespace[_GENERATOR]
    namespace[_SWITCH], namespace[_GENERATOR] = True, order
    try:
        yield
    finally:
        namespace[_SWITCH], namespace[_GENERATOR] = switch, generator
        _one_at_a_time.release()
        if not had_hypothesis and "hypothesis" in sys.modules:
            _give_hypothesis_its_switch(namespace)
    if not order.rounds:
        raise SetupError(_moved("the generator was never asked for an order"))


def scheduler_namespace() -> dict[str, object]:
    """Return the names of trio's run module, after a look that ours are there.

    Raises:
      SetupError: they are not; the message names the version of trio.
    """
    try:
        namespace: dict[str, object] = vars(importlib.import_module(_MODULE))
    except ImportError as error:
        raise SetupError(_moved(f"there is no {_MODULE}")) from error
    if not isinstance(namespace.get(_SWITCH), bool):
        raise SetupError(_moved(f"there is no switch {_SWITCH}"))
    if not isinstance(namespace.get(_GENERATOR), random.Random):
        raise SetupError(_moved(f"there is no generator {_GENERATOR}"))
    return namespace


def shields_of(task: trio.lowlevel.Task) -> Iterator[trio.CancelScope]:
    """Yield the cancel scopes around *task* that are shielded, innermost first."""
    status: object = getattr(task, "_cancel_status", None)
    while status is not None:
        scope = getattr(status, "_scope", None)
        if not isinstance(scope, trio.CancelScope):
            raise SetupError(_moved("a task's cancel scopes are elsewhere"))
        if scope.shield:
            yield scope
        status = getattr(status, "parent", None)


def _run_queue() -> MutableSequence[object]:
    runner = getattr(scheduler_namespace().get("GLOBAL_RUN_CONTEXT"), "runner", None)
    queue: MutableSequence[object] | None = getattr(runner, "runq", None)
    if queue is None:
        raise SetupError(_moved("the run queue is elsewhere"))
    return queue


def _give_hypothesis_its_switch(namespace: dict[str, object]) -> None:
    # Hypothesis was first imported during the run: its plug-in registered our
    # generator, which is gone now, and found a switch that we turned back.
    setup = namespace.get("_hypothesis_plugin_setup")
    if callable(setup):
        setup()


def _moved(what: str) -> str:
    return (
        f"trio {trio.__version__} does not schedule as the versions known here do: "
        f"{what}; use another version of trio, or a newer understudy"
    )
