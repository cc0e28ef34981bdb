"""A small text classifier: fitted weights, a weighted sum, a probability a label.

Using one needs nothing but this package; fitting one is ``fit_linear.py``'s
affair.  A message of a dozen words takes some hundredths of a millisecond in
plain Python, where handing it to numpy would already cost more.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from math import exp, prod
from pathlib import Path

import attrs

from understudy.models.features import counts, presence, presence_value, tokens
from understudy.models.weights import LinearWeights, read_weights
from understudy_protocols.errors import CodecError


@attrs.frozen
class Classification:
    """What a classifier says of one text.

    Args:
      labels: the labels it gives, in the order of the weight file; none is an
        answer too, unless the classifier was fitted for exactly one.
      confidence: how probable it is that *all* of that is right, 0 to 1; near
        the share of right answers on texts like those it was fitted on.
      probabilities: how probable each label is; aligned with the classifier's
        ``labels``.
    """

    labels: tuple[str, ...]
    confidence: float
    probabilities: tuple[float, ...]


class LinearClassifier:
    """Gives texts labels by a weighted sum of their words and pairs of words.

    The weights are read at first use, once.  Instances keep no state between
    texts and may be shared freely, also between threads.

    Args:
      source: the weight file, a path or a resource of a package; or weights.

    Raises:
      CodecError: at first use, if the file cannot be read or is not a weight
        file; the sentence says what is wrong and what to do.
    """

    __slots__ = ("_source", "_weights")

    def __init__(self, source: str | Path | Traversable | LinearWeights) -> None:
        self._source = Path(source) if isinstance(source, str) else source
        self._weights: LinearWeights | None = None

    def __repr__(self) -> str:
        return f"LinearClassifier({str(self._source)!r})"

    @property
    def weights(self) -> LinearWeights:
        """The weights, read now if they were not yet."""
        if self._weights is None:
            self._weights = self._read()
        return self._weights

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it tells apart."""
        return self.weights.labels

    def scores(self, text: str) -> tuple[float, ...]:
        """Return the log-odds of each label, aligned with ``labels``."""
        weights = self.weights
        rows = weights.rows
        words = tokens(text)
        present = presence(words, weights.pairs)
        value = presence_value(len(present))
        seen = [row for row in map(rows.get, present) if row is not None]
        totals = [value * total for total in map(sum, zip(*seen, strict=True))]
        if not totals:
            totals = [0.0] * len(weights.labels)
        for name, count in counts(text, words).items():
            if count and (row := rows.get(name)):
                totals = [
                    total + count * each
                    for total, each in zip(totals, row, strict=True)
                ]
        return tuple(
            bias + scale * total
            for bias, scale, total in zip(
                weights.bias, weights.scale, totals, strict=True
            )
        )

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Return how probable each label is for *text*, 0 to 1."""
        classified = self.classify(text)
        return dict(zip(self.labels, classified.probabilities, strict=True))

    def classify(self, text: str) -> Classification:
        """Return the labels of *text*, and how sure that is."""
        chances = tuple(_chance(score) for score in self.scores(text))
        if self.weights.one_label:
            return _one(self.labels, chances)
        return _any_number(self.labels, chances)

    def _read(self) -> LinearWeights:
        source = self._source
        if isinstance(source, LinearWeights):
            return source
        try:
            content = source.read_bytes()
        except OSError as error:
            raise CodecError(
                f"the weight file {source} cannot be read: {error.strerror or error}"
            ) from error
        return read_weights(content, str(source))


def _chance(score: float) -> float:
    # exp overflows above 709; at 30 the chance differs from 1 by 1e-13.
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, score))))


def _any_number(labels: tuple[str, ...], chances: tuple[float, ...]) -> Classification:
    given = tuple(
        label for label, chance in zip(labels, chances, strict=True) if chance >= 0.5
    )
    confidence = prod(max(chance, 1.0 - chance) for chance in chances)
    return Classification(given, confidence, chances)


def _one(labels: tuple[str, ...], chances: tuple[float, ...]) -> Classification:
    # The labels were fitted one against the rest each, so their chances need
    # not add up to one; exactly one being right, they are made to.
    whole = sum(chances)
    shares = tuple(chance / whole for chance in chances)
    best = max(range(len(labels)), key=shares.__getitem__)
    return Classification((labels[best],), shares[best], shares)
