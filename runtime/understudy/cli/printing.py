"""An answer on standard output: whole, or piece by piece as it comes."""

from __future__ import annotations

import trio

from understudy.cli.exits import say
from understudy.cli.question import piece_of
from understudy.cli.writing import write_out
from understudy.events import RunEvent
from understudy.models.asking import Restarted


class Printed:
    """What of an answer has been printed.

    Args:
      quiet: whether nothing is printed before the end.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = ""  # of the answer that still counts
        self._within_line = False

    async def see(self, event: RunEvent) -> None:
        """Print the piece of the answer that *event* brings, and say why it waits.

        Cancellation: a piece may be printed in part.
        Raises:
          SetupError: standard output cannot be written.
        """
        if self._quiet:
            return
        if event.kind == "waiting":
            self.end_line()
            say(f"understudy: waiting ({event.detail})")
        piece = piece_of(event)
        if isinstance(piece, Restarted):
            self.end_line()
            say(f"understudy: the answer begins again ({piece.reason})")
            self._shown = ""
        elif piece is not None and not piece.reasoning:
            self._shown += piece.text
            self._within_line = not piece.text.endswith("\n")
            # By a thread: whoever reads may be slow, and Ctrl-C has to work.
            await trio.to_thread.run_sync(write_out, piece.text, abandon_on_cancel=True)

    def rest(self, text: str) -> None:
        """Print what is not there yet of the whole *text*.

        Raises:
          SetupError: standard output cannot be written.
        """
        if text and text != self._shown:
            self.end_line()
            self._within_line = not text.endswith("\n")
            write_out(text)
        self.end_line()

    def end_line(self) -> None:
        """End the line, if one was begun."""
        if self._within_line:
            self._within_line = False
            write_out("\n")
