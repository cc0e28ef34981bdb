"""A mapping that grows by one name at a time, each older version staying as it was.

Adding costs the same whatever the size, which no copy of a dict and no hash trie
written for Python gives (``rpds.HashTrieMap.insert`` at 1,000 names costs five
times what it does at 10).  The newest names, at most ``WIDTH``, are a small dict,
copied at each addition.  A full one is put below as a layer; ``WIDTH`` layers of
one size are merged into one of the next, so a look-up asks at most ``WIDTH`` dicts
per power of ``WIDTH``, newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

WIDTH: Final = 32

# Rank by rank, small layers first; inside a rank the oldest layer first.  A layer
# of rank r holds WIDTH ** (r + 1) additions.  Nothing in it is ever changed.
Layers = tuple[tuple[dict[str, object], ...], ...]


def put_below(layers: Layers, newest: dict[str, object]) -> Layers:
    """Return *layers* with a full dict of newest names on top."""
    if not layers:
        return ((newest,),)
    rank = (*layers[0], newest)
    if len(rank) < WIDTH:
        return (rank, *layers[1:])
    merged: dict[str, object] = {}
    for layer in rank:
        merged.update(layer)
    return ((), *put_below(layers[1:], merged))


def look_up(layers: Layers, name: str, default: object) -> object:
    """Return what was last added under *name*, or *default*."""
    for rank in layers:
        for layer in reversed(rank):
            if name in layer:
                return layer[name]
    return default


def flattened(layers: Layers, newest: Mapping[str, object]) -> dict[str, object]:
    """Return all names in the order of their first addition, in a dict of its own."""
    flat: dict[str, object] = {}
    for rank in reversed(layers):
        for layer in rank:
            flat.update(layer)
    flat.update(newest)
    return flat


def layered(
    items: Iterable[tuple[str, object]],
) -> tuple[dict[str, object], Layers]:
    """Split items, oldest first, into the newest names and the layers below."""
    newest: dict[str, object] = {}
    layers: Layers = ()
    for name, value in items:
        if len(newest) >= WIDTH:
            layers, newest = put_below(layers, newest), {}
        newest[name] = value
    return newest, layers


class LayeredMap(Mapping[str, object]):
    """A read-only view of layers: quick to make and ask, put in order when iterated."""

    __slots__ = ("_flat", "_layers", "_newest")

    def __init__(self, newest: dict[str, object], layers: Layers) -> None:
        self._newest = newest
        self._layers = layers
        self._flat: dict[str, object] | None = None

    def __getitem__(self, name: str) -> object:
        if name in self._newest:
            return self._newest[name]
        value = look_up(self._layers, name, _ABSENT)
        if value is _ABSENT:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._ordered())

    def __len__(self) -> int:
        return len(self._ordered())

    def __repr__(self) -> str:
        return f"LayeredMap({self._ordered()!r})"

    def _ordered(self) -> dict[str, object]:
        if self._flat is None:
            self._flat = flattened(self._layers, self._newest)
        return self._flat


_ABSENT: Final = object()
