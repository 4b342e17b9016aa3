"""Samples: one valid value of each shape, with ids derived from names so that they stay the same."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger_streams import wire
from ledger_streams.domain import payment
from ledger_streams.domain.commands import (
    AddFunds,
    AdministrativeCommand,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    FreezeWallet,
    LegCommand,
    OpenWallet,
    UnfreezeWallet,
)
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentOutcome,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaFailed,
    SagaStarted,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
)
from ledger_streams.domain.ids import PaymentId, UserId, WalletId, derived_id
from ledger_streams.domain.payment import PaymentRequested
from ledger_streams.domain.request import PaymentKind, PaymentRequest
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    LimitsChanged,
    WalletClosed,
    WalletCommandRefused,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletUnfrozen,
)

AT_MS = 1_795_557_600_000
"""2026-11-24T22:00:00Z."""

PAYMENT = PaymentId(derived_id("payment"))
SOURCE = WalletId(derived_id("source"))
TARGET = WalletId(derived_id("target"))
USER = UserId(derived_id("user"))
EVENT = derived_id("event")
COMMAND = derived_id("command")


def content(**changes: Any) -> dict[str, Any]:
    """Return the data of a transfer; a change to None removes nothing, it is null."""
    return {
        "payment_id": PAYMENT,
        "kind": "transfer",
        "source_wallet_id": SOURCE,
        "target_wallet_id": TARGET,
        "amount": "10.25",
        "currency": "EUR",
        "provider": None,
        "user_id": None,
        "metadata": {},
        **changes,
    }


def deposit(**changes: Any) -> dict[str, Any]:
    return content(kind="deposit", source_wallet_id=None, **changes)


def withdrawal(**changes: Any) -> dict[str, Any]:
    return content(kind="withdrawal", target_wallet_id=None, **changes)


def request(data: dict[str, Any] | None = None) -> PaymentRequest:
    return payment.read_request(data or content())


def requested_bytes(data: dict[str, Any] | None = None, **envelope: Any) -> bytes:
    """Return a PaymentRequested record; `envelope` changes fields around the data."""
    record = msgspec.json.decode(
        wire.encode_payment_request(data or content(), event_id=EVENT, occurred_ms=AT_MS)
    )
    return msgspec.json.encode({**record, **envelope})


def requested(data: dict[str, Any] | None = None) -> PaymentRequested:
    data = data or content()
    read = wire.read_payment_event(requested_bytes(data), key=data["payment_id"].encode(), append_ms=AT_MS)
    assert read is not None
    return read


def started(data: dict[str, Any] | None = None) -> SagaStarted:
    event = payment.decide(None, requested(data))
    assert isinstance(event, SagaStarted)
    return event


def opened(
    wallet_id: WalletId = SOURCE, *, limit_minor: int = 0, currencies: tuple[str, ...] = ("EUR",)
) -> Wallet:
    limits = {currencies[0]: limit_minor}
    return evolve(None, WalletOpened(wallet_id, 1, USER, currencies, limits))


def every_saga_event() -> list[SagaEvent]:
    """Return one of each type that travels on saga-events."""
    return [
        started(),
        WalletDeducted(PAYMENT, 2, SOURCE, 1025, "EUR", 7),
        WalletDeductionRefused(PAYMENT, 2, SOURCE, 1025, "EUR", 6, "insufficient_funds"),
        WalletCredited(PAYMENT, 3, TARGET, 1025, "EUR", 4),
        WalletCreditRefused(PAYMENT, 3, TARGET, 1025, "EUR", 3, "wallet_closed"),
        SagaCompensated(PAYMENT, 5, 1025, "EUR", "wallet_closed"),
        SagaCompleted(PAYMENT, 4, 1025, "EUR"),
        SagaFailed(PAYMENT, 3, "insufficient_funds", 1025, "EUR"),
    ]


def every_wallet_event() -> list[WalletEvent]:
    """Return one of each type that travels on wallet-events; each is of its own version 2 but the first."""
    transit = Counterparty.TRANSIT
    return [
        WalletOpened(SOURCE, 1, USER, ("EUR",), {"EUR": 5000}),
        BalanceAdded(SOURCE, 2, PAYMENT, 1025, "EUR", transit),
        BalanceDeducted(SOURCE, 2, PAYMENT, 1025, "EUR", transit),
        WalletFrozen(SOURCE, 2, "fraud"),
        WalletUnfrozen(SOURCE, 2, "cleared"),
        WalletClosed(SOURCE, 2, "left"),
        LimitsChanged(SOURCE, 2, {"EUR": 7500}),
        WalletCommandRefused(SOURCE, 2, "CloseWallet", "not_empty", "a balance of the wallet is not zero"),
    ]


def state_after(event: WalletEvent) -> Wallet:
    """Return the sample wallet after one of `every_wallet_event`."""
    before = None if isinstance(event, WalletOpened) else opened(limit_minor=5000)
    return evolve(before, event)


def every_leg() -> list[LegCommand]:
    """Return one of each command of a payment."""
    return [
        DeductFunds(SOURCE, PAYMENT, 1025, "EUR", Counterparty.TRANSIT, 2),
        AddFunds(TARGET, PAYMENT, 1025, "EUR", Counterparty.TRANSIT, 3),
    ]


def every_administrative() -> list[AdministrativeCommand]:
    """Return one of each administrative command."""
    return [
        OpenWallet(SOURCE, USER, ("EUR", "JPY"), {"EUR": 5000}),
        FreezeWallet(SOURCE, "fraud"),
        UnfreezeWallet(SOURCE, "cleared"),
        CloseWallet(SOURCE, "left"),
        ChangeLimits(SOURCE, {"EUR": 7500}),
    ]


def every_outcome() -> list[PaymentOutcome]:
    """Return one of each end of a payment."""
    wallets: dict[str, int] = {SOURCE: 7, TARGET: 4}
    return [
        PaymentCompleted(PAYMENT, PaymentKind.TRANSFER, 1025, "EUR", SOURCE, TARGET, wallets),
        PaymentFailed(PAYMENT, "insufficient_funds", {}),
    ]


def every_record() -> dict[str, bytes]:
    """Return one record of each event and command type, by type."""
    values = [requested_bytes()]
    values += [wire.encode_saga_event(e, causation_id=EVENT, append_ms=AT_MS) for e in every_saga_event()]
    values += [wire.encode_payment_outcome(o, causation_id=EVENT, append_ms=AT_MS) for o in every_outcome()]
    values += [wire.encode_command(c, causation_id=EVENT, append_ms=AT_MS) for c in every_leg()]
    values += [
        wire.encode_administrative(c, command_id=COMMAND, occurred_ms=AT_MS) for c in every_administrative()
    ]
    values += [
        wire.encode_wallet_event(e, state_after(e), command_id=COMMAND, append_ms=AT_MS)
        for e in every_wallet_event()
    ]
    return {wire.decode_envelope(value).event_type: value for value in values}
