"""The demo's scheme: categories, teams, urgency, and what each intent means in it.

The two data sets label messages with *intents*: banking77 with one of 77, NLU++
with any number of its own.  A message's gold labels here are a pure function of
its intents: the categories that any of them names, and the greatest urgency
that any of them carries.  The table is total: an intent that is not in it is an
error, never "other".

Three rules kept the table honest:

* A category exists only if both data sets, or one whole domain, can tell it from
  the others.  NLU++ has one intent for transfers, payments and deposits, so all
  three are ``payments`` here, although banking77 could tell them apart.
* A compound intent of banking77 names each thing it is about, as NLU++ would
  have done with several intents: ``transfer_fee_charged`` is payments and fees.
* Urgency says what waiting would cost: ``high`` when somebody else may have the
  money, the card or the keys; ``medium`` when something has gone wrong or is to
  be stopped; ``low`` for the rest.  Only intents decide it, never the tone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs

from understudy_protocols.errors import ConfigError


class Category(StrEnum):
    """What an issue is about."""

    CARD = "card"
    PAYMENTS = "payments"
    CASH = "cash"
    ABROAD = "abroad"
    FEES = "fees"
    SECURITY = "security"
    ACCOUNT = "account"
    LENDING = "lending"
    BOOKING = "booking"
    FACILITIES = "facilities"
    SUPPORT = "support"
    OTHER = "other"


class Urgency(StrEnum):
    """How soon somebody should look at a message."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """Its place in the order low, medium, high; from 0."""
        return tuple(Urgency).index(self)


TEAMS: Mapping[Category, str] = MappingProxyType(
    {
        Category.CARD: "Cards",
        Category.PAYMENTS: "Payments",
        Category.CASH: "Cash and ATMs",
        Category.ABROAD: "Foreign exchange",
        Category.FEES: "Billing",
        Category.SECURITY: "Fraud and identity",
        Category.ACCOUNT: "Accounts",
        Category.LENDING: "Lending",
        Category.BOOKING: "Reservations",
        Category.FACILITIES: "Guest services",
        Category.SUPPORT: "Branch and call centre",
        Category.OTHER: "Front desk",
    }
)
"""The team that answers for each category; total."""


class Dataset(StrEnum):
    """Whose intents a message is labelled with."""

    BANKING77 = "banking77"
    NLUPP_BANKING = "nlupp_banking"
    NLUPP_HOTELS = "nlupp_hotels"


@attrs.frozen
class Gold:
    """What a message's labels say.

    Args:
      categories: in the order of ``Category``, each once; ``(OTHER,)`` if the
        intents name none.
      urgency: the greatest that any intent carries.
    """

    categories: tuple[Category, ...]
    urgency: Urgency


def _meanings(table: str) -> Mapping[str, Gold]:
    """Read lines of ``intent: category category / urgency``.

    No category means that the intent alone says nothing about the subject.
    """
    meanings: dict[str, Gold] = {}
    for line in table.split("\n"):
        if line:
            intent, _, meaning = line.partition(":")
            named, _, urgency = meaning.partition("/")
            meanings[intent] = Gold(
                tuple(Category(name) for name in named.split()),
                Urgency(urgency.strip()),
            )
    return MappingProxyType(meanings)


BANKING77 = _meanings("""
Refund_not_showing_up: payments / medium
activate_my_card: card / low
age_limit: account / low
apple_pay_or_google_pay: payments / low
atm_support: cash / low
automatic_top_up: payments / low
balance_not_updated_after_bank_transfer: payments / medium
balance_not_updated_after_cheque_or_cash_deposit: payments / medium
beneficiary_not_allowed: payments / medium
cancel_transfer: payments / medium
card_about_to_expire: card / low
card_acceptance: card / low
card_arrival: card / medium
card_delivery_estimate: card / low
card_linking: card / low
card_not_working: card / medium
card_payment_fee_charged: payments fees / low
card_payment_not_recognised: payments security / high
card_payment_wrong_exchange_rate: payments abroad / medium
card_swallowed: card cash / high
cash_withdrawal_charge: cash fees / low
cash_withdrawal_not_recognised: cash security / high
change_pin: security / low
compromised_card: card security / high
contactless_not_working: card / medium
country_support: abroad / low
declined_card_payment: payments / medium
declined_cash_withdrawal: cash / medium
declined_transfer: payments / medium
direct_debit_payment_not_recognised: payments security / high
disposable_card_limits: card / low
edit_personal_details: account / low
exchange_charge: abroad fees / low
exchange_rate: abroad / low
exchange_via_app: abroad / low
extra_charge_on_statement: fees / medium
failed_transfer: payments / medium
fiat_currency_support: abroad / low
get_disposable_virtual_card: card / low
get_physical_card: card / low
getting_spare_card: card / low
getting_virtual_card: card / low
lost_or_stolen_card: card security / high
lost_or_stolen_phone: security / high
order_physical_card: card / low
passcode_forgotten: security / medium
pending_card_payment: payments / medium
pending_cash_withdrawal: cash / medium
pending_top_up: payments / medium
pending_transfer: payments / medium
pin_blocked: security / medium
receiving_money: payments / low
request_refund: payments / low
reverted_card_payment?: payments / medium
supported_cards_and_currencies: payments abroad / low
terminate_account: account / medium
top_up_by_bank_transfer_charge: payments fees / low
top_up_by_card_charge: payments fees / low
top_up_by_cash_or_cheque: payments / low
top_up_failed: payments / medium
top_up_limits: payments / low
top_up_reverted: payments / medium
topping_up_by_card: payments / low
transaction_charged_twice: payments / medium
transfer_fee_charged: payments fees / low
transfer_into_account: payments / low
transfer_not_received_by_recipient: payments / medium
transfer_timing: payments / low
unable_to_verify_identity: security / medium
verify_my_identity: security / low
verify_source_of_funds: security / low
verify_top_up: payments security / low
virtual_card_not_working: card / medium
visa_or_mastercard: card / low
why_verify_identity: security / low
wrong_amount_of_cash_received: cash / medium
wrong_exchange_rate_for_cash_withdrawal: cash abroad / medium
""")
"""banking77: one intent a message."""

NLUPP = _meanings("""
accesibility: facilities / low
account: account / low
acknowledge: / low
affirm: / low
appointment: support / low
arrival: / low
balance: account / low
booking: booking / low
business: account / low
cancel_close_leave_freeze: / medium
card: card / low
change: / low
check_in: booking / low
check_out: booking / low
cheque: payments / low
contactless: card / low
credit: card / low
current: account / low
debit: card / low
deny: / low
direct_debit: payments / low
dont_know: / low
end_call: / low
existing: / low
fees_interests: fees / low
greet: / low
gym: facilities / low
handoff: support / low
housekeeping: facilities / low
how: / low
how_long: / low
how_much: / low
international: abroad / low
less_lower_before: / low
limits: / low
loan: lending / low
lost_stolen: security / high
make_open_apply_setup_get_activate: / low
more_higher_after: / low
mortgage: lending / low
new: / low
overdraft: lending / low
parking: facilities / low
pets: facilities / low
pin: security / low
refund: payments / low
repeat: / low
request_info: / low
restaurant: facilities / low
room_ammenities: facilities / low
room_service: facilities / low
savings: account / low
spa: facilities / low
standing_order: payments / low
swimming_pool: facilities / low
thank: / low
transfer_payment_deposit: payments / low
when: / low
why: / low
wifi: facilities / low
withdrawal: cash / low
wrong_notworking_notshowing: / medium
""")
"""NLU++, banking and hotels: the intents they share mean the same in both.

Spellings (``accesibility``, ``room_ammenities``) are the data set's own.
"""


def gold(dataset: Dataset, intents: Iterable[str]) -> Gold:
    """Return the labels that *intents* amount to.

    Raises:
      ConfigError: an intent that *dataset* does not have.
    """
    table = BANKING77 if dataset is Dataset.BANKING77 else NLUPP
    named: set[Category] = set()
    urgency = Urgency.LOW
    for intent in intents:
        if intent not in table:
            raise ConfigError(
                f"{dataset} has no intent {intent!r}; add it to the table of meanings"
            )
        meaning = table[intent]
        named.update(meaning.categories)
        urgency = max(urgency, meaning.urgency, key=lambda each: each.rank)
    categories = tuple(each for each in Category if each in named)
    return Gold(categories or (Category.OTHER,), urgency)
