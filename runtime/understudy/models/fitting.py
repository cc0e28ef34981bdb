"""Fitting the weights of a linear classifier on labelled texts.

The one place that needs scikit-learn.  The same examples, options and releases
give the same weights.  How good they are is found by cross-validation: each
example is judged by a classifier fitted without it and without its look-alikes
(texts of the same words are never parted).
"""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import attrs

from understudy.models.examples import Example
from understudy.models.features import (
    COUNTS,
    counts,
    presence,
    presence_value,
    tokens,
)
from understudy.models.held_out import HeldOut, best_sharpness, judge
from understudy.models.linear import Classification, LinearClassifier
from understudy.models.weights import LinearWeights, whole_numbers
from understudy_protocols.errors import ConfigError

MIN_TEXTS = 2
"""A feature that fewer texts have is left out: it can only be learnt by heart."""


@attrs.frozen
class FitOptions:
    """How to fit.

    Args:
      max_features: words, beginnings and pairs at most; the most frequent stay.
      pairs: whether pairs of words are features.
      looseness: the inverse strength of the L2 penalty (scikit-learn's ``C``),
        above 0; the more texts, the larger it may be.
      folds: parts for cross-validation; 2 or more.
      seed: deals the texts to the folds.
    """

    max_features: int = attrs.field(default=5_000, validator=attrs.validators.ge(1))
    pairs: bool = True
    looseness: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    folds: int = attrs.field(default=5, validator=attrs.validators.ge(2))
    seed: int = 0


@attrs.frozen
class Fitted:
    """A fitted classifier and what is known about it.

    Args:
      judged: for each example what a classifier fitted without it says.
    """

    weights: LinearWeights
    held_out: HeldOut
    judged: tuple[Classification, ...] = attrs.field(repr=False)


class _Logistic(Protocol):
    """The part of scikit-learn's ``LogisticRegression`` that is used here."""

    coef_: Sequence[Sequence[float]]
    intercept_: Sequence[float]

    def fit(
        self, features: object, target: Sequence[bool], sample_weight: Sequence[float]
    ) -> object: ...


@attrs.frozen
class _Solver:
    """Scikit-learn and scipy, loaded only when something is fitted."""

    logistic: Callable[[], _Logistic]
    matrix: Callable[[Sequence[Sequence[tuple[int, float]]], int], object]


def fit(examples: Sequence[Example], options: FitOptions) -> Fitted:
    """Fit a classifier on *examples* and judge it on held-out parts of them.

    Raises:
      ConfigError: scikit-learn is not installed, or the examples cannot be
        fitted on (too few, or a label on all or none of them).
    """
    solver = _load_solver(options)
    labels = _checked_labels(examples, options)
    one_label = all(len(each.labels) == 1 for each in examples)
    deal = [_fold(each.text, options) for each in examples]
    judged_by: list[LinearClassifier] = []
    for fold in range(options.folds):
        rest = [
            each for each, dealt in zip(examples, deal, strict=True) if dealt != fold
        ]
        judged_by.append(
            LinearClassifier(_fit_once(rest, labels, one_label, options, solver))
        )
    scored = [
        judged_by[dealt].scores(each.text)
        for each, dealt in zip(examples, deal, strict=True)
    ]
    wanted = [[label in each.labels for label in labels] for each in examples]
    sharpness = best_sharpness(scored, wanted)
    judges = [
        LinearClassifier(_sharpened(each.weights, sharpness)) for each in judged_by
    ]
    judged = tuple(
        judges[dealt].classify(each.text)
        for each, dealt in zip(examples, deal, strict=True)
    )
    held_out = judge(examples, judged)
    final = _fit_once(examples, labels, one_label, options, solver)
    weights = attrs.evolve(
        _sharpened(final, sharpness), fitted=_provenance(options, held_out, sharpness)
    )
    return Fitted(weights, held_out, judged)


