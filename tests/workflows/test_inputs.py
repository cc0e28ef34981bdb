"""Inputs: plain data becomes the declared type, and the same id is the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

import attrs
import msgspec
import pytest
from workflow_probe import run, value_of

from understudy import Context, FrozenMap, InputError, Runtime, SetupError, step
from understudy.testing import run_seeded
from understudy.workflows.nodes import AnyWorkflow


@attrs.frozen
class Customer:
    name: str
    tags: tuple[str, ...] = ()


@attrs.frozen
class AttrsOrder:
    customer: Customer
    prices: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class DataclassOrder:
    customer: Customer
    prices: Mapping[str, int]


class StructOrder(msgspec.Struct, frozen=True):
    customer: Customer
    prices: Mapping[str, int]


PLAIN = {"customer": {"name": "Ann", "tags": ["new"]}, "prices": {"tea": 3}}


@step
async def of_attrs(context: Context[AttrsOrder]) -> object:
    return context.input


@step
async def of_dataclass(context: Context[DataclassOrder]) -> object:
    return context.input


@step
async def of_struct(context: Context[StructOrder]) -> object:
    return context.input


@pytest.mark.parametrize(
    ("workflow", "kind"),
    [
        (of_attrs, AttrsOrder),
        (of_dataclass, DataclassOrder),
        (of_struct, StructOrder),
    ],
)
def test_plain_data_becomes_the_declared_class_deeply_frozen(
    workflow: AnyWorkflow, kind: type[AttrsOrder]
) -> None:
    value = cast("AttrsOrder", value_of(workflow, PLAIN))
    assert type(value) is kind
    assert value.customer == Customer("Ann", ("new",))
    assert value.prices == {"tea": 3}
    assert type(value.prices) is FrozenMap


def test_an_instance_is_taken_as_it_is() -> None:
    order = AttrsOrder(Customer("Ann"), FrozenMap({"tea": 3}))
    assert run(of_attrs, order).value is order


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"customer": {"name": "Ann"}}, "missing required field `prices`"),
        ({"customer": {"name": 3}, "prices": {}}, r"\$.customer.name"),
        ("text", "does not fit AttrsOrder"),
        (3, "is an int; give an AttrsOrder"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place_and_nothing_begins(
    plain: object, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        run(of_attrs, plain)
    assert caught.value.what == "the input of of_attrs"


def test_plain_mappings_stay_mappings_frozen() -> None:
    @step
    async def of_mapping(context: Context[Mapping[str, object]]) -> object:
        return context.input

    @step
    async def of_dict(context: Context[dict[str, object]]) -> object:
        return context.input

    for workflow in (of_mapping, of_dict):
        value = value_of(workflow, {"a": [1]})
        assert value == {"a": (1,)}
        assert isinstance(value, FrozenMap)


def test_the_items_of_a_list_become_the_declared_class_too() -> None:
    @step
    async def of_list(context: Context[tuple[Customer, ...]]) -> object:
        return context.input

    value = value_of(of_list, [{"name": "Ann"}, Customer("Bob")])
    assert value == (Customer("Ann"), Customer("Bob"))
    with pytest.raises(InputError, match=r"the input of of_list\[1\]"):
        run(of_list, [{"name": "Ann"}, {}])


def test_the_values_of_a_mapping_become_the_declared_class_too() -> None:
    @step
    async def of_map(context: Context[Mapping[str, Customer]]) -> object:
        return context.input

    value = value_of(of_map, {"a": {"name": "Ann"}})
    assert value == {"a": Customer("Ann")}


def test_the_same_id_with_the_same_input_is_the_same_run() -> None:
    ran = 0

    @step
    async def count(context: Context[str]) -> str:
        nonlocal ran
        ran += 1
        return context.input

    async def main() -> None:
        async with Runtime(count) as runtime:
            first = await runtime.submit(count, "in", run_id="r")
            second = await runtime.submit(count, "in", run_id="r")
            with pytest.raises(SetupError, match="with another input"):
                await runtime.submit(count, "other", run_id="r")
            assert (await first.result()).value == (await second.result()).value

    async def both_at_once() -> None:
        async with Runtime(count) as runtime:
            first = await runtime.submit(count, "in", run_id="r")
            assert (await runtime.run(count, "in", run_id="r")).ok
            assert (await first.result()).ok

    run_seeded(both_at_once, seed=0)
    assert ran == 1
    del main
