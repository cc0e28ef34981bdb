"""Runs scenarios through OTP's supervisor, all of them in one Erlang system."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from otp_scenarios import (
    PERIOD,
    Add,
    Call,
    Command,
    End,
    Group,
    Node,
    Scenario,
    Together,
)

from understudy_protocols.supervision import Kill

SOURCE = Path(__file__).parent / "otp" / "differential.erl"
BUILD_SECONDS = 120.0
SECONDS_PER_SCENARIO = 0.25  # a hundred times what one takes


def missing_program() -> str | None:
    """Return which program of Erlang is not here, if one is not."""
    return next((name for name in ("erl", "erlc") if not shutil.which(name)), None)


def run_otp(scenarios: Iterable[Scenario], folder: Path) -> dict[int, list[list[str]]]:
    """Return the steps of each scenario, by seed.

    Args:
      scenarios: what to run.
      folder: where to put what is compiled, read and written; must exist.

    Raises:
      subprocess.CalledProcessError: Erlang failed; the note says how.
      subprocess.TimeoutExpired: it took too long, and was killed.
    """
    terms = [scenario_term(scenario) for scenario in scenarios]
    (folder / "scenarios").write_text("".join(f"{term}.\n" for term in terms))
    _run(["erlc", "-Werror", "-o", ".", str(SOURCE)], folder, BUILD_SECONDS)
    command = ["erl", "-noshell", "-noinput", "-run", SOURCE.stem, "main"]
    timeout = BUILD_SECONDS + SECONDS_PER_SCENARIO * len(terms)
    _run([*command, "scenarios", "told"], folder, timeout)
    return _parsed((folder / "told").read_text())


def _run(command: list[str], folder: Path, timeout: float) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, command)
        error.add_note(done.stdout + done.stderr)
        raise error


def _parsed(told: str) -> dict[int, list[list[str]]]:
    runs: dict[int, list[list[str]]] = {}
    for run in told.split("# ")[1:]:
        number, *lines = run.splitlines()
        steps = runs[int(number)] = []
        for line in lines:
            if line.startswith("> "):
                steps.append([])
            else:
                steps[-1].append(line)
    return runs


# Erlang terms


def scenario_term(scenario: Scenario) -> str:
    """Return *scenario* as differential.erl reads it, without the full stop."""
    commands = ",\n  ".join(map(_command, scenario.commands))
    return f"{{{scenario.seed}, {_node(scenario.root)},\n [{commands}]}}"


def _command(command: Command) -> str:
    match command:
        case End(how, path):
            return f"{{finish, {how.value}, {_path(path)}}}"
        case Together(path, ends):
            listed = ", ".join(f"{{{it.how.value}, {_path(it.path)}}}" for it in ends)
            return f"{{together, {_path(path)}, [{listed}]}}"
        case Call(verb, path, name):
            return f"{{{verb.value}, {_path(path)}, {name}}}"
        case Add(path, node):
            return f"{{start, {_path(path)}, {_node(node)}}}"


def _path(path: str) -> str:
    """Return the ids below the root."""
    return f"[{', '.join(path.split('/')[1:])}]"


def _node(node: Node) -> str:
    inits = ", ".join(init.value for init in node.inits)
    content = "worker" if node.group is None else _group(node.group)
    return (
        f"{{{node.id}, {node.restart.value}, {_shutdown(node.shutdown)}, "
        f"{_bool(node.significant)}, [{inits}], {_bool(node.stops_badly)}, {content}}}"
    )


def _group(group: Group) -> str:
    children = ", ".join(map(_node, group.children))
    return (
        f"{{{group.strategy.value}, {group.intensity}, {PERIOD:.0f}, "
        f"{group.auto_shutdown.value}, [{children}]}}"
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _shutdown(shutdown: float | Kill) -> str:
    if isinstance(shutdown, Kill):
        return "brutal_kill"
    return "infinity" if shutdown == math.inf else f"{shutdown * 1000:.0f}"
