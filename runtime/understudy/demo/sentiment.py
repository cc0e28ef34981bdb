"""A small, honest rule for the tone of a message.

It counts words of praise and of complaint, turned round by a "not" just before
them.  No data set here has gold labels for the tone, so nothing measures how
good the rule is, and no figure of the demo counts it.
"""

from __future__ import annotations

from understudy.demo.extraction import Sentiment
from understudy.models.features import tokens

GOOD = frozenset(
    [
        "amazing",
        "appreciate",
        "appreciated",
        "awesome",
        "best",
        "brilliant",
        "excellent",
        "fantastic",
        "glad",
        "good",
        "great",
        "happy",
        "helpful",
        "love",
        "loved",
        "lovely",
        "nice",
        "perfect",
        "pleased",
        "thank",
        "thanks",
        "wonderful",
    ]
)
BAD = frozenset(
    [
        "angry",
        "annoyed",
        "annoying",
        "awful",
        "bad",
        "broken",
        "cheated",
        "confused",
        "disappointed",
        "disappointing",
        "dissatisfied",
        "error",
        "fraud",
        "frustrated",
        "frustrating",
        "hate",
        "horrible",
        "issue",
        "issues",
        "lost",
        "mistake",
        "overcharged",
        "problem",
        "problems",
        "ridiculous",
        "sad",
        "scam",
        "sick",
        "stole",
        "stolen",
        "stuck",
        "terrible",
        "trouble",
        "unacceptable",
        "unhappy",
        "unfair",
        "upset",
        "useless",
        "worried",
        "worst",
        "wrong",
    ]
)
NOT = frozenset(
    [
        "aren't",
        "can't",
        "cannot",
        "didn't",
        "don't",
        "hasn't",
        "haven't",
        "isn't",
        "never",
        "no",
        "not",
        "wasn't",
        "won't",
        "wouldn't",
    ]
)

_REACH = 2


def sentiment(text: str) -> Sentiment:
    """Return the tone of *text*."""
    words = tokens(text)
    balance = 0
    for at, word in enumerate(words):
        if word in GOOD or word in BAD:
            turned = any(each in NOT for each in words[max(0, at - _REACH) : at])
            balance += 1 if (word in GOOD) != turned else -1
    if balance == 0:
        return Sentiment.NEUTRAL
    return Sentiment.POSITIVE if balance > 0 else Sentiment.NEGATIVE
