"""Awaited party: the party whose answer a pending payment needs next, derived from its steps.

The last step decides it.  ProviderTimedOut does not count: it moves no money and starts no
step, and the payment still waits for the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ledger_streams.ports import PaymentView

NO_ANSWER: Final = "ProviderTimedOut"


class Party(StrEnum):
    """The party that has to act before the payment continues."""

    LEDGER = "ledger"
    """The ledger itself has to start or end the payment."""
    WALLET = "wallet"
    PROVIDER = "provider"
    REFUNDED_PAYMENT = "refunded_payment"
    """The refunded payment has to reserve the amount."""


class WaitingFor(msgspec.Struct, frozen=True):
    """The awaited party and the start of the wait (RFC 3339); `provider` is the name of a provider."""

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
"""The awaited party by last step: without a provider, and with one.

Some steps have two possible successors.  The table names the slower party: a refund by a
provider may start with a hold in the wallet, which takes no time worth reporting.
"""


def waiting_for(payment: PaymentView) -> WaitingFor | None:
    """Return the awaited party; None for a payment that has ended or has no step yet."""
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
