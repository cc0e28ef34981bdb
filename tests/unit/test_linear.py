"""The linear classifier's inference, against scikit-learn's own numbers."""

from __future__ import annotations

from math import exp
from pathlib import Path

import attrs
import msgspec
import pytest

from understudy.models.linear import LinearClassifier
from understudy.models.weights import LinearWeights, read_weights
from understudy_protocols.errors import CodecError

DATA = Path(__file__).parents[1] / "data"
WEIGHT_FILE = DATA / "linear_golden_weights.json"


class Golden(msgspec.Struct):
    """What scikit-learn 1.9.1 said with the same weights, before rounding."""

    text: str
    scores: tuple[float, ...]
    chances: tuple[float, ...]


GOLDEN = msgspec.json.decode(
    (DATA / "linear_golden_scores.json").read_bytes(), type=list[Golden]
)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda each: each.text)
def test_inference_agrees_with_scikit_learn(golden: Golden) -> None:
    classifier = LinearClassifier(WEIGHT_FILE)
    assert classifier.scores(golden.text) == pytest.approx(golden.scores, abs=1e-3)
    classified = classifier.classify(golden.text)
    assert classified.probabilities == pytest.approx(golden.chances, abs=2e-4)
    assert classified.labels == tuple(
        label
        for label, chance in zip(classifier.labels, golden.chances, strict=True)
        if chance >= 0.5
    )


def test_labels_may_be_any_number_and_confidence_is_of_all_at_once() -> None:
    classifier = LinearClassifier(WEIGHT_FILE)
    classified = classifier.classify("my card has not arrived")
    assert classified.labels == ("card", "urgent")
    card, money, urgent = classified.probabilities
    assert classified.confidence == pytest.approx(card * (1 - money) * urgent)
    assert classifier.classify("thank you.").labels == ()
    assert classifier.probabilities("thank you.") == dict(
        zip(
            classifier.labels,
            classifier.classify("thank you.").probabilities,
            strict=True,
        )
    )


def test_with_one_label_a_text_gets_exactly_the_likeliest() -> None:
    weights = attrs.evolve(LinearClassifier(WEIGHT_FILE).weights, one_label=True)
    classifier = LinearClassifier(weights)
    for text in ("thank you.", "I lost my card", ""):
        classified = classifier.classify(text)
        assert len(classified.labels) == 1
        assert sum(classified.probabilities) == pytest.approx(1.0)
        assert classified.confidence == max(classified.probabilities)


def test_a_text_without_known_words_has_the_chances_of_the_bias() -> None:
    classifier = LinearClassifier(WEIGHT_FILE)
    bias = classifier.weights.bias
    assert classifier.scores("") == pytest.approx(bias)
    chances = [1 / (1 + exp(-each)) for each in bias]
    assert classifier.classify("").probabilities == pytest.approx(chances)


def test_a_huge_score_does_not_overflow() -> None:
    weights = LinearWeights(
        labels=("a", "b"),
        one_label=False,
        pairs=False,
        bias=(1e9, -1e9),
        scale=(1.0, 1.0),
        rows={},
        fitted={},
    )
    assert LinearClassifier(weights).classify("x").labels == ("a",)


def test_weights_are_read_at_first_use_and_once(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    classifier = LinearClassifier(str(path))
    path.write_bytes(WEIGHT_FILE.read_bytes())
    before = classifier.classify("I lost my card")
    path.unlink()
    assert classifier.classify("I lost my card") == before
    assert classifier.weights is classifier.weights


def test_a_missing_weight_file_is_one_clear_sentence(tmp_path: Path) -> None:
    classifier = LinearClassifier(tmp_path / "none.json")
    assert "none.json" in repr(classifier)
    with pytest.raises(CodecError, match=r"none\.json cannot be read: No such file"):
        classifier.classify("hello")


def test_a_damaged_weight_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_bytes(WEIGHT_FILE.read_bytes()[:-40])
    with pytest.raises(CodecError, match=r"w\.json is not a weight file"):
        LinearClassifier(path).classify("hello")


def test_the_golden_weights_are_a_file_of_the_present_version() -> None:
    assert read_weights(WEIGHT_FILE.read_bytes(), "golden").labels == (
        *("card", "money", "urgent"),
    )
