"""Results that come in any order, put back into the order of their inputs."""

from __future__ import annotations


class Reorder:
    """Keeps results back until those before them are there.

    Args:
      ordered: whether it does so at all; if not, each goes on as it comes.

    Attributes:
      oldest: the index of the oldest input without a result.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._kept: dict[int, bytes] = {}
        self.oldest: int = 0

    def put(self, index: int, line: bytes) -> list[bytes]:
        """Take the result of input *index*, and return those whose turn it is."""
        if not self._ordered:
            return [line]
        self._kept[index] = line
        ready: list[bytes] = []
        while self.oldest in self._kept:
            ready.append(self._kept.pop(self.oldest))
            self.oldest += 1
        return ready

    def rest(self) -> list[bytes]:
        """Return what is kept back, in order, with gaps; there will be no more."""
        lines = [self._kept[index] for index in sorted(self._kept)]
        self._kept.clear()
        return lines
