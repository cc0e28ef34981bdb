"""The times of one supervisor: what they hold on to."""

from __future__ import annotations

import gc
import weakref

from understudy_actors.timers import Timers


class Key:
    """Something that can be armed, and seen to go away."""


def test_a_key_that_has_come_due_is_let_go() -> None:
    timers, key = Timers[Key](), Key()
    gone = weakref.ref(key)
    timers.arm(key, 1.0)
    assert timers.take_due(1.0) == [key]
    del key
    gc.collect()
    assert gone() is None


def test_a_key_that_was_armed_again_comes_once_and_is_let_go() -> None:
    timers, key = Timers[Key](), Key()
    gone = weakref.ref(key)
    timers.arm(key, 1.0)
    timers.arm(key, 2.0)
    assert timers.take_due(1.0) == []
    assert timers.take_due(2.0) == [key]
    assert timers.take_due(3.0) == []
    del key
    gc.collect()
    assert gone() is None
