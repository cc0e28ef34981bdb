"""What a linear classifier sees of a text: words, pairs of words, a few counts.

Fitting and use share this file, so a fitted model never meets features that were
made another way.  ``VERSION`` stands in every weight file; it goes up whenever
any text would give other features than before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import sqrt

VERSION = 1

COUNTS = ("#words", "#numbers", "#questions", "#exclamations", "#clauses")
"""Names of the count features.  No word can begin with ``#``."""

MAX_TOKENS = 1_000
"""Words read of one text: what follows is not looked at, so that a very long
text costs no more than this."""

_MAX_CHARACTERS = 20 * MAX_TOKENS
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+")
_BEGINNING = 4
_CAP = 32


def tokens(text: str) -> list[str]:
    """Return the words of *text* in lower case, with ``0`` for each number."""
    plain = text[:_MAX_CHARACTERS].lower().replace("\u2019", "'")
    found = _WORD.findall(plain)[:MAX_TOKENS]
    return ["0" if word[0].isdigit() else word for word in found]


def presence(words: Sequence[str], pairs: bool) -> list[str]:
    """Return the distinct features of *words*, each once.

    They are the words, the first four letters of the longer ones (marked ``~``:
    one feature for "transfer", "transferred" and "transferring"), and with
    *pairs* every two neighbours.  The two ends of a text count as neighbours
    too, because what a message opens with tells what kind of message it is.
    """
    found = dict.fromkeys(words)
    for word in words:
        if len(word) > _BEGINNING:
            found[f"{word[:_BEGINNING]}~"] = None
    if pairs and words:
        before = "^"
        for word in words:
            found[f"{before} {word}"] = None
            before = word
        found[f"{before} $"] = None
    return list(found)


def presence_value(distinct: int) -> float:
    """Return the value that each of *distinct* present features has.

    It gives all texts the same length in feature space (counts aside), so that
    a long text does not shout.
    """
    return 1.0 / sqrt(distinct) if distinct else 0.0


def counts(text: str, words: Sequence[str]) -> Mapping[str, float]:
    """Return the count features of *text*, each squeezed into 0 to 1."""
    return {
        "#words": _squeeze(len(words)),
        "#numbers": _squeeze(words.count("0")),
        "#questions": _squeeze(text.count("?")),
        "#exclamations": _squeeze(text.count("!")),
        "#clauses": _squeeze(text.count(",") + text.count(".") + text.count(";")),
    }


def _squeeze(count: int) -> float:
    return sqrt(min(count, _CAP) / _CAP)
