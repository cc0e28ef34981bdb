"""Judging a classifier by what it says of texts it was not fitted on; pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log1p

import attrs

from understudy.models.examples import Example
from understudy.models.linear import Classification


@attrs.frozen
class HeldOut:
    """How good the classifier is on texts it was not fitted on.

    Args:
      texts: how many were judged: all.
      exact: share of texts whose labels are all right and none too many.
      micro_f1: harmonic mean of precision and recall over all labels given.
      confident_half: ``exact`` among the half that it is most confident of.
      mean_confidence: to be compared with ``exact``: equal when well calibrated.
    """

    texts: int
    exact: float
    micro_f1: float
    confident_half: float
    mean_confidence: float


def judge(examples: Sequence[Example], judged: Sequence[Classification]) -> HeldOut:
    """Compare what was *judged* with the labels of the *examples*."""
    right = [
        set(each.labels) == set(said.labels)
        for each, said in zip(examples, judged, strict=True)
    ]
    shared = sum(
        len(set(each.labels) & set(said.labels))
        for each, said in zip(examples, judged, strict=True)
    )
    named = sum(len(each.labels) for each in examples)
    named += sum(len(said.labels) for said in judged)
    by_confidence = sorted(
        range(len(judged)), key=lambda at: judged[at].confidence, reverse=True
    )
    half = by_confidence[: max(1, len(judged) // 2)]
    return HeldOut(
        texts=len(examples),
        exact=sum(right) / len(right),
        micro_f1=2 * shared / named if named else 1.0,
        confident_half=sum(right[at] for at in half) / len(half),
        mean_confidence=sum(said.confidence for said in judged) / len(judged),
    )


def best_sharpness(
    scored: Sequence[Sequence[float]], wanted: Sequence[Sequence[bool]]
) -> float:
    """Return the factor on all scores that makes held-out chances most honest.

    Scores of texts that were not fitted on are too sure of themselves, and this
    one number takes that back: it makes the mean log loss least.  The loss is
    convex in it, so a ternary search finds the place.
    """
    signed = [
        score if is_wanted else -score
        for scores, row in zip(scored, wanted, strict=True)
        for score, is_wanted in zip(scores, row, strict=True)
    ]
    low, high = 0.05, 4.0
    for _ in range(40):
        third = (high - low) / 3
        if _log_loss(signed, low + third) <= _log_loss(signed, high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def _log_loss(signed: Sequence[float], sharpness: float) -> float:
    total = 0.0
    for score in signed:
        sure = sharpness * score
        # log(1 + exp(-x)), written so that a large -x does not overflow.
        total += log1p(exp(-sure)) if sure > -30 else -sure
    return total
