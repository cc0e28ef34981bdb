"""Document analysis: several aspects at once, put together into one report.

The aspects run side by side, and one that fails does not take the others with it: the
report says what is missing, and why.  The texts are real (Python Enhancement Proposals).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import cast

import attrs
import msgspec
import trio

from understudy import (
    Context,
    Outcome,
    RunResult,
    Runtime,
    best_effort,
    parallel,
    sequence,
    step,
)

LIBRARY = Path(__file__).parent / "data" / "peps.jsonl"
WORD = re.compile(r"[A-Za-z][a-z]+")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
ODD = re.compile(r"^PEP:|\n[=~-]{3,}|:$")  # the header, a heading, before code


class Document(msgspec.Struct, frozen=True):
    """A text to analyse."""

    title: str
    text: str


@attrs.frozen
class Readability:
    """How hard a text is to read; a Flesch ease below 30 is for specialists."""

    words_a_sentence: float
    flesch: float


@attrs.frozen
class Report:
    """The aspects of a document, and the reason of each that could not be had."""

    title: str
    aspects: Mapping[str, object]
    failed: Mapping[str, str]


def sentences(text: str) -> list[str]:
    """Return the sentences of the paragraphs that are prose."""
    prose = [p for p in text.split("\n\n") if p[:1].isalpha() and not ODD.search(p)]
    return [s for p in prose for s in SENTENCE.split(" ".join(p.split()))]


@step
async def summary(context: Context[Document]) -> tuple[str, ...]:
    """Extract the two sentences that share most words with the whole text."""
    words = WORD.findall(context.input.text.lower())
    weight = Counter(word for word in words if len(word) > 5)

    def worth(sentence: str) -> float:
        terms = set(WORD.findall(sentence.lower()))
        return sum(weight[term] for term in terms) / (10 + len(sentence.split()))

    found = sentences(context.input.text)
    best = sorted(found, key=worth, reverse=True)[:2]
    return tuple(sentence for sentence in found if sentence in best)


@step
async def entities(context: Context[Document]) -> tuple[str, ...]:
    """Find the names in code marks that the text speaks of most."""
    named = Counter(re.findall(r"``([\w.]+)(?:\(\))?``", context.input.text))
    return tuple(name for name, _ in named.most_common(5))


# Counting syllables is work for a processor: a thread keeps it off the event loop.
@step(thread=True)
def readability(context: Context[Document]) -> Readability:
    """Count words, sentences and (roughly) syllables."""
    found = sentences(context.input.text)
    words = [word for sentence in found for word in WORD.findall(sentence)]
    if not words:
        raise ValueError("the text has no sentence to measure")
    syllables = sum(len(re.findall(r"[aeiouy]+", word.lower())) or 1 for word in words)
    length = len(words) / len(found)
    flesch = 206.835 - 1.015 * length - 84.6 * syllables / len(words)
    return Readability(round(length, 1), round(flesch, 1))


@step
async def dates(context: Context[Document]) -> tuple[date, ...]:
    """Find the dates, oldest first."""
    found = re.findall(r"\b\d{1,2}-[A-Z][a-z]{2}-\d{4}\b", context.input.text)
    return tuple(sorted({datetime.strptime(f, "%d-%b-%Y").date() for f in found}))


aspects = parallel(
    *(summary, entities, readability, dates),
    join=best_effort(),
    name="aspects",
)


@step(needs=(aspects,))
async def aggregate(context: Context[Document]) -> Report:
    """Put together what there is, and say what there is not."""
    ended: Mapping[str, Outcome[object]] = context[aspects]
    return Report(
        title=context.input.title,
        aspects={name: end.value for name, end in ended.items() if end.ok},
        failed={name: str(end.failure) for name, end in ended.items() if not end.ok},
    )


analysis = sequence(aspects, aggregate, name="analysis")


async def run_all() -> tuple[RunResult[Report], ...]:
    """Analyse all documents."""
    documents = msgspec.json.Decoder(Document).decode_lines(LIBRARY.read_bytes())
    async with Runtime(analysis) as runtime:
        return tuple([r async for r in runtime.run_many(analysis, documents)])


def main() -> None:
    """Print each document's report."""
    for result in trio.run(run_all):
        print(f"\n{result.value.title}")
        for name, found in result.value.aspects.items():
            many = isinstance(found, tuple)
            lines = cast("tuple[object, ...]", found) if many else (found,)
            print(f"  {name}: " + "\n    ".join(map(str, lines)))


if __name__ == "__main__":
    main()
