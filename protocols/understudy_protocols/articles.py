"""Articles before the names of types, for those who read what is wrong."""

from __future__ import annotations


def with_article(name: str) -> str:
    """Return *name* behind "a" or "an", as it is mostly said: an int, a UUID."""
    return f"{'an' if name[:1].lower() in {'a', 'e', 'i', 'o'} else 'a'} {name}"
