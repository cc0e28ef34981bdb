"""What a tier makes of a message: its sentiment, its issues, how urgent it is."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import islice

import attrs

from understudy.demo.labels import Category, Urgency

QUOTE_LENGTH = 80
"""Characters of a quote at most; a longer one is cut at a word and marked."""

MAX_CLAUSES = 50
"""Clauses of one text at most: what a quote is taken from stays bounded."""

# Marks inside a number or an address part nothing: only those before a space.
_CLAUSE = re.compile(
    r"(?:[^\s.?!;,]|[.?!;,](?![\s.?!;,]|$)|\s(?!(?:and|but|because)\s))+",
    re.IGNORECASE,
)


class Sentiment(StrEnum):
    """The tone of a message."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


@attrs.frozen
class Issue:
    """One thing that a message is about.

    Args:
      quote: the words of the message that speak of it.
    """

    category: Category
    quote: str


@attrs.frozen
class Extraction:
    """What a tier makes of one message.

    Args:
      issues: at least one; in the order of ``Category``, each category once.
      confidence: how probable it is that categories and urgency are all right;
        0 to 1.  The sentiment is not part of it: no data set has gold for it.
    """

    sentiment: Sentiment
    issues: tuple[Issue, ...]
    urgency: Urgency
    confidence: float

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories of the issues."""
        return tuple(issue.category for issue in self.issues)


def clauses(text: str) -> tuple[str, ...]:
    """Return the first clauses of *text*, without the marks that part them.

    A text without any is its own only clause.
    """
    found = (_bare(each.group()) for each in _CLAUSE.finditer(text))
    return tuple(islice(filter(None, found), MAX_CLAUSES)) or (text.strip(),)


def clause_at(text: str, place: int) -> str:
    """Return the clause of *text* in which the character at *place* stands."""
    for found in _CLAUSE.finditer(text):
        if found.start() <= place < found.end():
            return _bare(found.group())
    return text.strip()


def quote(clause: str) -> str:
    """Return *clause*, cut at a word if it is too long to be quoted whole."""
    if len(clause) <= QUOTE_LENGTH:
        return clause
    kept, _, _ = clause[:QUOTE_LENGTH].rpartition(" ")
    return f"{kept or clause[: QUOTE_LENGTH - 1]}\u2026"


def _bare(clause: str) -> str:
    return clause.strip(" \t\r\n.?!;,")
