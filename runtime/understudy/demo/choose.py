"""Choosing the demo's messages from the data sets, by rule and never by hand.

Every row gets a rank, a hash of a fixed phrase and its words.  The rows with the
lowest ranks that are fit to be shown become the demo's messages; of the others
all that are not near-duplicates of one of those may be fitted on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import attrs

from understudy.demo.labels import Dataset, Gold, gold
from understudy.models.features import tokens

PHRASE = "understudy demo"
"""What is hashed together with a row's words to rank it."""

SHARES: Mapping[Dataset, int] = {
    Dataset.BANKING77: 100,
    Dataset.NLUPP_BANKING: 67,
    Dataset.NLUPP_HOTELS: 33,
}
"""How many messages the demo takes from each; NLU++ in proportion to its rows."""

MIN_WORDS = 4
"""Shorter rows are turns of a dialogue ("just one"), not messages."""

NEAR = 0.75
"""Two texts are near-duplicates when they share this much of their words."""


@attrs.frozen
class Row:
    """A labelled row of a data set.

    Args:
      rank: hexadecimal digest that orders all rows; the same for equal words.
      words: the text's words, as classifiers see them.
    """

    dataset: Dataset
    text: str
    intents: tuple[str, ...]
    rank: str
    words: tuple[str, ...]

    @property
    def id(self) -> str:
        """A short name that does not change with the order of the rows."""
        return f"{self.dataset.replace('_', '-')}-{self.rank[:8]}"

    @property
    def gold(self) -> Gold:
        """What its intents amount to in the demo's scheme."""
        return gold(self.dataset, self.intents)


def row(dataset: Dataset, text: str, intents: Iterable[str]) -> Row:
    """Return the row with its rank."""
    words = tuple(tokens(text))
    ranked = f"{PHRASE}\n{dataset}\n{' '.join(words)}"
    rank = hashlib.sha256(ranked.encode()).hexdigest()
    return Row(dataset, text.strip(), tuple(intents), rank, words)


def digest(words: Sequence[str]) -> str:
    """Return eight hexadecimal digits that stand for a text of these *words*."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:8]


def similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of their distinct words that two texts have in common."""
    left, right = frozenset(one), frozenset(other)
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def choose(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the demo's messages, lowest rank first.

    A row is fit to be shown when it has ``MIN_WORDS`` words, at least one
    intent, and no near-duplicate among the rows already taken.
    """
    taken: list[Row] = []
    left = dict(SHARES)
    for each in sorted(rows, key=lambda one: (one.rank, one.text)):
        if left[each.dataset] and _can_be_shown(each) and not _near_any(each, taken):
            taken.append(each)
            left[each.dataset] -= 1
    return tuple(taken)


def fitting_rows(rows: Iterable[Row], messages: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that may be fitted on, lowest rank first."""
    ordered = sorted(rows, key=lambda one: (one.rank, one.text))
    return tuple(each for each in ordered if not _near_any(each, messages))


def _can_be_shown(candidate: Row) -> bool:
    return len(candidate.words) >= MIN_WORDS and bool(candidate.intents)


def _near_any(candidate: Row, others: Iterable[Row]) -> bool:
    return any(similarity(candidate.words, each.words) >= NEAR for each in others)
