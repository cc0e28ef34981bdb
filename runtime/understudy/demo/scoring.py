"""How right extractions are, against the gold labels; pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from understudy.demo.extraction import Extraction
from understudy.demo.labels import Gold


@attrs.frozen
class Score:
    """How right a number of extractions are; shares from 0 to 1.

    Args:
      messages: how many were scored.
      answered: how many of them have an extraction; the others count as wrong
        in every way.
      all_right: categories and urgency both right.
      categories_right: exactly the gold categories, none missing, none too many.
      urgency_right: exactly the gold urgency.
      micro_f1: harmonic mean of precision and recall over all single categories.
    """

    messages: int
    answered: int
    all_right: float
    categories_right: float
    urgency_right: float
    micro_f1: float


def is_right(extraction: Extraction, gold: Gold) -> bool:
    """Whether categories and urgency are both right."""
    return (
        extraction.categories == gold.categories and extraction.urgency == gold.urgency
    )


def score(answers: Iterable[tuple[Extraction | None, Gold]]) -> Score:
    """Compare extractions with the gold labels of their messages."""
    messages = answered = both = categories = urgency = shared = named = 0
    for extraction, gold in answers:
        messages += 1
        named += len(gold.categories)
        if extraction is None:
            continue
        answered += 1
        both += is_right(extraction, gold)
        categories += extraction.categories == gold.categories
        urgency += extraction.urgency == gold.urgency
        shared += len(set(extraction.categories) & set(gold.categories))
        named += len(extraction.categories)
    whole = max(1, messages)
    return Score(
        messages=messages,
        answered=answered,
        all_right=both / whole,
        categories_right=categories / whole,
        urgency_right=urgency / whole,
        micro_f1=2 * shared / named if named else 0.0,
    )
