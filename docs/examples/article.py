"""Research and write: each step is given what it needs of the state, and no more.

An article about a topic is put together out of Python Enhancement Proposals: collect
the sections that mention it, research what they say, outline, write.  Nothing is
generated; the point is the context.  What the first step collects is large, and only
the second needs it: the others declare less, and so are given less.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

import attrs
import msgspec
import trio

from understudy import Context, RunResult, Runtime, Workflow, sequence, step, thaw

LIBRARY = Path(__file__).parent / "data" / "peps.jsonl"
HEADING = re.compile(r"^([^\n]+)\n[=-]{3,}$", re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


class Pep(msgspec.Struct, frozen=True):
    """One document of the library."""

    pep: int
    title: str
    text: str


@attrs.frozen
class Assignment:
    """What the article is to be about."""

    topic: str


@attrs.frozen
class Passage:
    """Some words of a document, and the heading that they stand under."""

    pep: int
    heading: str
    text: str


def library() -> tuple[Pep, ...]:
    """Return all documents."""
    return tuple(msgspec.json.Decoder(Pep).decode_lines(LIBRARY.read_bytes()))


def sections(pep: Pep) -> tuple[Passage, ...]:
    """Return the parts of a document that stand under a heading."""
    _, *parts = HEADING.split(pep.text)
    return tuple(
        Passage(pep.pep, heading, text.strip())
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    )


@step
async def collect(context: Context[Assignment]) -> tuple[Passage, ...]:
    """Take every section that mentions the topic; needs the input alone."""
    topic = context.input.topic.lower()
    every = (section for pep in library() for section in sections(pep))
    return tuple(section for section in every if topic in section.text.lower())


@step(needs=(collect,))
async def research(context: Context[Assignment]) -> tuple[Passage, ...]:
    """Take the sentences that mention the topic; the only step that needs it all."""
    topic = context.input.topic.lower()
    return tuple(
        Passage(section.pep, section.heading, sentence)
        for section in context[collect]
        for sentence in sentences(section.text)
        if topic in sentence.lower()
    )


def sentences(text: str) -> list[str]:
    """Return the sentences of the paragraphs that are prose."""
    prose = [p for p in text.split("\n\n") if p and p[0].isalnum() and "::" not in p]
    return [s for p in prose for s in SENTENCE.split(" ".join(p.split()))]


@step(needs=(research,))
async def outline(context: Context[Assignment]) -> tuple[int, ...]:
    """Order the documents: those that say most come first."""
    said = Counter(found.pep for found in context[research])
    return tuple(pep for pep, _ in said.most_common())


@step(needs=(research, outline))
async def write(context: Context[Assignment]) -> str:
    """Write a chapter for each document; what was collected is not needed here."""
    titles = {pep.pep: pep.title for pep in library()}
    chapters = [f"# {context.input.topic.capitalize()}"]
    for number in context[outline]:
        found = [each for each in context[research] if each.pep == number][:3]
        lines = [f"{each.text} ({each.heading})" for each in found]
        chapters.append("\n".join([f"\n## PEP {number}: {titles[number]}", *lines]))
    return "\n".join(chapters)


article = sequence(collect, research, outline, write, name="article")


def saved(result: RunResult[str]) -> tuple[int, int]:
    """Return how many bytes the steps were given, and how many there were to give."""
    size = {name: len(repr(thaw(value))) for name, value in result.outputs.items()}
    given = there = 0
    for needing, before in ((research, 1), (outline, 2), (write, 3)):
        needs = [need for need in needing.needs or () if isinstance(need, Workflow)]
        given += sum(size[need.name] for need in needs)
        there += sum(list(size.values())[:before])
    return given, there


async def run(topic: str) -> RunResult[str]:
    """Write about *topic*."""
    async with Runtime(article) as runtime:
        return await runtime.run(article, Assignment(topic))


def main() -> None:
    """Print an article about the topic given, and what selective context saved."""
    result = trio.run(run, " ".join(sys.argv[1:]) or "asyncio")
    given, there = saved(result)
    for line in result.value.splitlines():
        print(textwrap.fill(line, 80))
    print(
        f"\nThe steps were given {given:,} of {there:,} bytes of context, "
        f"{1 - given / there:.0%} less than all there was."
    )


if __name__ == "__main__":
    main()
