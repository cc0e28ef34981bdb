"""The demo's scheme and the table that maps intents to it."""

from __future__ import annotations

import pytest

from understudy.demo.labels import (
    BANKING77,
    NLUPP,
    TEAMS,
    Category,
    Dataset,
    Gold,
    Urgency,
    gold,
)
from understudy_protocols.errors import ConfigError


def test_the_table_has_every_intent_that_the_data_sets_publish() -> None:
    assert len(BANKING77) == 77
    assert len(NLUPP) == 62


def test_every_intent_of_banking77_names_a_category() -> None:
    """It has one intent a message: without a category there would be no label."""
    assert all(meaning.categories for meaning in BANKING77.values())


def test_every_category_is_named_by_some_intent_and_has_a_team() -> None:
    meanings = [*BANKING77.values(), *NLUPP.values()]
    named = {each for meaning in meanings for each in meaning.categories}
    assert named == set(Category) - {Category.OTHER}
    assert set(TEAMS) == set(Category)
    assert len(set(TEAMS.values())) == len(TEAMS)


def test_urgency_is_high_only_when_something_may_be_in_other_hands() -> None:
    high = {
        intent
        for table in (BANKING77, NLUPP)
        for intent, meaning in table.items()
        if meaning.urgency is Urgency.HIGH
    }
    assert high == {
        "card_payment_not_recognised",
        "card_swallowed",
        "cash_withdrawal_not_recognised",
        "compromised_card",
        "direct_debit_payment_not_recognised",
        "lost_or_stolen_card",
        "lost_or_stolen_phone",
        "lost_stolen",
    }


def test_several_intents_give_all_their_categories_and_the_greatest_urgency() -> None:
    intents = ["withdrawal", "card", "lost_stolen", "wrong_notworking_notshowing"]
    assert gold(Dataset.NLUPP_BANKING, intents) == Gold(
        (Category.CARD, Category.CASH, Category.SECURITY), Urgency.HIGH
    )


def test_intents_that_name_no_subject_are_other() -> None:
    assert gold(Dataset.NLUPP_HOTELS, ["affirm", "when"]) == Gold(
        (Category.OTHER,), Urgency.LOW
    )
    assert gold(Dataset.NLUPP_HOTELS, []).categories == (Category.OTHER,)


def test_an_unknown_intent_is_an_error_and_never_other() -> None:
    with pytest.raises(ConfigError, match="banking77 has no intent 'booking'"):
        gold(Dataset.BANKING77, ["booking"])


def test_urgencies_are_ordered() -> None:
    assert sorted(Urgency, key=lambda each: each.rank) == [
        *(Urgency.LOW, Urgency.MEDIUM, Urgency.HIGH)
    ]
