"""Properties of the linear classifier: naive sums, round trips, any text."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.models.features import COUNTS, counts, presence, tokens
from understudy.models.linear import LinearClassifier
from understudy.models.weights import LinearWeights, read_weights, write_weights
from understudy_protocols.errors import CodecError

WORDS = ("card", "lost", "my", "is", "0", "card lost", "^ my", "lost $", *COUNTS)
NUMBERS = st.integers(-32_767, 32_767)
FLOATS = st.floats(-10, 10, allow_nan=False)


@st.composite
def linear_weights(draw: st.DrawFn) -> LinearWeights:
    labels = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    width = len(labels)
    features = draw(st.lists(st.sampled_from(WORDS), unique=True))
    return LinearWeights(
        labels=tuple(labels),
        one_label=draw(st.booleans()),
        pairs=draw(st.booleans()),
        bias=tuple(draw(FLOATS) for _ in labels),
        scale=tuple(draw(st.floats(0, 0.001)) for _ in labels),
        rows={name: draw(st.tuples(*[NUMBERS] * width)) for name in features},
        fitted={"seed": draw(st.integers(0, 9))},
    )


TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["card", "lost", "my", "is", "7", "?", "!", "."])).map(
        " ".join
    ),
)


@given(weights=linear_weights(), text=TEXTS)
def test_scores_are_the_naive_weighted_sum(weights: LinearWeights, text: str) -> None:
    words = tokens(text)
    present = presence(words, weights.pairs)
    values = {name: 1 / sqrt(len(present)) for name in present}
    values |= counts(text, words)
    expected = [
        bias
        + sum(
            scale * row[at] * values.get(name, 0.0)
            for name, row in weights.rows.items()
        )
        for at, (bias, scale) in enumerate(
            zip(weights.bias, weights.scale, strict=True)
        )
    ]
    assert LinearClassifier(weights).scores(text) == pytest.approx(expected, abs=1e-6)


@given(weights=linear_weights())
def test_weights_survive_their_file(weights: LinearWeights) -> None:
    assert read_weights(write_weights(weights), "w") == weights


@given(weights=linear_weights(), text=TEXTS)
def test_a_classification_is_coherent_for_any_text(
    weights: LinearWeights, text: str
) -> None:
    classified = LinearClassifier(weights).classify(text)
    assert set(classified.labels) <= set(weights.labels)
    assert len(classified.probabilities) == len(weights.labels)
    assert all(0.0 <= chance <= 1.0 for chance in classified.probabilities)
    assert 0.0 <= classified.confidence <= 1.0
    if weights.one_label:
        assert len(classified.labels) == 1


@given(text=st.text())
def test_features_are_distinct_and_lower_case(text: str) -> None:
    words = tokens(text)
    found = presence(words, pairs=True)
    assert len(set(found)) == len(found)
    assert all(counted <= 1.0 for counted in counts(text, words).values())


@given(content=st.binary(max_size=200))
def test_any_bytes_are_weights_or_one_known_error(content: bytes) -> None:
    with pytest.raises(CodecError):
        read_weights(content, "w")
