"""Outputs in layers behave as one dict that is copied at each addition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy_protocols.layers import WIDTH, flattened, layered, look_up
from understudy_protocols.state import OrchestrationState


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(), st.integers(0, 3))),
    st.integers(0, 2500),
)
def test_states_agree_with_dicts_also_when_the_line_forks(
    additions: list[tuple[int, int, int]], size: int
) -> None:
    begun = {f"s{n}": n for n in range(size)}
    line = [(OrchestrationState("run", {}, begun), begun)]
    for name, value, back in additions:
        state, model = line[max(0, len(line) - 1 - back)]
        line.append(
            (state.with_output(f"s{name}", value), {**model, f"s{name}": value})
        )
    for state, model in line[-5:]:
        assert list(state.outputs.items()) == list(model.items())
        assert all(state.get_output(f"s{n}") == model.get(f"s{n}") for n in range(200))


@given(st.integers(0, 40_000))
def test_a_look_up_asks_few_layers_however_many_names_there_are(size: int) -> None:
    newest, layers = layered((f"s{n}", n) for n in range(size))
    assert len(newest) <= WIDTH
    assert len(layers) <= 3
    assert all(len(rank) < WIDTH for rank in layers)
    assert list(flattened(layers, newest)) == [f"s{n}" for n in range(size)]
    assert size == 0 or f"s{size - 1}" in newest
    assert look_up(layers, "none", "default") == "default"
