"""How far the tiers can be trusted: counted by ``prepare.py``, read by them.

Pure: counts in, thresholds out.  All of it is learnt from messages that the demo
does not ship.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import msgspec

from understudy_protocols.errors import CodecError

SEEN_AT_LEAST = 5
"""A verdict of the rules that fewer messages had cannot be counted."""

ASKED = 0.90
"""The share of right answers that a cheaper tier owes among those it gives."""


@attrs.frozen
class Judged:
    """One answer of a tier to a message with known labels.

    Args:
      confidence: what the tier says of its answer; 0 to 1.
      right: whether categories and urgency were all right.
      weight: how much the message counts; above 0.
    """

    confidence: float
    right: bool
    weight: float = 1.0


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tiers know of their own reliability.

    Args:
      verdicts: for each verdict of the rules the share of messages for which it
        was right, shrunk a little towards a half.
      rules_accept: the rules' answer stands from this confidence on.
      small_accept: and that of the small classifier from this one on.
    """

    verdicts: dict[str, float]
    rules_accept: float
    small_accept: float


def read_trust(content: bytes, source: str) -> Trust:
    """Return the trust in *content*.

    Raises:
      CodecError: it is none; the sentence names *source*.
    """
    try:
        return msgspec.json.decode(content, type=Trust)
    except msgspec.DecodeError as error:
        raise CodecError(f"{source} does not hold the tiers' trust: {error}") from error


def count_verdicts(answers: Iterable[tuple[str, bool, float]]) -> Mapping[str, float]:
    """Return how reliable each verdict is that was seen often enough.

    Args:
      answers: of each message the verdict, whether it was right, and the
        message's weight.
    """
    seen: dict[str, list[Judged]] = {}
    for name, right, weight in answers:
        seen.setdefault(name, []).append(Judged(0.0, right, weight))
    return {
        name: round(_shrunk(judged), 3)
        for name, judged in sorted(seen.items())
        if len(judged) >= SEEN_AT_LEAST
    }


def lowest_threshold(answers: Iterable[Judged], asked: float) -> float:
    """Return the lowest confidence from which on *asked* of the answers are right.

    The share is over all answers of that confidence or more, by weight.  If no
    threshold gives it, the result is above 1: no answer is accepted.
    """
    ordered = sorted(answers, key=lambda each: each.confidence, reverse=True)
    threshold, right, whole = 1.01, 0.0, 0.0
    for at, answer in enumerate(ordered):
        right += answer.weight * answer.right
        whole += answer.weight
        # Answers of one confidence are accepted together or not at all.
        last_of_its_kind = (
            at + 1 == len(ordered) or ordered[at + 1].confidence < answer.confidence
        )
        if last_of_its_kind and right >= asked * whole:
            threshold = answer.confidence
    return threshold


def _shrunk(judged: list[Judged]) -> float:
    # Laplace's rule of succession: five out of five is not certainty.
    right = sum(each.weight * each.right for each in judged)
    whole = sum(each.weight for each in judged)
    return (right + 1.0) / (whole + 2.0)
