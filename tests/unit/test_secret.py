"""A key is shown to nobody, and is where it is said to be or named as missing."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from understudy.providers.secret import Secret
from understudy_protocols.errors import ConfigError

PLANTED = "sk-planted-0123456789"


def test_a_key_is_read_where_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(f"\n {PLANTED}\n")
    monkeypatch.setenv("THE_KEY", f"{PLANTED}\n")
    assert Secret(PLANTED).reveal() == PLANTED
    assert Secret(env="THE_KEY").reveal() == PLANTED
    assert Secret(file=file).reveal() == PLANTED
    assert Secret().reveal() == Secret("").reveal() == ""


def test_a_key_is_not_shown() -> None:
    secret = Secret(PLANTED)
    assert PLANTED not in f"{secret} {secret!r} {[secret]} {secret.where}"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be copied"):
            copied(secret)


def test_keys_kept_in_one_place_are_the_same(tmp_path: Path) -> None:
    assert Secret(PLANTED) == Secret(PLANTED) != Secret("another")
    assert Secret(env="A") == Secret(env="A") != Secret(env="B")
    assert Secret(file=tmp_path) == Secret(file=tmp_path) != Secret(env=str(tmp_path))
    assert len({Secret(env="A"), Secret(env="A"), Secret(), Secret("")}) == 2
    assert Secret("x").given
    assert not Secret("").given


@pytest.mark.parametrize(
    "text", [f"{PLANTED}\nx", f"{PLANTED} x", f"{PLANTED}\u2026", f"\0{PLANTED}", ""]
)
def test_what_no_header_can_carry_is_refused_and_not_repeated(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Secret(file=file).reveal()
    wrong = "has characters that no key has" if text else "is empty"
    assert str(caught.value) == f"the key in {file} {wrong}; put the key alone there"
    assert "planted" not in repr(caught.value.args)


def test_a_key_that_is_not_there_is_said_where_to_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"\$THE_KEY is not set; put the key there"):
        Secret(env="THE_KEY").reveal()
    with pytest.raises(ConfigError, match=r"cannot read the key in .*: FileNotFound"):
        Secret(file=tmp_path / "key").reveal()
    with pytest.raises(ConfigError, match="a key has one place"):
        Secret(env="A", file=tmp_path)


def test_a_key_that_a_server_repeats_is_taken_out_of_what_it_says() -> None:
    said = f"the key {PLANTED} is wrong"
    assert Secret(PLANTED).hide_in(said) == "the key [key] is wrong"
    assert Secret().hide_in(said) == said
    assert Secret(env="NOT_SET").hide_in(said) == said
    # What is so short is no key, and taking it out would leave holes.
    assert Secret("is").hide_in(said) == said
