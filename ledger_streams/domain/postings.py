"""Postings: the legs of an event that moves money; they sum to zero in its currency.

The counter-account of a wallet's leg is `transit:EUR` (money between two wallets) or
`external:EUR` (the outside world).  So a payment's postings sum to zero, and transit is zero
once all payments have ended.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, WalletEvent


class Posting(msgspec.Struct, frozen=True, gc=False):
    """One leg; `account` is `wallet:<id>`, `transit:<currency>` or `external:<currency>`."""

    account: str
    currency: str
    amount_minor: int


def postings_of(event: WalletEvent) -> tuple[Posting, ...]:
    """Return the two legs of a movement, the wallet's first, or none when no money moves."""
    if isinstance(event, BalanceAdded):
        change_minor = event.amount_minor
    elif isinstance(event, BalanceDeducted):
        change_minor = -event.amount_minor
    else:
        return ()
    return (
        Posting(f"wallet:{event.wallet_id}", event.currency, change_minor),
        Posting(f"{event.counterparty}:{event.currency}", event.currency, -change_minor),
    )
