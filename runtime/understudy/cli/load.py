"""Finds what the command line names: a workflow, models, dependencies."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

import attrs

from understudy.engine.model_services import models_of
from understudy.workflows.naming import FILE_MODULE
from understudy.workflows.nodes import AnyWorkflow, Workflow
from understudy.workflows.seed_steps import HasWorkflow, Runnable, WorkflowStep, as_node
from understudy.workflows.step import Step
from understudy_protocols.articles import with_article
from understudy_protocols.chat import Model
from understudy_protocols.errors import SetupError

T = TypeVar("T")

_SHOWN = 8
"""Names listed in a message; more would hide the sentence."""


@attrs.frozen
class Target:
    """A workflow, and the module that it was found in."""

    workflow: AnyWorkflow
    module: ModuleType


def load_workflow(text: str) -> Target:
    """Return the workflow at ``MODULE_OR_FILE:NAME``.

    Raises:
      SetupError: there is no such thing, or it is no workflow.
    """
    where, name = _split(text)
    module = load_module(where)
    there = workflow_names(module)
    if not name:
        raise SetupError(
            f"{text} names no workflow; write {where}:NAME with {_choice(there)}"
        )
    found = _attribute(module, name, where, there, "workflow")
    if not _is_workflow(found):
        raise SetupError(
            f"{name} in {where} is {with_article(type(found).__name__)} and no workflow; "
            f"name {_choice(there)}"
        )
    return Target(as_node(cast("Runnable", found)), module)


def load_models(text: str | None, module: ModuleType) -> Mapping[str, Model] | None:
    """Return the models at ``MODULE_OR_FILE:NAME``, by default `models` of *module*.

    Args:
      text: or the name of a file that describes them, which ends in ``.toml``.

    Raises:
      SetupError: there is no such thing, or it is no mapping.
    """
    if text is not None and text.endswith(".toml"):
        return models_of(text)
    given = _named_or_default(text, module, "models")
    if given is None or isinstance(given, Mapping):
        return cast("Mapping[str, Model] | None", given)
    raise SetupError(
        f"{text or 'models'} is {with_article(type(given).__name__)}; give a mapping from names to "
        "models, or a function without arguments that returns one"
    )


def load_deps(text: str | None, module: ModuleType) -> object:
    """Return the dependencies at ``MODULE_OR_FILE:NAME``, by default `deps`.

    Raises:
      SetupError: there is no such thing.
    """
    return _named_or_default(text, module, "deps")


def load_module(where: str) -> ModuleType:
    """Import a module by its name, or a file by its path.

    Raises:
      SetupError: it is not there, or raises as it is imported.
    """
    if where.endswith(".py") or os.sep in where:
        return _load_file(where)
    _put_on_path(Path.cwd())
    return _users(lambda: _import(where), f"{where} cannot be imported")


def _import(where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        raise SetupError(
            f"there is no module {where}; give one that Python finds from here, "
            "or the path of a .py file"
        ) from error


def workflow_names(module: ModuleType) -> tuple[str, ...]:
    """Return the names of the workflows of *module*, single steps last."""
    public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    found = [k for k, v in public.items() if _is_workflow(v)]
    return tuple(sorted(found, key=lambda name: isinstance(public[name], Step)))


def _is_workflow(thing: object) -> bool:
    return not isinstance(thing, type) and isinstance(
        thing, Workflow | HasWorkflow | WorkflowStep
    )


def _split(text: str) -> tuple[str, str]:
    where, colon, name = text.rpartition(":")
    return (where, name) if colon else (text, "")


def _load_file(where: str) -> ModuleType:
    path = Path(where)
    if not path.is_file():
        raise SetupError(f"there is no file {where}")
    _put_on_path(path.resolve().parent)
    # By its own name, so that its neighbours can import it and get the same.
    name = path.stem if path.stem not in sys.modules else f"{FILE_MODULE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise SetupError(f"{where} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Annotations are looked up by way of the module's name.
    sys.modules[name] = module
    load = partial(spec.loader.exec_module, module)
    try:
        _users(load, f"{where} cannot be imported")
    except SetupError:
        del sys.modules[name]
        raise
    return module


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _users(code: Callable[[], T], what: str) -> T:
    """Run code of the user's; whatever it raises becomes one sentence.

    The one place here that catches every `Exception`: the code is not ours.
    """
    try:
        return code()
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(f"{what}: {_told(error)}") from error


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError):
        # Its text names file and line.
        return told
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return told + place


def _named_or_default(text: str | None, module: ModuleType, default: str) -> object:
    if text is None:
        found = cast("object", getattr(module, default, None))
        # `from package import models` is no way of giving models.
        return None if isinstance(found, ModuleType) else _made(found, default)
    where, name = _split(text)
    if not name:
        raise SetupError(f"{text} names nothing; write {where}:NAME")
    other = load_module(where)
    there = tuple(k for k in vars(other) if not k.startswith("_"))
    return _made(_attribute(other, name, where, there, default), text)


def _made(found: object, text: str) -> object:
    """Return *found*, or what it returns if it is a function."""
    if not inspect.isfunction(found):
        return found
    make = cast("Callable[[], object]", found)
    if inspect.signature(make).parameters:
        raise SetupError(f"{text} is a function with arguments; it must take none")
    return _users(make, f"{text}() failed")


def _attribute(
    module: ModuleType, name: str, where: str, there: Iterable[str], what: str
) -> object:
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(name, list(there), n=1)
            hint = f"did you mean {close[0]}?" if close else f"name {_choice(there)}"
            raise SetupError(f"there is no {what} {name} in {where}; {hint}")
        found = cast("object", getattr(found, part))
    return found


def _choice(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return "a workflow (there is none in it)"
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"one of: {', '.join(listed[:_SHOWN])}{more}"
