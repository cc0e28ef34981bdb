"""From a file to the models that it describes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from understudy.config.files import DEFAULT_FILE, Described, described, with_fallbacks
from understudy.models.registry import Models, UnknownModelError
from understudy.providers.http_model import HttpModel
from understudy.providers.shared import Providers


def configured_models(path: str | Path = DEFAULT_FILE, *names: str) -> Models:
    """Return the models that a file describes.

    Args:
      path: of the file; see the guide to models for what stands in it.
      names: those that are wanted, with those that stand in for them; all if
        none is named.  The file is checked whole in any case.

    Raises:
      ConfigFileError: the file cannot be read, says what cannot be meant, or
        names a key that is not where it says.
      UnknownModelError: there is no model of a name.
    """
    models = described(path)
    for name in names:
        if name not in models:
            raise UnknownModelError(name, tuple(models))
    return made(with_fallbacks(models, names or models))


def made(models: Iterable[Described]) -> Models:
    """Return the models, with what they share made once.

    Raises:
      ConfigFileError: a key is not where it should be.
    """
    providers = Providers()
    ready: dict[str, HttpModel] = {}
    for model in models:
        model.check_key()
        ready[model.spec.name] = providers.model(model.spec)
    return Models(ready)
