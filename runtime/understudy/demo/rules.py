"""The demo's first tier: words that give a subject away.

A rule is a pattern and the categories that its words stand for; other patterns
tell the urgency.  Which rules spoke, and the urgency they came to, is the
*verdict* of a message.  Nobody guessed how far a verdict can be trusted: it was
counted on other messages of the same data (``prepare.py``), and a verdict that
was too rare there to be counted is no answer.
"""

from __future__ import annotations

import re

import attrs

from understudy.demo.labels import Category, Urgency


@attrs.frozen
class Rule:
    """Words that give a subject away.

    Args:
      name: unique, part of a verdict.
      pattern: sought anywhere in the text in lower case.
    """

    name: str
    categories: tuple[Category, ...]
    pattern: re.Pattern[str]


@attrs.frozen
class Verdict:
    """What the rules say of one text.

    Args:
      name: the rules that spoke and the urgency, as ``cash+fees/low``.
      categories: of all rules that spoke, in the order of ``Category``.
      spans: for each of *categories* where its first words stand in the text.
    """

    name: str
    categories: tuple[Category, ...]
    urgency: Urgency
    spans: tuple[tuple[int, int], ...]


def _rule(name: str, categories: str, pattern: str) -> Rule:
    named = tuple(Category(each) for each in categories.split())
    return Rule(name, named, re.compile(rf"\b(?:{pattern})"))


LONGEST = 2_000
"""Characters of a text that the rules look at: what somebody wants stands near
the beginning, and the time that the patterns take stays bounded."""

RULES = (
    _rule("top_up", "payments", r"top(?:ped|ping|s)?[- ]?up|top it up"),
    _rule("transfer", "payments", r"transf|beneficiary|direct debit|standing order"),
    _rule("payment", "payments", r"payments?\b|cheques?\b|deposit|purchase|salary"),
    _rule("refund", "payments", r"refund|reimburse|charged twice|double charge"),
    _rule("cash", "cash", r"cash\b|atms?\b|withdr"),
    _rule("fees", "fees", r"fees?\b|charge(?:s|d)?\b(?! twice| double)|interests?\b"),
    _rule("rate", "abroad", r"exchange rates?\b"),
    _rule("abroad", "abroad", r"exchang|currenc|abroad|foreign|international|oversea"),
    _rule(
        "card", "card", r"(?:virtual|disposable|physical|spare|new|visa|debit) cards?"
    ),
    _rule("card_use", "card", r"activat|expir|contactless|mastercard"),
    _rule("card_mail", "card", r"card\b.*\b(?:arriv|deliver|track|mail|come)"),
    _rule("card_broken", "card", r"card\b.{0,16}(?:not work|broken|n'?t work)"),
    _rule("gpay", "payments", r"(?:apple|google) ?pay"),
    _rule("identity", "security", r"identi|verif|source of (?:my )?funds"),
    _rule(
        "pin_change",
        "security",
        r"(?:chang|reset|set).{0,16}\bpin\b|pin\b.{0,12}\bchang",
    ),
    _rule("pin", "security", r"pins?\b|pass(?:code|word)"),
    _rule(
        "lost_card",
        "card security",
        r"(?:lost|stole|missing).*\bcard|card\b.*\b(?:lost|stole|missing)",
    ),
    _rule("lost", "security", r"lost\b|stolen|stole\b|theft|fraud|hacked"),
    _rule(
        "not_mine",
        "security",
        r"(?:don'?t|not|didn'?t|never) (?:recogni[sz]e|make|made|authori[sz]e)",
    ),
    _rule(
        "details",
        "account",
        r"(?:chang|updat|edit|modif).{0,12}(?:address|name|details)\b",
    ),
    _rule(
        "account",
        "account",
        r"(?:savings?|current|business) accounts?\b|(?:close|open|delete)\b.{0,9} account|balance\b",
    ),
    _rule("lending", "lending", r"loans?\b|mortgages?\b|overdraft"),
    _rule(
        "booking",
        "booking",
        r"book(?:ed|ing)?\b|reserv|check(?:ing)?[- ](?:in|out)\b|rooms? for",
    ),
    _rule(
        "facilities",
        "facilities",
        r"wi-?fi|towels?|massages?|gym\b|spa\b|pool\b|parking|restaurant|room service|pets?\b|massage|breakfast",
    ),
    _rule(
        "support",
        "support",
        r"appointment|meeting|speak (?:to|with)|talk (?:to|with) (?:a|some)|real person|human",
    ),
)

_HIGH = re.compile(
    r"\b(?:lost|stolen|stole|fraud|theft|hacked|missing card|swallow"
    r"|(?:don'?t|didn'?t|never|not) (?:recogni[sz]e|make|made|authori[sz]e))"
)
_MEDIUM = re.compile(
    r"\b(?:declin|pending|fail|reject|revert|cancel|block|twice|wrong|problem|issue"
    r"|still|hasn'?t|haven'?t|isn'?t|won'?t|doesn'?t|didn'?t|not (?:work|been|show)|broken"
    r"|stuck|unable|close|delete|terminate|freeze|unblock|incorrect|disappear)"
)


def verdict(text: str) -> Verdict | None:
    """Return what the rules say of *text*; None if none of them speaks."""
    lowered = text[:LONGEST].lower().replace("\u2019", "'")
    spoke = [(rule, found) for rule in RULES if (found := rule.pattern.search(lowered))]
    if not spoke:
        return None
    first: dict[Category, tuple[int, int]] = {}
    for rule, found in spoke:
        for category in rule.categories:
            first.setdefault(category, found.span())
    urgency = _urgency(lowered)
    categories = tuple(each for each in Category if each in first)
    return Verdict(
        name=f"{'+'.join(rule.name for rule, _ in spoke)}/{urgency}",
        categories=categories,
        urgency=urgency,
        spans=tuple(first[each] for each in categories),
    )


def _urgency(lowered: str) -> Urgency:
    if _HIGH.search(lowered):
        return Urgency.HIGH
    return Urgency.MEDIUM if _MEDIUM.search(lowered) else Urgency.LOW
