"""What ``import understudy`` loads, and what is loaded when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import understudy

# Whole packages, or modules, that a program need not have.
NOT_NEEDED = (
    "understudy.cli",
    "understudy.config",
    "understudy.engine.book",
    "understudy.engine.durable_runs",
    "understudy.engine.forks",
    "understudy.engine.keeping",
    "understudy.engine.model_services",
    "understudy.engine.recovery",
    "understudy.engine.replay",
    "understudy.engine.requests",
    "understudy.engine.run_journal",
    "understudy.engine.shapes",
    "understudy.fanout",
    "understudy.gates",
    "understudy.journal",
    "understudy.models",
    "understudy.providers",
    "understudy.retrying",
    "understudy.routing",
    "understudy.testing",
    "understudy.workflows.declared_types",
    "understudy.workflows.fingerprint",
    "understudy_actors.behaviour",
    "understudy_actors.ref",
    "understudy_protocols.chat",
    "understudy_protocols.codec",
    "understudy_protocols.journal",
    "cattrs",
    "cryptography",
    "dataclasses",
    "difflib",
    "hypothesis",
    "httpcore",
    "httpx",
    "json",
    "jsonschema",
    "rich",
    "sqlite3",
    "tomllib",
    "typer",
    "zoneinfo",
)

# Written where a new process runs it: it ends with what was loaded while it ran.
WORK = """
import sys, trio
from understudy import Attempt, Context, Runtime, sequence, step

@step
async def ask(context: Context[str], attempt: Attempt) -> str:
    {call}
    return context.input

flow = sequence(ask, name="flow")
{before}
runtime = Runtime(flow, {given})
loaded = set(sys.modules)

async def main() -> None:
    async with runtime:
        assert (await runtime.run(flow, "text")).ok

trio.run(main)
print(*sorted(name for name in set(sys.modules) - loaded if "understudy" in name))
"""


def printed(program: str) -> list[str]:
    """Return the words that a program prints in a process of its own."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.split()


def test_importing_it_loads_nothing_that_only_some_programs_need() -> None:
    loaded = printed(
        "import sys, trio, attrs, msgspec\n"
        "before = set(sys.modules)\n"
        "import understudy\n"
        "print(*(set(sys.modules) - before))"
    )
    assert "understudy.runtime" in loaded
    inside = tuple(f"{name}." for name in NOT_NEEDED)
    found = {one for one in loaded if one in NOT_NEEDED or one.startswith(inside)}
    assert not found


def test_every_public_name_is_there_in_a_new_process() -> None:
    assert set(printed("from understudy import *; print(*globals())")) >= set(
        understudy.__all__
    )
    assert dir(understudy) == sorted(understudy.__all__)


def test_a_name_that_is_loaded_later_is_the_one_in_its_module() -> None:
    from understudy_protocols.chat import Message

    assert understudy.Message is Message


def test_a_name_that_there_is_not_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'understudy' has no attribute 'Rooter'"):
        getattr(understudy, "Rooter")  # noqa: B009 - no checker would let it pass


@pytest.mark.parametrize("models", ["", "models={'m': ScriptedModel(['{\"a\": 1}'])}"])
@pytest.mark.parametrize("durable", [False, True])
def test_a_runtime_has_loaded_what_its_runs_need_before_the_first(
    models: str, durable: bool, tmp_path: Path
) -> None:
    before, call = "", "attempt.emit(0)"
    if models:
        before = "from understudy.models import ScriptedModel"
        call = "await attempt.models['m'].complete('hello', output=dict[str, int])"
    journal = f"journal={str(tmp_path / 'runs.db')!r}," if durable else ""
    given = journal + models
    assert not printed(WORK.format(before=before, call=call, given=given))


def test_a_tag_is_known_whichever_is_loaded_first() -> None:
    for first, second in (
        ("understudy", "understudy_protocols.codec"),
        ("understudy_protocols.codec", "understudy"),
    ):
        program = (
            f"import {first}, {second}\n"
            "from understudy_protocols.codec import decode_json\n"
            """decision = decode_json('[1, {"@understudy.decision": {"route": "a"}}]')\n"""
            "assert decision == understudy.Decision('a')\n"
            """part = decode_json('[1, {"@understudy.text_part": {"text": "a"}}]')\n"""
            "print(decision.route, part.text)"
        )
        assert printed(program) == ["a", "a"]
