"""The denominators of messages: two plain trio tasks and a memory channel each way."""

from __future__ import annotations

import math

import trio


class PingPong:
    """Two tasks that hand one message to and fro: two hops in a round."""

    def __init__(self) -> None:
        self._there, self._served = trio.open_memory_channel[int](1)
        self._back, self._here = trio.open_memory_channel[int](1)

    async def serve(self) -> None:
        """Be the other side."""
        async for message in self._served:
            self._back.send_nowait(message)

    async def play(self, rounds: int) -> None:
        """Send a message and wait for it to come back, *rounds* times."""
        for number in range(rounds):
            self._there.send_nowait(number)
            await self._here.receive()


class Bursts:
    """One task that sends many messages at once, and one that takes each.

    Args:
      size: messages in a burst; a count.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._send, self._receive = trio.open_memory_channel[int](math.inf)
        self._done, self._taken = trio.open_memory_channel[None](1)

    async def serve(self) -> None:
        """Take them: one ``receive`` for each."""
        while True:
            for _ in range(self._size):
                await self._receive.receive()
            self._done.send_nowait(None)

    async def serve_drained(self) -> None:
        """Take them: one ``receive`` for the first, and the others without waiting."""
        while True:
            await self._receive.receive()
            for _ in range(self._size - 1):
                self._receive.receive_nowait()
            self._done.send_nowait(None)

    async def send(self, bursts: int) -> None:
        """Send so many bursts, each when the one before was taken."""
        for _ in range(bursts):
            for number in range(self._size):
                self._send.send_nowait(number)
            await self._taken.receive()


class Questions:
    """A task that answers, and one that asks it with a deadline."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_Question](1)

    async def serve(self) -> None:
        """Answer."""
        async for question in self._receive:
            question.answer = question.message
            question.answered.set()

    async def ask(self, questions: int) -> None:
        """Ask so many questions, one after another."""
        for number in range(questions):
            question = _Question(number)
            with trio.fail_after(30.0):
                self._send.send_nowait(question)
                await question.answered.wait()
            assert question.answer == number


class _Question:
    __slots__ = ("answer", "answered", "message")

    def __init__(self, message: int) -> None:
        self.message = message
        self.answer: int | None = None
        self.answered = trio.Event()
