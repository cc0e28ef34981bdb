"""`Models`: the models of a program, by the names that its steps use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from understudy_protocols.articles import with_article
from understudy_protocols.chat import Model
from understudy_protocols.errors import ConfigError


class UnknownModelError(ConfigError, KeyError):
    """There is no model of that name.

    Attributes:
      name: the name asked for.
      known: the names that there are, in order.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        there = ", ".join(map(repr, self.known)) or "none"
        return f"there is no model {self.name!r}; there is {there}"


class Models(Mapping[str, Model]):
    """A read-only mapping from names to models: ``Models(fast=..., best=...)``.

    Args:
      models: models by name, for names that are no Python identifiers.
      named: models by name; a name may stand in only one of the two.

    Raises:
      ConfigError: a name is given twice, or what it stands for is no model.
    """

    def __init__(
        self, models: Mapping[str, Model] | None = None, /, **named: Model
    ) -> None:
        both = (models or {}).keys() & named.keys()
        if both:
            raise ConfigError(f"the model {min(both)!r} is given twice")
        self._models = {**(models or {}), **named}
        for name, model in self._models.items():
            _check(name, model)

    def __getitem__(self, name: str) -> Model:
        """Return the model called *name*.

        Raises:
          UnknownModelError: there is none; it lists those that there are.
        """
        model = self._models.get(name)
        if model is None:
            raise UnknownModelError(name, tuple(self._models))
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={m.name!r}" for name, m in self._models.items())
        return f"Models({inside})"


def _check(name: str, model: object) -> None:
    for method in ("name", "price", "complete", "stream"):
        if not hasattr(model, method):
            raise ConfigError(
                f"{name!r} is {with_article(type(model).__name__)} without {method!r}, so it is "
                "no model; wrap a function in LocalModel"
            )
