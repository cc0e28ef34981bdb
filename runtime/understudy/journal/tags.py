"""Tags for the classes that workflows declare: nobody has to register them."""

from __future__ import annotations

from collections.abc import Iterable

from understudy_protocols.codec import register_tag, tag_of
from understudy_protocols.errors import ConfigError


def give_tags(classes: Iterable[type]) -> None:
    """Give each class that has no tag its own name as one.

    A class that is defined anew, in the same place, follows its predecessor.

    Raises:
      ConfigError: two of them have the same name, or another class has it as its
        tag.
    """
    holders: dict[str, type] = {}
    for cls in classes:
        name = tag_of(cls) or cls.__name__
        other = holders.setdefault(name, cls)
        if other is not cls:
            raise ConfigError(
                f"{_place(other)} and {_place(cls)} would both be written down as "
                f"{name!r}, and could not be told apart; "
                f"give one of them a name of its own with register_tag"
            )
        register_tag(cls, name)


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
