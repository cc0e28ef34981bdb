"""The demo's three tiers: rules, a small classifier, a larger one.

Each is a pure function of the text.  They are cheap stand-ins for models only in
their price: the answers are computed, not recorded, and their accuracy is what
it is.  ``accepted`` is the cascade's rule: a cheap answer stands if it is as
confident as was asked of answers on other messages.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from understudy.demo.extraction import (
    Extraction,
    Issue,
    clause_at,
    clauses,
    quote,
)
from understudy.demo.labels import Category, Urgency
from understudy.demo.messages import DATA
from understudy.demo.rules import verdict
from understudy.demo.sentiment import sentiment
from understudy.demo.trust import Trust, read_trust
from understudy.models.linear import Classification, LinearClassifier

MEDIUM_OR_MORE = "urgency:medium"
"""Label of the classifiers for messages of medium or high urgency."""

HIGH = "urgency:high"
"""Label of the classifiers for messages of high urgency."""

SMALL = "small.json"
LARGE = "large.json"
TRUST = "tiers.json"

_SMALL = LinearClassifier(DATA / SMALL)
_LARGE = LinearClassifier(DATA / LARGE)


class Tier(StrEnum):
    """Who may answer, cheapest first."""

    RULES = "rules"
    SMALL = "small"
    LARGE = "large"


def rules(text: str) -> Extraction | None:
    """Return what the rules make of *text*.

    None if none of them speaks, or they speak in a way that was too rare to
    know how far to trust it.
    """
    found = verdict(text)
    if found is None or found.name not in trust().verdicts:
        return None
    issues = (
        Issue(category, quote(clause_at(text, start)))
        for category, (start, _) in zip(found.categories, found.spans, strict=True)
    )
    return Extraction(
        sentiment=sentiment(text),
        issues=tuple(issues),
        urgency=found.urgency,
        confidence=trust().verdicts[found.name],
    )


def small(text: str) -> Extraction:
    """Return what the small classifier makes of *text*: single words only."""
    return extract(_SMALL, text)


def large(text: str) -> Extraction:
    """Return what the larger classifier makes of *text*: pairs of words too."""
    return extract(_LARGE, text)


def accepted(tier: Tier, answer: Extraction | None) -> bool:
    """Whether the cascade takes the *answer* of *tier* and asks no further.

    The last tier's answer always stands.
    """
    if answer is None:
        return False
    if tier is Tier.LARGE:
        return True
    return answer.confidence >= threshold(tier)


def threshold(tier: Tier) -> float:
    """Return the confidence from which on the answers of *tier* stand."""
    match tier:
        case Tier.RULES:
            return trust().rules_accept
        case Tier.SMALL:
            return trust().small_accept
        case Tier.LARGE:
            return 0.0


@cache
def trust() -> Trust:
    """Return what is known of the tiers' reliability, read once."""
    return read_trust((DATA / TRUST).read_bytes(), TRUST)


def extract(classifier: LinearClassifier, text: str) -> Extraction:
    """Return what *classifier* makes of *text*."""
    classified = classifier.classify(text)
    categories, urgency = decode(classified)
    return Extraction(
        sentiment=sentiment(text),
        issues=tuple(
            Issue(category, quote(_loudest(classifier, text, category)))
            for category in categories
        ),
        urgency=urgency,
        confidence=classified.confidence,
    )


def decode(classified: Classification) -> tuple[tuple[Category, ...], Urgency]:
    """Return the categories and the urgency that the labels amount to."""
    categories = tuple(each for each in Category if each in classified.labels)
    urgency = Urgency.LOW
    if HIGH in classified.labels:
        urgency = Urgency.HIGH
    elif MEDIUM_OR_MORE in classified.labels:
        urgency = Urgency.MEDIUM
    return categories or (Category.OTHER,), urgency


def labels_of(categories: tuple[Category, ...], urgency: Urgency) -> tuple[str, ...]:
    """Return the labels that ``decode`` takes back: what classifiers learn."""
    labels = [each.value for each in categories if each is not Category.OTHER]
    if urgency is not Urgency.LOW:
        labels.append(MEDIUM_OR_MORE)
    if urgency is Urgency.HIGH:
        labels.append(HIGH)
    return tuple(labels)


def _loudest(classifier: LinearClassifier, text: str, category: Category) -> str:
    """Return the clause that speaks most of *category*."""
    parts = clauses(text)
    if len(parts) == 1 or category is Category.OTHER:
        return parts[0]
    at = classifier.labels.index(category)
    return max(parts, key=lambda part: classifier.scores(part)[at])
