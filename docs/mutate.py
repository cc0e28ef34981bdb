"""Change the code in small ways, one at a time, and see that some test fails.

``uv run --group mutation python docs/mutate.py [NAME ...]`` does it to the files
of ``mutation.toml``, or to those named.  It prints each change that no test
notices, unless it is in the list of those that make no difference, and fails if
there is one; ``--log FILE`` appends every change, and what noticed it.  No source
is touched: each change lives in a process of its own, which is forked with the
libraries loaded and imports the changed code.

The changes are those of mutmut, and these: a condition is taken for true or for
false, one side of an ``and`` or ``or`` is left out, a statement is left out.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import math
import os
import re
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn, TextIO

import attrs
import cattrs
import httpx
import hypothesis
import libcst as cst
import libcst.matchers as m
import msgspec
import outcome
import pytest
import trio.testing
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "docs" / "mutation.toml"

LOADED = (attrs, cattrs, httpx, hypothesis, msgspec, outcome, pytest, trio.testing)
"""What the tests need and nobody changes: loaded once, before the forks."""

SECONDS, BYTES = 300, 4 * 2**30
"""What the tests of one change may take; taking more is noticed as well."""

DECLARES = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
"""What says what something is, and does nothing."""

KEPT = ("TypeVar", "assert_never", "cast", "isinstance", "len")
"""Calls whose arguments stay: for the type checker, or sure to break."""

ENUM = cst.parse_expression("enum.Enum")
NAMED = m.Call(m.Name("TypeVar")) | m.Subscript(m.Name("Literal"))
TYPE = m.SimpleStatementLine([m.Assign(value=NAMED)])
TYPED = m.If(m.Name("TYPE_CHECKING"))
SLOTS = m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("__slots__"))])])

SQL = re.compile(
    r"\W*(PRAGMA|SELECT|INSERT|UPDATE|DELETE|BEGIN|COMMIT|FROM|WHERE|CASE) "
)
"""How a statement or a part of one begins; in which case makes no difference."""

STORES = (cst.Assign, cst.AnnAssign)

REMOVABLE = (
    *(*STORES, cst.AugAssign, cst.Del, cst.Expr),
    *(cst.Return, cst.Raise, cst.Break, cst.Continue),
)


@attrs.frozen
class Target:
    """A file to change, and the tests that tell of it.

    Attributes:
      file: from the root of the repository.
      tests: patterns of test files; the first are quick, and notice most.
    """

    file: str
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        """Its name for an import; the first folder is a source root."""
        return ".".join(Path(self.file).with_suffix("").parts[1:])

    @property
    def stages(self) -> list[list[str]]:
        """The test files of the first pattern, and those of the others."""
        found = [sorted(map(str, ROOT.glob(pattern))) for pattern in self.tests]
        assert all(found), f"a pattern for {self.file} fits no test"
        return [found[0], *filter(None, [list(chain.from_iterable(found[1:]))])]


# Which changes there are


def mutants(source: str) -> Iterator[str]:
    """Yield *source* with one change, for each change that compiles to another program."""
    module = cst.parse_module(source)
    seen = {_compiled(source)}
    for node in _changeable(module):
        for changed in _changes(node):
            mutant = module.deep_replace(node, changed).code
            code = _compiled(mutant)
            unreachable = "- assert_never(" in difference(source, mutant)
            if code is not None and code not in seen and not unreachable:
                seen.add(code)
                yield mutant


def _changeable(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    children: Sequence[cst.CSTNode] = node.children
    if isinstance(node, cst.ClassDef):
        children = [] if _is_enum(node) else [node.body]
    elif isinstance(node, cst.Assert):
        children = [node.test]
    elif isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
        children = [] if node.func.value in KEPT else children
    for child in children:
        if not isinstance(child, DECLARES) and not m.matches(
            child, TYPE | SLOTS | TYPED
        ):
            yield from _changeable(child)


def _is_enum(node: cst.ClassDef) -> bool:
    return any(base.value.deep_equals(ENUM) for base in node.bases)


def _changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call) and getattr(node.func, "value", None) in KEPT:
        return
    for kind, operator in mutation_operators:
        if isinstance(node, kind) and not _sets_truth(node):
            yield from (it for it in operator(node) if not _same_sql(node, it))
    if isinstance(node, cst.If | cst.CompIf):
        yield node.with_changes(test=cst.Name("True"))
        yield node.with_changes(test=cst.Name("False"))
    elif isinstance(node, cst.BooleanOperation):
        yield node.left
        yield node.right
    elif isinstance(node, cst.SimpleStatementLine) and _is_removable(node.body[0]):
        yield node.with_changes(body=[cst.Pass()])


def _sets_truth(node: cst.CSTNode) -> bool:
    """Whether *node* stores True or False; None instead would make no difference."""
    value = getattr(node, "value", None) if isinstance(node, STORES) else None
    return isinstance(value, cst.Name) and value.value in ("True", "False")


def _same_sql(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    match node, changed:
        case cst.SimpleString(value=one), cst.SimpleString(value=other):
            return SQL.match(one) is not None and one.lower() == other.lower()
        case _:
            return False


def _is_removable(statement: cst.BaseSmallStatement) -> bool:
    match statement:
        case cst.Expr(value=cst.SimpleString()) | cst.AnnAssign(value=None):
            return False
        case _:
            return isinstance(statement, REMOVABLE)


def _compiled(source: str) -> CodeType | None:
    """Return the program, without its line numbers; None if *source* is none."""
    try:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if "lineno" in node._attributes:
                node.lineno = node.end_lineno = 1
                node.col_offset = node.end_col_offset = 0
        return compile(tree, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return None


def difference(source: str, mutant: str) -> str:
    """Return the lines that differ, without their indentation."""
    lines = difflib.unified_diff(source.splitlines(), mutant.splitlines(), n=0)
    changed = [line for line in lines if line[:3] not in ("---", "+++", "@@ ")]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


# Whether a test notices one


class ChangedSource(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets one module be imported from changed source."""

    def __init__(self, target: Target, code: CodeType) -> None:
        self._target = target
        self._code = code

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the one module, and leave all others to the usual finders."""
        if fullname != self._target.module:
            return None
        file = ROOT / self._target.file
        return importlib.util.spec_from_file_location(fullname, file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed code in place of what the file holds."""
        exec(self._code, module.__dict__)  # noqa: S102 # that is what a loader does


