"""The tags of our own classes, until the codec asks for them.

The codec takes a while to load, and to look at each class; a program that writes
nothing down needs neither.
"""

from __future__ import annotations

from typing import Final

waiting: Final[dict[type, str]] = {}
"""The classes that the codec has not taken yet, and their tags."""


def tag_later(cls: type, name: str) -> None:
    """Do what `register_tag` does with a record or enum, when something is written."""
    waiting[cls] = name
