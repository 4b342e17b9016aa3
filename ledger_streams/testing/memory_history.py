"""In-memory history: movements and turnovers from the rows of the read model's twin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ledger_streams.adapters.postgres.rows import WalletEventRow
from ledger_streams.adapters.postgres.views import wire_time
from ledger_streams.domain.money import format_amount, parse_balance
from ledger_streams.ports import PaymentView
from ledger_streams.ports.history import MovementView, Turnover, VersionRange

SIGNS = {"BalanceAdded": "", "BalanceDeducted": "-"}


def moved(events: Iterable[WalletEventRow], versions: VersionRange) -> Iterator[WalletEventRow]:
    """Yield the events of the versions that changed a balance."""
    for event in events:
        if versions.after < event.event_version <= versions.last and event.event_type in SIGNS:
            currency = json.loads(event.event_data)["currency"]
            yield from [event] if versions.currency in (None, currency) else []


def movement(
    event: WalletEventRow, payment: PaymentView | None, metadata: Mapping[str, Any] | None
) -> MovementView:
    """Return the event as a movement of its payment."""
    data = json.loads(event.event_data)
    currency, balances = data["currency"], json.loads(event.wallet_state)["balances"]
    wallets = (payment.source_wallet_id, payment.target_wallet_id) if payment else (None, None)
    return MovementView(
        event.event_id,
        event.event_version,
        wire_time(event.occurred_at),
        event.event_type,
        currency,
        SIGNS[event.event_type] + data["amount"],
        balances[currency]["balance"],
        event.payment_id,
        (payment.kind or None) if payment else None,
        wallets[1] if wallets[0] == event.wallet_id else wallets[0],
        payment.provider if payment else None,
        metadata,
    )


def turnover(events: Iterable[WalletEventRow], currency: str) -> Turnover:
    """Sum up movements of one currency."""
    totals: dict[str, int] = {}
    count = 0
    for event in events:
        data = json.loads(event.event_data)
        if data["currency"] == currency:
            count += 1
            totals.setdefault(event.event_type, 0)
            totals[event.event_type] += parse_balance(data["amount"], currency)
    texts = {name: format_amount(minor, currency) for name, minor in totals.items()}
    return Turnover(count, texts.get("BalanceAdded"), texts.get("BalanceDeducted"))