class FirstFailure:
    """Notes the name of the test that failed."""

    def __init__(self, note: Path) -> None:
        self._note = note

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note.write_text(report.nodeid)


@attrs.frozen
class Outcome:
    """What the tests made of one source.

    Attributes:
      noticed_by: what noticed the change; None if nothing did.
      seconds: how much processor time it took.
    """

    noticed_by: str | None
    seconds: float


def try_out(
    target: Target, source: str, tests: Sequence[str], seconds: float
) -> Outcome:
    """Run *tests* with this *source*; they may take so many processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds),) * 2)
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
            _become_tests(target, source, tests, note)
        status, took = _end_of(pid)
        if status == 0:
            return Outcome(None, took)
        name = note.read_text() if note.exists() else f"no test: status {status}"
        return Outcome(name, took)


def _become_tests(
    target: Target, source: str, tests: Sequence[str], note: Path
) -> NoReturn:
    status = 70
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.chdir(note.parent)  # whatever it writes goes with the folder
        code = compile(source, str(ROOT / target.file), "exec", dont_inherit=True)
        sys.meta_path.insert(0, ChangedSource(target, code))
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:anyio", "--tb=no"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        status = pytest.main([*options, *tests], [FirstFailure(note)])
    finally:
        os._exit(status)


def _end_of(pid: int) -> tuple[int, float]:
    deadline = time.monotonic() + SECONDS
    done = 0
    while not done:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        done, status, used = os.wait4(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def check(target: Target, known: set[tuple[str, str]], log: TextIO) -> int:
    """Try all changes of *target*; return how many go unnoticed, and print those."""
    source = (ROOT / target.file).read_text()
    seconds = list[float]()
    for tests in target.stages:
        unchanged = try_out(target, source, tests, SECONDS)
        assert unchanged.noticed_by is None, f"{unchanged.noticed_by} fails anyway"
        seconds.append(3 * unchanged.seconds + 3)
    count = same = unnoticed = 0
    for mutant in mutants(source):
        count += 1
        changed = difference(source, mutant)
        by = None
        for tests, enough in zip(target.stages, seconds, strict=True):
            by = by or try_out(target, mutant, tests, enough).noticed_by
        print(f"{target.file}\n{changed}\n=> {by}\n", file=log, flush=True)
        if by is None and (target.file, changed) in known:
            same += 1
        elif by is None:
            unnoticed += 1
            print(f"\n{target.file}\n{changed}", flush=True)
    print(
        f"\n{target.file}: {count} changes, {count - same - unnoticed} noticed, "
        f"{same} without a difference, {unnoticed} unnoticed",
        flush=True,
    )
    return unnoticed


def main() -> int:
    """Check the files named, or all; return 1 if a change goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--log", type=Path, default=os.devnull)
    asked = parser.parse_args()
    log = asked.log.open("a")  # before the folder is another
    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "changes",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("changes")
    config = tomllib.loads(CONFIG.read_text())
    targets = [Target(one["file"], tuple(one["tests"])) for one in config["target"]]
    known = {(it["file"], it["change"].strip()) for it in config.get("same", [])}
    gc.freeze()  # the forks need not look through what is loaded
    names = asked.names or [Path(it.file).stem for it in targets]
    chosen = [it for it in targets if Path(it.file).stem in names]
    return 1 if sum(check(it, known, log) for it in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
