"""Every page runs: its Python, the output it shows, its commands and its links.

The rules for writers of pages:

* The ``python`` blocks of a page are run in order, in one namespace and in an
  empty directory.  Time is virtual.
* A ``text`` block right after one is what it prints, exactly, or with ``...``
  for what may differ.  A block that ends in an error shows its last line.
* A block that begins with a comment like ``# triage.py`` is also a file of that
  name, for the commands of the page; so is a ``toml`` block.
* At ``127.0.0.1:8080`` commands find a server of models that says ``Hello!``.
* A ``console`` block followed by a ``text`` block is run.  Otherwise it is only
  checked that its commands and options exist.
* Links go to files and headings that exist.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import attrs
import pytest
import trio
import trio.testing
import typer.main
from model_server import chat, model_server

from understudy.cli.main import app

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1[ ]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE_NAME = re.compile(r"# (\w+\.(?:py|toml))\n")
SERVER = "127.0.0.1:8080"


@attrs.frozen
class Block:
    """One fenced block; *shown* is the ``text`` block right after it, if any."""

    language: str
    code: str
    line: int
    shown: str | None


def blocks_of(page: str) -> tuple[Block, ...]:
    found = list(FENCE.finditer(page))
    blocks: list[Block] = []
    for index, match in enumerate(found):
        following = found[index + 1] if index + 1 < len(found) else None
        shown = None
        if following is not None and following[2] == "text":
            between = page[match.end() : following.start()]
            # A sentence may stand between the two; a heading may not.
            shown = None if "\n#" in between else following[3]
        line = page.count("\n", 0, match.start()) + 2
        blocks.append(Block(match[2], match[3], line, shown))
    return tuple(blocks)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_blocks(*languages: str) -> list[Path]:
    return [
        page
        for page in PAGES
        if any(b.language in languages for b in blocks_of(page.read_text("utf-8")))
    ]


# ----------------------------------------------------------------- running a page


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pages' own ``trio.run`` use a clock that jumps."""
    really = trio.run

    def run(
        async_fn: Callable[..., Awaitable[T]],
        *args: object,
        clock: trio.abc.Clock | None = None,
    ) -> T:
        jumping = trio.testing.MockClock(autojump_threshold=0)
        return really(partial(async_fn, *args), clock=clock or jumping)

    monkeypatch.setattr(trio, "run", run)


@contextlib.contextmanager
def module_for(page: Path) -> Generator[ModuleType]:
    """Give a page a module of its own, and forget what it imports from its files."""
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    here = str(Path.cwd())
    sys.modules[module.__name__] = module
    sys.path.insert(0, here)
    try:
        yield module
    finally:
        sys.path.remove(here)
        for name, loaded in list(sys.modules.items()):
            if str(getattr(loaded, "__file__", None)).startswith(here):
                del sys.modules[name]
        del sys.modules[module.__name__]


def write_file(block: Block) -> None:
    if (name := FILE_NAME.match(block.code)) is not None:
        Path(name[1]).write_text(block.code, encoding="utf-8")


def run_python(block: Block, page: Path, module: ModuleType) -> str:
    """Return what the block prints, and the last line of the error it ends in."""
    write_file(block)
    # The lines before make tracebacks point into the page.
    source = "\n" * (block.line - 1) + block.code
    code = compile(source, str(page), "exec", dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, module.__dict__)  # noqa: S102 # the page's own code
        except Exception as error:
            if block.shown is None:
                raise
            printed.write(f"{type(error).__name__}: {error}\n")
    return printed.getvalue()


@pytest.fixture(scope="module")
def models_at() -> Generator[str]:
    """Where a server of models is."""
    with model_server() as server:
        server.answers = [chat("Hello!")]
        yield server.url.removeprefix("http://").removesuffix("/v1")


def served(block: Block, address: str) -> Block:
    """Return a block that finds the server of models where it is."""
    return attrs.evolve(block, code=block.code.replace(SERVER, address))


def run_console(block: Block, address: str) -> str:
    printed = ""
    for line in commands_of(served(block, address), "understudy ", "pytest "):
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        printed += done.stdout
    return printed


def commands_of(block: Block, *programs: str) -> list[str]:
    joined = block.code.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(programs)]


def assert_shown(page: Path, block: Block, printed: str) -> None:
    if block.shown is None:
        return
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS
    assert checker.check_output(block.shown, printed, flags), (
        f"{page_id(page)}:{block.line} prints\n{printed}\nand the page shows\n"
        f"{block.shown}"
    )


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("page", with_blocks("python", "console"), ids=page_id)
def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, models_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with module_for(page) as module:
        for block in blocks_of(page.read_text("utf-8")):
            if block.language == "python":
                assert_shown(page, block, run_python(block, page, module))
            elif block.language == "toml":
                write_file(served(block, models_at))
            elif block.language == "console" and block.shown is not None:
                assert_shown(page, block, run_console(block, models_at))


# ------------------------------------------------------------- commands and links


def known_options(name: str) -> set[str]:
    """Return the options of a command of the program, or of the program itself."""
    program = typer.main.get_group(app)
    params = program.params if name.startswith("-") else program.commands[name].params
    for below in getattr(program.commands.get(name), "commands", {}).values():
        params = [*params, *below.params]
    return {option for param in params for option in param.opts} | {"--help"}


def test_commands_and_options_of_the_pages_exist() -> None:
    lines = [
        (page_id(page), line)
        for page in PAGES
        for block in blocks_of(page.read_text("utf-8"))
        if block.language == "console"
        for line in commands_of(block, "understudy ")
    ]
    for page, line in lines:
        words = shlex.split(line, comments=True)[1:]
        options = {w.split("=")[0] for w in words if w.startswith("-") and w != "-"}
        unknown = options - known_options(words[0])
        assert not unknown, f"{page}: {line!r} has the unknown {unknown}"
    assert lines, "the pages show no command at all"


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in HEADING.findall(text)
    }


def links_of(page: Path) -> list[tuple[str, str]]:
    """Return file and heading of each link within the project."""
    targets = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
    inside = [target for target in targets if not re.match(r"\w+:", target)]
    return [(where, anchor) for where, _, anchor in (t.partition("#") for t in inside)]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for where, anchor in links_of(page):
        there = (page.parent / where) if where else page
        assert there.exists(), f"{page_id(page)} links to {where}, which is not there"
        if anchor:
            assert anchor in headings_of(there), f"{page_id(page)}: no {where}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        todo += [page.parent / where for where, _ in links_of(page) if where]
    lost = {page.resolve() for page in PAGES} - reached
    assert not lost, f"no page leads to {sorted(map(page_id, lost))}"


# ---------------------------------------------------------------- the reference


@pytest.fixture
def made_reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    return importlib.import_module("make_reference")


def test_the_reference_is_up_to_date(made_reference: ModuleType) -> None:
    assert made_reference.reference() == made_reference.PAGE.read_text("utf-8"), (
        "run python docs/make_reference.py"
    )


def test_the_reference_has_every_public_name_once(made_reference: ModuleType) -> None:
    page = made_reference.PAGE.read_text("utf-8")
    for name in made_reference.SECTIONS:
        for public in getattr(importlib.import_module(name), "__all__", ()):
            assert page.count(f"#### `{public}`\n") == 1, public
