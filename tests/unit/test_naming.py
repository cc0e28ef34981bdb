"""Names of functions that mean the same in the next process."""

from __future__ import annotations

import functools
import math
import operator
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from understudy import Context, LengthTiers, Router, named_function, route, step
from understudy.workflows.naming import name_of
from understudy_protocols.errors import ConfigError

HERE = __name__


def short(text: str) -> bool:
    """Whether a text is short."""
    return len(text) < 9


async def later(context: Context[object]) -> str:
    """Choose later."""
    return "left"


class Policy:
    """Something with methods."""

    def __call__(self, text: str) -> bool:
        return False

    def method(self) -> None:
        """Do nothing."""

    @classmethod
    def of_the_class(cls) -> None:
        """Do nothing."""

    @staticmethod
    def of_nobody() -> None:
        """Do nothing."""

    class Inner:
        """One more."""


class Heir(Policy):
    """Inherits all."""


@functools.wraps(short)
def wrapped(text: str) -> bool:
    """See `short`."""
    return short(text)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (short, "short"),
        (later, "later"),
        (Policy, "Policy"),
        (Policy(), "Policy"),
        (Policy.Inner(), "Policy.Inner"),
        (Heir().method, "Heir.method"),
        (Heir.of_the_class, "Heir.of_the_class"),
        (Heir.of_nobody, "Policy.of_nobody"),
        (wrapped, "short"),
    ],
)
def test_what_stands_in_a_module_has_the_name_it_is_imported_by(
    thing: object, name: str
) -> None:
    assert name_of(thing) == f"{HERE}:{name}"


def test_what_is_not_of_the_users_making_has_a_name_too() -> None:
    assert name_of(len) == "builtins:len"
    assert name_of(math.isfinite) == "math:isfinite"
    assert name_of(str.strip) == "builtins:str.strip"
    assert name_of({"a"}.__contains__) == "builtins:set.__contains__"
    assert name_of(LengthTiers()) == "understudy.routing.length_tiers:LengthTiers"


def test_a_router_is_named_by_its_own_class() -> None:
    class Mine(Router):
        """Chooses by itself."""

    assert (
        name_of(Router().as_workflow) == "understudy.routing.router:Router.as_workflow"
    )
    assert name_of(Mine().as_workflow) is None


def _local() -> Callable[[str], bool]:
    def inside(text: str) -> bool:
        return False

    return inside


def _local_object() -> object:
    class Inside:
        """Stands in a function."""

    return Inside()


@pytest.mark.parametrize(
    "thing",
    [
        cast("object", lambda: True),
        _local(),
        _local_object(),
        functools.partial(short, "a"),
        operator.itemgetter(1),
    ],
    ids=["lambda", "function", "object", "partial", "itemgetter"],
)
def test_what_the_next_process_could_not_tell_from_others_has_none(
    thing: object,
) -> None:
    assert name_of(thing) is None


def test_a_function_can_be_given_a_name() -> None:
    def nothing(text: str) -> bool:
        return not text

    empty = named_function("empty", nothing)
    assert empty("")
    assert name_of(empty) == "empty"
    part = named_function("part", functools.partial(operator.add, 1))
    assert part(2) == 3
    assert name_of(part) == "part"


def test_a_named_function_serves_wherever_the_function_itself_would() -> None:
    node = step(named_function("renamed", later))
    assert (node.name, node.output_type) == ("renamed", str)
    assert route(named_function("policy", later), left=node).parts


@pytest.mark.parametrize("name", ["", 3])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="give it a text"):
        named_function(name, short)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigError, match="to be a function, not 3"):
        named_function("three", 3)  # type: ignore[type-var]


def test_a_script_has_the_names_that_its_file_has_when_it_is_imported(
    tmp_path: Path,
) -> None:
    file = tmp_path / "flows.py"
    file.write_text(
        "from understudy.workflows.naming import name_of\n"
        "def good(it): return True\n"
        "print(name_of(good))\n"
    )
    for arguments in ([str(file)], ["-m", "flows"], ["-c", "import flows"]):
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == "flows:good\n"


def test_a_file_whose_name_was_taken_has_its_name_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "json.py"
    file.write_text("def good(it): return True\n")
    found = runpy.run_path(str(file), run_name="understudy_file_json")
    assert name_of(found["good"]) == "json:good"
