"""What a runtime does for its models: finds them, and hosts the actors they need."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from understudy.models.gated import GatedModel, services_of
from understudy_actors.supervisor import supervisor_child
from understudy_protocols.chat import Model
from understudy_protocols.errors import ConfigError
from understudy_protocols.supervision import ChildSpec, SupervisorSpec


def models_of(given: Mapping[str, Model] | str | Path) -> Mapping[str, Model]:
    """Return the models that a runtime is given, or that a file describes.

    Raises:
      ConfigError: it is neither, the file says what cannot be meant, or a model that is to stand
        in for another is not there.
    """
    # Here, and not when the first step asks one: it takes a while.
    importlib.import_module("understudy.models.bound")
    if isinstance(given, str | Path):
        # What speaks HTTP takes long to load, and many programs do without.
        from understudy.config.models import configured_models

        return configured_models(given)
    _check_mapping(given)
    for name, model in given.items():
        for other in model.fallbacks if isinstance(model, GatedModel) else ():
            if other not in given:
                raise ConfigError(
                    f"the model {name!r} is to fall back to {other!r}, and there is no "
                    f"such model in this runtime, but {', '.join(map(repr, given))}"
                )
    return given


def _check_mapping(given: object) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"models is {given!r}; give models by their names, or the path of a file"
        )


class ModelServices:
    """What *models* need of the runtime that has them."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def begin(self) -> None:
        """Let what stands before the models know that this run of trio may be a new one."""
        life = trio.lowlevel.current_root_task()
        for model in self._models.values():
            if isinstance(model, GatedModel):
                model.gate.begin(life)

    def children(self) -> tuple[ChildSpec, ...]:
        """Return the supervisor of the actors that the models need, if they need any."""
        services: list[ChildSpec] = []
        for model in self._models.values():
            for spec in services_of(model):
                if all(spec.start != other.start for other in services):
                    services.append(_named_apart(spec, services))
        if not services:
            return ()
        return (supervisor_child("models", SupervisorSpec(tuple(services))),)


def _named_apart(spec: ChildSpec, others: list[ChildSpec]) -> ChildSpec:
    """Return *spec* under an id that no other has."""
    taken = {other.id for other in others}
    name, ordinal = spec.id, 1
    while name in taken:
        ordinal += 1
        name = f"{spec.id}-{ordinal}"
    return attrs.evolve(spec, id=name)
