"""The dead-letter sink: it counts all, reports some, and never fails."""

from __future__ import annotations

from understudy_actors.dead_letters import DeadLetter, DeadLetters


def letter(reason: str = "overflow") -> DeadLetter:
    return DeadLetter("hello", "root/a", reason)


def test_s125_letters_are_counted_by_reason_without_an_observer() -> None:
    sink = DeadLetters()
    for reason in ("overflow", "stopped", "overflow"):
        sink.add(letter(reason))
    assert sink.count == 3
    assert dict(sink.counts) == {"overflow": 2, "stopped": 1}
    assert sink.unreported == 0


def test_s125_the_sink_never_raises() -> None:
    def observer(_: DeadLetter) -> None:
        raise RuntimeError("the log is full")

    sink = DeadLetters(observer, now=lambda: 0.0)
    sink.add(letter())
    sink.add(letter())
    assert (sink.count, sink.observer_failures) == (2, 2)


def test_s125_a_letter_made_by_the_observer_is_not_reported() -> None:
    seen: list[DeadLetter] = []

    def observer(seen_letter: DeadLetter) -> None:
        seen.append(seen_letter)
        sink.add(letter("made by the observer"))

    sink = DeadLetters(observer, now=lambda: 0.0)
    sink.add(letter())
    sink.add(letter())
    assert len(seen) == 2
    assert (sink.count, sink.unreported) == (4, 2)


def test_s125_reports_are_limited_per_period() -> None:
    seen: list[DeadLetter] = []
    time = 0.0
    sink = DeadLetters(seen.append, most=2, period=10.0, now=lambda: time)
    for _ in range(5):
        sink.add(letter())
    assert (len(seen), sink.unreported) == (2, 3)
    time = 9.9
    sink.add(letter())
    assert len(seen) == 2
    time = 10.0
    sink.add(letter())
    assert (len(seen), sink.count) == (3, 7)
