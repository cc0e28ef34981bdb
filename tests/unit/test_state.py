"""The state that travels from step to step."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import attrs
import pytest

from understudy_protocols.errors import (
    ConfigError,
    MissingOutputError,
    NotFrozenError,
    SetupError,
)
from understudy_protocols.frozen import FrozenMap, freeze
from understudy_protocols.layers import WIDTH
from understudy_protocols.state import OrchestrationState

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@attrs.frozen
class Feedback:
    text: str


def _state(outputs: Mapping[str, object] | None = None) -> OrchestrationState:
    return OrchestrationState("run", {"text": "hello"}, outputs, created_at=AT)


def test_created_at_survives_with_output() -> None:
    assert _state().with_output("a", 1).with_output("b", 2).created_at == AT


def test_created_at_is_now_in_utc_by_default() -> None:
    created_at = OrchestrationState("run", {}).created_at
    assert created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)


def test_created_at_is_kept_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5)))
    state = OrchestrationState("run", {}, created_at=there)
    assert state.created_at == AT
    assert state.created_at.tzinfo is UTC


def test_a_naive_created_at_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        OrchestrationState("run", {}, created_at=datetime(2026, 1, 1))


def test_a_missing_required_output_is_an_error_that_lists_what_is_there() -> None:
    state = _state({"research": 1, "outline": 2})
    with pytest.raises(MissingOutputError) as caught:
        state.get_context_for_step("write", ["research", "reserach", "draft"])
    assert caught.value.step == "write"
    assert caught.value.missing == ("reserach", "draft")
    assert caught.value.available == ("research", "outline")
    assert "write needs reserach, draft, but the state holds: research, outline" in str(
        caught.value
    )
    assert isinstance(caught.value, SetupError)


def test_the_error_for_an_empty_state_says_so() -> None:
    with pytest.raises(MissingOutputError, match="no output yet"):
        _state().get_context_for_step("write", ("research",))


def test_a_step_sees_only_what_it_declared() -> None:
    state = _state({"research": (1,), "outline": 2})
    context = state.get_context_for_step("write", ["outline"])
    assert context == {"original_input": {"text": "hello"}, "outline": 2}
    assert type(context) is FrozenMap


def test_names_given_as_one_string_are_refused() -> None:
    with pytest.raises(ConfigError, match="write a tuple"):
        _state().get_context_for_step("write", "research")


def test_what_a_step_returns_cannot_be_changed_in_the_state_by_anyone() -> None:
    issues = [{"title": "late"}]
    state = _state().with_output("extract", issues)
    issues.append({"title": "lost"})
    issues[0]["title"] = "early"
    assert state.outputs["extract"] == ({"title": "late"},)
    with pytest.raises(TypeError):
        cast("Any", state.outputs)["extract"] = 1
    with pytest.raises(TypeError):
        cast("Any", state.get_context_for_step("x", ("extract",)))["extract"][0] = 1


def test_what_the_caller_hands_in_is_frozen_too() -> None:
    inputs: dict[str, object] = {"a": [1]}
    metadata = {"tags": ["x"]}
    outputs = {"b": [2]}
    state = OrchestrationState("run", inputs, outputs, metadata)
    for mine in (inputs, metadata, outputs):
        mine.clear()
    assert state.inputs == {"a": (1,)}
    assert state.metadata == {"tags": ("x",)}
    assert state.outputs == {"b": (2,)}


def test_a_typed_input_keeps_its_type() -> None:
    state = OrchestrationState("run", Feedback("x"))
    assert state.with_output("a", 1).inputs.text == "x"


def test_a_value_that_can_change_is_refused_with_its_path() -> None:
    bad = {"issues": [1, 2, 3, object()]}
    with pytest.raises(NotFrozenError, match=r"^outputs\.extract\.issues\[3\] is of"):
        _state().with_output("extract", bad)
    with pytest.raises(NotFrozenError, match=r"^outputs\.extract\.issues\[3\] is of"):
        _state({"extract": bad})
    with pytest.raises(NotFrozenError, match=r"^inputs\.issues"):
        OrchestrationState("run", bad)
    with pytest.raises(NotFrozenError, match=r"^metadata\.issues"):
        OrchestrationState("run", {}, metadata=bad)


@pytest.mark.parametrize("name", ["", "original_input"])
def test_names_that_cannot_be_told_apart_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        _state().with_output(name, 1)
    with pytest.raises(ConfigError):
        _state({name: 1})


def test_an_empty_task_id_is_refused() -> None:
    with pytest.raises(ConfigError, match="task_id"):
        OrchestrationState("", {})


def test_the_older_state_stays_as_it_was() -> None:
    old = _state({"a": 1})
    new = old.with_output("b", 2)
    assert dict(old.outputs) == {"a": 1}
    assert dict(new.outputs) == {"a": 1, "b": 2}


def test_a_name_written_again_keeps_its_place_and_gets_the_new_value() -> None:
    state = _state({f"s{n}": n for n in range(3 * WIDTH)}).with_output("s1", "new")
    assert list(state.outputs)[:3] == ["s0", "s1", "s2"]
    assert state.outputs["s1"] == "new"
    assert len(state.outputs) == 3 * WIDTH


def test_a_state_cannot_be_assigned_to() -> None:
    state = _state()
    for name in ("task_id", "outputs", "_newest", "anything"):
        with pytest.raises(AttributeError):
            setattr(state, name, 1)
    with pytest.raises(AttributeError):
        del cast("Any", state)._origin
    assert not hasattr(state, "__dict__")


def test_a_frozen_output_is_taken_as_it_is() -> None:
    value = freeze({"a": [1]})
    assert _state().with_frozen_output("x", value).outputs["x"] is value


def test_get_output_gives_a_default_for_what_is_not_there() -> None:
    state = _state({f"s{n}": n for n in range(2 * WIDTH)})
    assert state.get_output("s0") == 0
    assert state.get_output(f"s{2 * WIDTH - 1}") == 2 * WIDTH - 1
    assert state.get_output("none") is None
    assert state.get_output("none", 3) == 3


def test_large_outputs_are_a_read_only_mapping_in_order() -> None:
    names = [f"s{n}" for n in range(2000)]
    outputs = _state({name: name for name in names}).outputs
    assert list(outputs) == names
    assert outputs["s1234"] == "s1234"
    assert "s2000" not in outputs
    with pytest.raises(KeyError, match="s2000"):
        outputs["s2000"]
    assert len(outputs) == 2000
    assert "'s0': 's0'" in repr(outputs)


def test_equal_states_have_one_hash_whatever_way_they_were_made() -> None:
    grown = _state()
    for n in range(100):
        grown = grown.with_output(f"s{n}", n)
    made = _state({f"s{n}": n for n in range(100)})
    assert grown == made
    assert hash(grown) == hash(made)
    assert grown != made.with_output("s0", 1)
    assert grown != 3


def test_a_state_copies_as_itself_and_survives_pickle() -> None:
    state = _state({f"s{n}": (n,) for n in range(100)})
    assert copy.copy(state) is state
    assert copy.deepcopy(state) is state
    assert pickle.loads(pickle.dumps(state)) == state


def test_the_repr_of_a_large_state_is_short() -> None:
    assert repr(_state()) == "OrchestrationState('run', outputs: none)"
    assert repr(_state({f"s{n}": n for n in range(1000)})) == (
        "OrchestrationState('run', outputs: s0, s1, s2, s3, s4, ... 1000 in all)"
    )


def test_other_inputs_begin_a_state_of_the_same_run_without_outputs() -> None:
    state = OrchestrationState("run", {}, {"a": 1}, {"who": "me"}, AT)
    assert state.with_inputs([2]) == OrchestrationState(
        "run", (2,), {}, {"who": "me"}, AT
    )


def test_a_state_can_be_part_of_a_value() -> None:
    state = _state()
    assert freeze([state]) == (state,)
