"""Waiting: whom a payment that has not ended waits for, as its steps tell it.

The last step that said anything new says who has the word.  A provider that was asked
and gave no answer is still the one waited for, since it was asked first: ProviderTimedOut
moves no money and begins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ledger_streams.ports import PaymentView

NO_ANSWER: Final = "ProviderTimedOut"


class Party(StrEnum):
    """Who has to say or do something before the payment goes on."""

    LEDGER = "ledger"
    """The ledger itself: it has to take the payment up, or to end it."""
    WALLET = "wallet"
    PROVIDER = "provider"
    REFUNDED_PAYMENT = "refunded_payment"
    """The payment to be refunded, which knows how much of it is left."""


class WaitingFor(msgspec.Struct, frozen=True):
    """Whom a payment waits for, and since when (RFC 3339); `provider` is its name where it is one."""

    what: Party
    since: str
    provider: str | None


_AFTER: Final[Mapping[str, tuple[Party, Party]]] = {
    "RefundGranted": (Party.WALLET, Party.PROVIDER),
    "WalletHeld": (Party.PROVIDER, Party.PROVIDER),
    "ProviderApproved": (Party.WALLET, Party.WALLET),
    "ProviderDeclined": (Party.WALLET, Party.WALLET),
    "WalletDeducted": (Party.WALLET, Party.LEDGER),
    "WalletCreditRefused": (Party.WALLET, Party.PROVIDER),
}
"""By the last step: in a payment without a provider, and in one by a provider.

Where two parties follow each other it is the one that takes its time: a refund by a
provider may begin with a hold, of which nobody has to hear.
"""


def waiting_for(payment: PaymentView) -> WaitingFor | None:
    """Return whom the payment waits for; None when it has ended, or has no step yet."""
    steps = [step for step in payment.steps if step.event_type != NO_ANSWER]
    if payment.status != "pending" or not steps:
        return None
    what = _after(steps[-1].event_type, payment)
    provider = payment.provider if what is Party.PROVIDER else None
    return WaitingFor(what, steps[-1].occurred_at, provider)


def _after(event_type: str, payment: PaymentView) -> Party:
    if event_type == "SagaStarted":
        return _first(payment)
    without, by_one = _AFTER.get(event_type, (Party.LEDGER, Party.LEDGER))
    return without if payment.provider is None else by_one


def _first(payment: PaymentView) -> Party:
    if payment.kind == "refund":
        return Party.REFUNDED_PAYMENT
    return Party.PROVIDER if payment.provider is not None and payment.kind == "deposit" else Party.WALLET
