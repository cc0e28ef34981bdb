"""Write ``reference.md`` from the signatures and docstrings of the public names.

``python docs/make_reference.py`` writes it; a test says when it is out of date.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

import attrs

PAGE = Path(__file__).parent / "reference.md"

INTRODUCTION = """\
# Reference

Made from the docstrings by `docs/make_reference.py`. What is named here in the section `understudy` is promised; what lies in
submodules may change. All times are seconds. Every error is an `UnderstudyError`.
"""

SECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "understudy": {
        "Steps": (
            "step",
            "stateful_step",
            "Step",
            "StatefulStep",
            "WorkflowStep",
            "Context",
            "Attempt",
        ),
        "Workflows": (
            "Workflow",
            "sequence",
            "parallel",
            "each",
            "route",
            "cascade",
            "repeat",
            "pause",
            "child",
            "maybe",
            "check",
        ),
        "Joins": ("all_of", "best_effort", "quorum", "first_success", "Outcome"),
        "Routing": ("RoutingPolicy", "Decision", "Router", "LengthTiers"),
        "Running": (
            "Runtime",
            "RunHandle",
            "RunResult",
            "RunStatus",
            "StepResult",
            "AttemptRecord",
            "RunEvent",
            "SupervisionEvent",
            "TreeSnapshot",
        ),
        "Retries, on their own and in steps": (
            "RetryConfig",
            "RetryRule",
            "with_retry",
            "parallel_execute",
        ),
        "Failures": (
            "Failure",
            "FailureMode",
            "Cause",
            "StepError",
            "ModelError",
            "register_failure",
        ),
        "Budgets": ("Budget", "Usage", "Price", "BudgetExceededError"),
        "Calling models": (
            "BoundModels",
            "BoundModel",
            "Completion",
            "Model",
            "ModelRequest",
            "ModelReply",
            "Message",
            "Finish",
            "StreamEvent",
            "TextDelta",
            "Finished",
        ),
        "State": (
            "OrchestrationState",
            "FrozenMap",
            "freeze",
            "thaw",
            "register_type",
        ),
        "Errors": (
            "UnderstudyError",
            "SetupError",
            "ConfigError",
            "InputError",
            "NotFrozenError",
            "WorkflowError",
            "AdmissionError",
            "RunFailed",
            "RetriesExhausted",
            "RuntimeFailed",
        ),
    },
    "understudy.models": {},
    "understudy.testing": {},
    "understudy.testing.fixtures": {"": ("Schedule", "schedule")},
}
"""The names of each module in reading order; those not listed come last."""

HANDED_OUT = {
    "Attempt",
    "BoundModel",
    "BoundModels",
    "Completion",
    "Context",
    "RunHandle",
    "RunResult",
    "Schedule",
    "SupervisionEvent",
    "TreeSnapshot",
    "Step",
    "Workflow",
}
"""Classes that users are given and do not call."""

PLAIN = {"object", "Generic", "Struct"}
"""Base classes that tell a user nothing."""

ALIASES = {
    "StreamEvent": "What the stream of a model yields: pieces of text as `TextDelta`, "
    "and at the end `Finished`.",
}
"""What type aliases mean, which have no docstring of their own."""

PROSE = ("Cancellation", "Returns")
"""Sections of a docstring that are sentences, and no list."""

_HEADING = re.compile(r"^(Args|Attributes|Returns|Raises[^:]*|Cancellation):(.*)$")
_FIELD = re.compile(r"^(\S[^:]{0,60}): (.*)$")


def reference() -> str:
    """Return the whole page."""
    page = "\n".join([INTRODUCTION, *_modules()])
    return re.sub(r"\n{3,}", "\n\n", page).rstrip() + "\n"


def _modules() -> Iterator[str]:
    for name, groups in SECTIONS.items():
        module = importlib.import_module(name)
        yield f"## {name}\n\n{_prose(module)}\n"
        for title, names in (*groups.items(), ("Others", _unlisted(module, groups))):
            if title == "Others" and not groups:
                title = ""
            if names and title:
                yield f"### {title}\n"
            for public in names:
                yield _entry(public, getattr(module, public))


def _unlisted(
    module: ModuleType, groups: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    listed = {name for names in groups.values() for name in names}
    public: Sequence[str] = getattr(module, "__all__", ())
    return tuple(name for name in public if name not in listed)


def _entry(name: str, thing: object) -> str:
    # A fixture wraps the function that says what it is.
    thing = cast("object", getattr(thing, "__wrapped__", thing))
    if name in ALIASES:
        kinds = " | ".join(kind.__name__ for kind in typing.get_args(thing))
        return f"#### `{name}`\n\n```text\n{name} = {kinds}\n```\n\n{ALIASES[name]}\n"
    if not callable(thing):
        return f"#### `{name}`\n\n{_prose(type(thing))}\n"
    parts = [f"#### `{name}`", "", _signed(name, thing), "", _prose(thing), ""]
    if isinstance(thing, type):
        parts += _members(cast("type[object]", thing))
    return "\n".join(parts)


def _signed(name: str, thing: object) -> str:
    kind = "class " if isinstance(thing, type) else ""
    if inspect.iscoroutinefunction(thing):
        kind = "async "
    if isinstance(thing, type) and (name in HANDED_OUT or _has_no_call(thing)):
        bases = ", ".join(
            base.__name__ for base in thing.__bases__ if base.__name__ not in PLAIN
        )
        shown = f"({bases})" if bases else ""
        return f"```text\nclass {name}{shown}\n```"
    return f"```text\n{kind}{name}{_arguments(thing)}\n```"


def _has_no_call(cls: type[object]) -> bool:
    """Whether nobody calls the class, or nothing says how."""
    if issubclass(cls, BaseException):
        return not inspect.isfunction(cls.__init__)
    return issubclass(cls, enum.Enum) or getattr(cls, "_is_protocol", False)


def _arguments(thing: object) -> str:
    """Return the arguments as text, one to a line if they are long."""
    signature = _signature(thing)
    shown: list[str] = []
    keyword_only = False
    before = None
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if before is parameter.POSITIONAL_ONLY and parameter.kind is not before:
            shown.append("/")
        if parameter.kind is parameter.VAR_POSITIONAL:
            keyword_only = True
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
            keyword_only = True
        before = parameter.kind
        shown.append(_parameter(parameter))
    if before is inspect.Parameter.POSITIONAL_ONLY:
        shown.append("/")
    result = _type(signature.return_annotation)
    tail = f" -> {result}" if result and not isinstance(thing, type) else ""
    line = f"({', '.join(shown)}){tail}"
    if len(line) <= 80:
        return line
    return "(\n" + "".join(f"    {one},\n" for one in shown) + f"){tail}"


def _signature(thing: object) -> inspect.Signature:
    """Return the signature, with the types of the first overload if there are any."""
    assert callable(thing), "only what can be called has arguments"
    if typing.is_typeddict(thing):
        keys = inspect.get_annotations(cast("type[object]", thing)).items()
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                inspect.Parameter(key, kind, annotation=shown.__forward_arg__)
                for key, shown in keys
            ]
        )
    whole = inspect.signature(thing)
    overloads = typing.get_overloads(thing)
    if not overloads:
        return whole
    first = inspect.signature(overloads[0])
    if list(first.parameters) != list(whole.parameters):
        return whole.replace(return_annotation=inspect.Signature.empty)
    typed = [
        # Where there is a default, an overload may leave out what it stands for.
        parameter.replace(annotation=first.parameters[name].annotation)
        if parameter.default is parameter.empty
        else parameter
        for name, parameter in whole.parameters.items()
    ]
    return whole.replace(parameters=typed, return_annotation=first.return_annotation)


def _parameter(parameter: inspect.Parameter) -> str:
    declared = _type(parameter.annotation)
    text = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        text = f"*{text}"
    elif parameter.kind is parameter.VAR_KEYWORD:
        text = f"**{text}"
    text += f": {declared}" if declared else ""
    if parameter.default is not parameter.empty:
        text += (" = " if declared else "=") + _default(parameter.default)
    return text


def _type(annotation: object) -> str:
    if annotation is inspect.Signature.empty:
        return ""
    if annotation is None:
        return "None"
    text = annotation if isinstance(annotation, str) else _shown(annotation)
    text = text.replace(" | _Nothing", "").replace("'", '"')
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def _shown(annotation: object) -> str:
    return str(inspect.formatannotation(annotation))


def _default(value: object) -> str:
    if value is attrs.NOTHING or type(value).__name__.startswith("_"):
        return "..."
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str):
        return f'"{value}"'
    simple = value is None or value == () or isinstance(value, bool | int | float)
    return repr(value) if simple else "..."


def _members(cls: type[object]) -> Iterator[str]:
    """Yield what a class offers besides its arguments."""
    if issubclass(cls, enum.Enum):
        said = _said_of_members(cls)
        yield "".join(f"* `{one.name}`{said.get(one.name, '')}\n" for one in cls)
        return
    fields: tuple[attrs.Attribute[object], ...] = getattr(cls, "__attrs_attrs__", ())
    hidden = {field.name for field in fields}
    whole: list[str] = []
    for name, member in _offered(cls).items():
        if name.startswith("_") or name in hidden:
            continue
        if isinstance(member, property):
            yield f"* **`.{name}`** {_first_paragraph(member)}"
            continue
        function = cast("object", getattr(member, "__func__", member))
        if not inspect.isfunction(function):
            continue
        shown = _arguments(function)
        if "\n" in shown or "\n" in (function.__doc__ or ""):
            whole.append(f"**`{cls.__name__}.{name}`**\n")
            whole.append(f"{_signed(name, function)}\n\n{_prose(function)}\n")
        else:
            wait = "await " if inspect.iscoroutinefunction(function) else ""
            yield f"* **`{wait}.{name}{shown}`** {_first_paragraph(function)}"
    yield from ("", *whole)


def _offered(cls: type[object]) -> dict[str, object]:
    """Return what a class defines, with what its base of the same package does."""
    found: dict[str, object] = {}
    for base in cls.__mro__[1::-1]:
        if base is cls or base.__module__.rpartition(".")[0] == "understudy":
            found.update(cast("dict[str, object]", dict(vars(base))))
    return found


def _said_of_members(cls: type[enum.Enum]) -> dict[str, str]:
    """Return what stands under each member in the source, as a clause."""
    (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(parsed, ast.ClassDef), "the source of a class is a class"
    said: dict[str, str] = {}
    for one, below in itertools.pairwise(parsed.body):
        match one, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said[name] = f": {_code(' '.join(text.split()))}"
            case _:
                pass
    return said


def _first_paragraph(thing: object) -> str:
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return _code(" ".join(text.split("\n\n")[0].split()))


def _prose(thing: object) -> str:
    """Return a docstring as Markdown."""
    own = vars(thing).get("__doc__") if isinstance(thing, type) else None
    text = inspect.cleandoc(own or getattr(thing, "__doc__", None) or "")
    text = re.sub(r"::\n\n((?: {4}.*\n|\n)+)", _example, text + "\n")
    return "\n".join(_lines(text)).strip()


def _example(match: re.Match[str]) -> str:
    return f"```text\n{inspect.cleandoc(match[1])}\n```\n\n"


def _lines(text: str) -> Iterator[str]:
    under = ""
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading is not None:
            under = heading[1]
            yield f"\n*{under}*\n"
            if heading[2].strip():
                yield _code(heading[2].strip())
        elif not under or not line.startswith("  "):
            under = under if not line.strip() else ""
            yield _code(line)
        elif under in PROSE:
            yield _code(line.strip())
        elif not line.startswith("    ") and (field := _FIELD.match(line.strip())):
            yield f"* `{field[1]}`: {_code(field[2])}"
        elif line.strip().startswith("Whatever "):
            yield f"* {_code(line.strip())}"
        else:
            yield f"  {_code(line.strip())}"


def _code(line: str) -> str:
    return re.sub(r"(?<!`)``(?!`)", "`", line)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
