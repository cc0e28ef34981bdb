"""Prints how right each tier and the cascade are on the demo's own messages.

``python -m understudy.demo.evaluate``; no scikit-learn, no network.  Nothing was
chosen by these figures: thresholds and weights come from other messages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import attrs

from understudy.demo.extraction import Extraction
from understudy.demo.labels import Dataset
from understudy.demo.messages import Message, shipped_messages
from understudy.demo.scoring import Score, score
from understudy.demo.tiers import Tier, accepted, large, rules, small


@attrs.frozen
class Answer:
    """Which tier of the cascade answered a message, and what."""

    message: Message
    tier: Tier
    extraction: Extraction


def cascade(message: Message) -> Answer:
    """Ask the tiers in turn until one is confident enough."""
    for tier, ask in _CHEAP.items():
        answer = ask(message.text)
        if answer is not None and accepted(tier, answer):
            return Answer(message, tier, answer)
    return Answer(message, Tier.LARGE, large(message.text))


def report(messages: Sequence[Message]) -> str:
    """Return the table of all figures for *messages*."""
    answers = [cascade(each) for each in messages]
    rows = [
        (f"{tier} alone", score((ask(each.text), each.gold) for each in messages))
        for tier, ask in (*_CHEAP.items(), (Tier.LARGE, large))
    ]
    rows.append(("cascade", _score(answers)))
    for tier in Tier:
        its = [each for each in answers if each.tier is tier]
        rows.append((f"  answered by {tier}", _score(its)))
    for source in Dataset:
        its = [each for each in answers if each.message.source is source]
        rows.append((f"  from {source}", _score(its)))
    return _table(rows)


def _score(answers: Sequence[Answer]) -> Score:
    return score((each.extraction, each.message.gold) for each in answers)


_CHEAP: dict[Tier, Callable[[str], Extraction | None]] = {
    Tier.RULES: rules,
    Tier.SMALL: small,
}


def _table(rows: Sequence[tuple[str, Score]]) -> str:
    heads = ("messages", "answered", "all right", "categories", "urgency", "micro F1")
    lines = [f"{'':24}" + "".join(f"{head:>12}" for head in heads)]
    for name, each in rows:
        shares = (
            each.all_right,
            each.categories_right,
            each.urgency_right,
            each.micro_f1,
        )
        lines.append(
            f"{name:24}{each.messages:12}{each.answered:12}"
            + "".join(f"{share:12.1%}" for share in shares)
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(report(shipped_messages()))
