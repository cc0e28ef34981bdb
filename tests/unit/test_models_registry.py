"""`Models` finds a model by name, and says what there is when it does not."""

from __future__ import annotations

import pickle
from typing import cast

import pytest

from understudy.models.registry import Models, UnknownModelError
from understudy.models.scripted import ScriptedModel
from understudy_protocols.chat import Model
from understudy_protocols.errors import ConfigError

FAST, BEST = ScriptedModel([], name="small-1"), ScriptedModel([], name="large-1")


def test_models_are_found_by_their_names() -> None:
    models = Models(fast=FAST, best=BEST)
    assert models["fast"] is FAST
    assert list(models) == ["fast", "best"]
    assert len(models) == 2
    assert "fast" in models
    assert "other" not in models
    assert models.get("other") is None
    assert repr(models) == "Models(fast='small-1', best='large-1')"


def test_names_need_not_be_identifiers() -> None:
    assert Models({"gpt-large": BEST}, fast=FAST)["gpt-large"] is BEST


def test_an_unknown_name_lists_what_is_there() -> None:
    with pytest.raises(UnknownModelError) as caught:
        Models(fast=FAST, best=BEST)["cheap"]
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == ("there is no model 'cheap'; there is 'fast', 'best'")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_no_models_at_all_says_so() -> None:
    with pytest.raises(UnknownModelError, match="there is none"):
        Models()["fast"]


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="'fast' is given twice"):
        Models({"fast": BEST}, fast=FAST)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="'fast' is a str without 'name'"):
        Models(fast=cast("Model", "gpt-large"))