def _load_solver(options: FitOptions) -> _Solver:
    try:
        models = importlib.import_module("sklearn.linear_model")
        sparse = importlib.import_module("scipy.sparse")
    except ImportError as error:
        raise ConfigError(
            "fitting needs scikit-learn: pip install 'understudy[fit]' "
            "(using a fitted classifier does not)"
        ) from error

    def logistic() -> _Logistic:
        made = models.LogisticRegression(C=options.looseness, max_iter=2_000)
        return cast(_Logistic, made)

    def matrix(rows: Sequence[Sequence[tuple[int, float]]], width: int) -> object:
        ends = [0]
        for row in rows:
            ends.append(ends[-1] + len(row))
        places = [place for row in rows for place, _ in row]
        values = [value for row in rows for _, value in row]
        return cast(
            object,
            sparse.csr_matrix((values, places, ends), shape=(len(rows), width)),
        )

    return _Solver(logistic, matrix)


def _checked_labels(
    examples: Sequence[Example], options: FitOptions
) -> tuple[str, ...]:
    """Return all labels, in order of first use in sorted order; or refuse."""
    having = Counter(label for each in examples for label in each.labels)
    if not having:
        raise ConfigError("no example has a label; is the right column named?")
    for label, texts in having.items():
        if texts < options.folds:
            raise ConfigError(
                f"only {texts} examples have the label {label!r}, and each of the "
                f"{options.folds} folds needs one; add examples or drop the label"
            )
        if texts == len(examples):
            raise ConfigError(
                f"all examples have the label {label!r}; there is nothing to tell apart"
            )
    return tuple(sorted(having))


def _fold(text: str, options: FitOptions) -> int:
    dealt = f"{options.seed}\n{' '.join(tokens(text))}".encode()
    return int.from_bytes(hashlib.sha256(dealt).digest()[:8]) % options.folds


def _fit_once(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    one_label: bool,
    options: FitOptions,
    solver: _Solver,
) -> LinearWeights:
    features = _frequent_features(examples, options)
    places = {feature: at for at, feature in enumerate(features)}
    rows = [_values(each.text, places, options.pairs) for each in examples]
    matrix = solver.matrix(rows, len(features))
    columns: list[list[float]] = []
    bias: list[float] = []
    for label in labels:
        model = solver.logistic()
        target = [label in each.labels for each in examples]
        if all(target) or not any(target):
            raise ConfigError(
                f"without one fold, all or no examples have the label {label!r}; "
                "add examples, or take another seed or fewer folds"
            )
        model.fit(matrix, target, sample_weight=[each.weight for each in examples])
        columns.append([float(weight) for weight in model.coef_[0]])
        bias.append(float(model.intercept_[0]))
    scale, numbers = whole_numbers(columns)
    return LinearWeights(
        labels=labels,
        one_label=one_label,
        pairs=options.pairs,
        bias=tuple(bias),
        scale=scale,
        rows=dict(zip(features, numbers, strict=True)),
        fitted={},
    )


def _frequent_features(
    examples: Sequence[Example], options: FitOptions
) -> tuple[str, ...]:
    texts = Counter(
        feature
        for each in examples
        for feature in presence(tokens(each.text), options.pairs)
    )
    # By name among equals, so that the order of the examples does not matter.
    ranked = sorted(texts, key=lambda feature: (-texts[feature], feature))
    kept = [feature for feature in ranked if texts[feature] >= MIN_TEXTS]
    return (*COUNTS, *kept[: options.max_features])


def _values(
    text: str, places: Mapping[str, int], pairs: bool
) -> list[tuple[int, float]]:
    words = tokens(text)
    present = presence(words, pairs)
    value = presence_value(len(present))
    counted = [(places[name], count) for name, count in counts(text, words).items()]
    return counted + [
        (places[feature], value) for feature in present if feature in places
    ]


def _sharpened(weights: LinearWeights, sharpness: float) -> LinearWeights:
    return attrs.evolve(
        weights,
        bias=tuple(sharpness * each for each in weights.bias),
        scale=tuple(sharpness * each for each in weights.scale),
    )


def _provenance(
    options: FitOptions, held_out: HeldOut, sharpness: float
) -> Mapping[str, str | int | float]:
    return {
        "texts": held_out.texts,
        "max_features": options.max_features,
        "looseness": options.looseness,
        "folds": options.folds,
        "seed": options.seed,
        "sharpness": round(sharpness, 4),
        "held_out_exact": round(held_out.exact, 4),
        "held_out_micro_f1": round(held_out.micro_f1, 4),
    }
