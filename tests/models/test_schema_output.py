"""Outputs that a JSON schema or an attrs class describes, within a step."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Completion,
    ConfigError,
    Context,
    FrozenMap,
    ModelError,
    RunResult,
    Runtime,
    step,
)
from understudy.models.scripted import Line, ScriptedModel
from understudy.models.structured import decode, decode_by, reader_of
from understudy.testing import run_seeded

PERSON: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "ages": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def ask(
    output: Mapping[str, object], *script: Line
) -> tuple[RunResult[Completion[object]], ScriptedModel]:
    model = ScriptedModel(script)

    @step
    async def asking(
        context: Context[None], attempt: Attempt[object]
    ) -> Completion[object]:
        return await attempt.models["m"].complete("who?", output=output)

    async def main() -> RunResult[Completion[object]]:
        async with Runtime(asking, models={"m": model}) as runtime:
            return await runtime.run(asking, None)

    return run_seeded(main, seed=0), model


def test_a_value_that_fits_the_schema_comes_back_frozen() -> None:
    result, model = ask(PERSON, '{"name": "Ada", "ages": [36]}')
    assert result.value.value == {"name": "Ada", "ages": (36,)}
    assert isinstance(result.value.value, FrozenMap)
    (request,) = model.requests
    assert request.output_schema is not None
    assert request.output_schema["required"] == ("name",)


def test_a_value_that_does_not_fit_goes_back_with_the_places() -> None:
    result, model = ask(PERSON, '{"ages": [36, "x", -1]}', '{"name": "Ada"}')
    assert result.value.value == {"name": "Ada"}
    assert result.value.repairs == 1
    told = model.requests[1].messages[-1].text
    assert "'name' is a required property - at `$`" in told
    assert "'x' is not of type 'integer' - at `$.ages[1]`" in told
    assert "-1 is less than the minimum of 0 - at `$.ages[2]`" in told


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "strong"}, "output is no JSON schema"),
        ({"$ref": "http://127.0.0.1:1/other"}, "which is not in it"),
    ],
)
def test_what_is_no_schema_is_refused(
    schema: Mapping[str, object], problem: str
) -> None:
    result, _ = ask(schema, "1")
    assert result.failure is not None
    assert problem in result.failure.message


def test_a_schema_that_refers_into_itself_is_one() -> None:
    tree: Mapping[str, object] = {
        "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
        "$ref": "#/$defs/t",
    }
    result, _ = ask(tree, "[[], [[]]]")
    assert result.value.value == ((), ((),))


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r"install understudy\[schema\]"):
        reader_of({"type": "integer"})


@attrs.frozen
class Person:
    """An attrs class as an output."""

    name: str
    ages: tuple[int, ...] = ()


def test_an_attrs_class_is_a_type_like_any_other() -> None:
    decoded = decode('{"name": "Ada", "ages": [36]}', Person)
    assert decoded.value == Person("Ada", (36,))
    with pytest.raises(ModelError, match=r"Expected `int`, got `str` - at `\$.ages"):
        decode('{"name": "Ada", "ages": ["x"]}', Person)


PERSON_READER = reader_of(PERSON)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.text() | json_values.map(str) | st.just('{"name": "x", }'))
def test_broken_text_is_the_typed_error_or_a_value_that_fits(text: str) -> None:
    try:
        value = decode_by(text, PERSON_READER).value
    except ModelError:
        return
    assert isinstance(value, Mapping)
    assert isinstance(value["name"], str)
