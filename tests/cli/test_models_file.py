"""``run`` and ``tree`` take their models from a file that describes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_server import chat, model_server

Command = Callable[..., Any]
Flow = Callable[[str], str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one model, at an address where nobody is."""
    path = tmp_path / "models.toml"
    path.write_text(
        '[models.fast]\nprotocol = "openai"\nmodel = "tiny"\n'
        'base_url = "http://127.0.0.1:1/v1"\n'
    )
    return path


def test_the_models_of_a_run_come_from_a_file(
    command: Command, flow: Flow, file: Path
) -> None:
    with model_server() as server:
        server.answers = [chat("hello to you")]
        file.write_text(file.read_text().replace("http://127.0.0.1:1/v1", server.url))

        said = command("run", flow("ask"), "-", "--models", str(file), stdin='"hi"\n')

    assert said.code == 0
    assert [line["value"] for line in said.lines] == ["hello to you"]
    assert server.seen[0].body["messages"][0]["content"] == "hi"


def test_the_tree_has_the_actors_of_the_models_of_a_file(
    command: Command, flow: Flow, file: Path
) -> None:
    said = command("tree", flow("ask"), "--models", str(file), "--json")

    assert said.code == 0
    tree = json.loads(said.out)
    watchdog, models, workflows = tree["children"]
    assert (watchdog["path"], workflows["path"]) == ("root/watchdog", "root/workflows")
    (client,) = models["children"]
    assert client["path"] == "root/models/127.0.0.1:1|v1"


def test_a_file_that_is_wrong_is_refused_with_its_line(
    command: Command, flow: Flow, file: Path
) -> None:
    file.write_text(file.read_text().replace("model =", "modle ="))

    said = command("run", flow("ask"), "-", "--models", str(file), stdin="")

    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"understudy: {file}:3: models.fast.modle is not known; did you mean model?\n"
    )
