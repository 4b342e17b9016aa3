"""Samples: one valid value of each shape, with ids derived from names so that they stay the same."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger_streams import wire
from ledger_streams.domain import payment
from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderTimedOut,
    RefundGranted,
    RefundRefused,
)
from ledger_streams.domain.commands import (
    AddFunds,
    AdministrativeCommand,
    ApproveReopening,
    CaptureHold,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    ExpireHold,
    FreezeWallet,
    HoldFunds,
    LegCommand,
    OpenWallet,
    ProposeReopening,
    ReleaseHold,
    UnfreezeWallet,
)
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentOutcome,
    PaymentRefunded,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaFailed,
    SagaStarted,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId, derived_id
from ledger_streams.domain.payment import PaymentRequested
from ledger_streams.domain.request import PaymentKind, PaymentRequest
from ledger_streams.domain.saga.commands import (
    CancelPayment,
    CarryOutPayment,
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SettlePayment,
)
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    LimitsChanged,
    WalletClosed,
    WalletCommandRefused,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletReopened,
    WalletReopeningProposed,
    WalletUnfrozen,
)

AT_MS = 1_795_557_600_000
"""2026-11-24T22:00:00Z."""

PAYMENT = PaymentId(derived_id("payment"))
REFUND = PaymentId(derived_id("refund"))
SOURCE = WalletId(derived_id("source"))
TARGET = WalletId(derived_id("target"))
USER = UserId(derived_id("user"))
HOLD = HoldId(derived_id("hold"))
"""A caller's; a payment's own hold has the payment's id."""
EVENT = derived_id("event")
COMMAND = derived_id("command")
EXPIRES_MS = AT_MS + 900_000
PROVIDERS = ("acme",)


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


def refund(**changes: Any) -> dict[str, Any]:
    """Return the data of a refund, under REFUND, of part of PAYMENT."""
    return {
        "payment_id": REFUND,
        "kind": "refund",
        "refund_of": PAYMENT,
        "amount": "4.00",
        "currency": "EUR",
        **changes,
    }


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
    event = payment.decide(None, requested(data), providers=PROVIDERS)
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
        WalletHeld(PAYMENT, 2, SOURCE, 1025, "EUR", 7, HoldId(PAYMENT)),
        WalletReleased(PAYMENT, 4, SOURCE, 1025, "EUR", 8, HoldId(PAYMENT)),
        ProviderApproved(PAYMENT, 3, "acme", 1025, "EUR", "acme-1"),
        ProviderDeclined(PAYMENT, 3, "acme", 1025, "EUR", "provider_declined", "no such account"),
        ProviderTimedOut(PAYMENT, 3, "acme", 1025, "EUR", "no answer within 5000 ms"),
        RefundGranted(REFUND, 2, PAYMENT, 400, "EUR", PaymentKind.DEPOSIT, None, TARGET, "acme"),
        RefundRefused(REFUND, 2, PAYMENT, "limit_exceeded", "data.amount: 0 minor units are left"),
        SagaCompensated(PAYMENT, 5, 1025, "EUR", "wallet_closed"),
        SagaCompleted(PAYMENT, 4, 1025, "EUR"),
        SagaFailed(PAYMENT, 3, "insufficient_funds", 1025, "EUR"),
    ]


def every_wallet_event() -> list[WalletEvent]:
    """Return one of each type that travels on wallet-events; see `history_before`."""
    transit = Counterparty.TRANSIT
    return [
        WalletOpened(SOURCE, 1, USER, ("EUR",), {"EUR": 5000}),
        BalanceAdded(SOURCE, 2, PAYMENT, 1025, "EUR", transit),
        BalanceDeducted(SOURCE, 2, PAYMENT, 1025, "EUR", transit),
        FundsHeld(SOURCE, 2, HOLD, 1025, "EUR", None, EXPIRES_MS),
        HoldCaptured(SOURCE, 4, HOLD, 1000, "EUR", PAYMENT, 25),
        HoldReleased(SOURCE, 3, HOLD, 1025, "EUR", None, "expired"),
        WalletFrozen(SOURCE, 2, "fraud"),
        WalletUnfrozen(SOURCE, 2, "cleared"),
        WalletClosed(SOURCE, 2, "left"),
        WalletReopeningProposed(SOURCE, 2, "a payment gave 10.25 back", "Ada"),
        WalletReopened(SOURCE, 2, "a payment gave 10.25 back", "Ada", "Bob"),
        LimitsChanged(SOURCE, 2, {"EUR": 7500}),
        WalletCommandRefused(SOURCE, 2, "CloseWallet", "not_empty", "a balance of the wallet is not zero"),
    ]


def history_before(event: WalletEvent) -> list[WalletEvent]:
    """Return what has happened to the sample wallet before one of `every_wallet_event`."""
    history: list[WalletEvent] = [
        WalletOpened(SOURCE, 1, USER, ("EUR",), {"EUR": 5000}),
        FundsHeld(SOURCE, 2, HOLD, 1025, "EUR", None, EXPIRES_MS),
        BalanceDeducted(SOURCE, 3, PAYMENT, 1000, "EUR", Counterparty.TRANSIT, HOLD),
    ]
    return history[: event.version - 1]


def state_after(event: WalletEvent) -> Wallet:
    """Return the sample wallet after one of `every_wallet_event`."""
    wallet: Wallet | None = None
    for earlier in history_before(event):
        wallet = evolve(wallet, earlier)
    return evolve(wallet, event)


def every_leg() -> list[LegCommand]:
    """Return one of each command of a payment."""
    own = HoldId(PAYMENT)
    return [
        DeductFunds(SOURCE, PAYMENT, 1025, "EUR", Counterparty.TRANSIT, 2),
        AddFunds(TARGET, PAYMENT, 1025, "EUR", Counterparty.TRANSIT, 3),
        HoldFunds(SOURCE, own, 1025, "EUR", PAYMENT, 2),
        CaptureHold(SOURCE, PAYMENT, own, 1025, "EUR", Counterparty.EXTERNAL, 4),
        ReleaseHold(SOURCE, own, "provider_declined", PAYMENT, 4),
    ]


def expiry() -> ExpireHold:
    """Return the command that the wallets agent writes itself."""
    return ExpireHold(SOURCE, HOLD, EXPIRES_MS)


def every_order() -> list[ProviderOrder]:
    """Return one of each thing that a provider is asked."""
    return [
        CarryOutPayment(PAYMENT, "acme", PaymentKind.WITHDRAWAL, 1025, "EUR", 3, 1),
        CancelPayment(PAYMENT, "acme", 1025, "EUR", 4, 2, "provider_timeout"),
    ]


def every_refund_command() -> list[ReserveRefund | EndRefund]:
    """Return one of each command of a refund's saga to that of the refunded payment."""
    return [ReserveRefund(PAYMENT, REFUND, 400, "EUR", 2), EndRefund(PAYMENT, REFUND, True)]


def settlement() -> SettlePayment:
    """Return a person's word on what a provider has done."""
    return SettlePayment(PAYMENT, True, "seen on the statement")


def every_administrative() -> list[AdministrativeCommand]:
    """Return one of each administrative command."""
    return [
        OpenWallet(SOURCE, USER, ("EUR", "JPY"), {"EUR": 5000}),
        FreezeWallet(SOURCE, "fraud"),
        UnfreezeWallet(SOURCE, "cleared"),
        CloseWallet(SOURCE, "left"),
        ProposeReopening(SOURCE, "a payment gave 10.25 back", "Ada"),
        ApproveReopening(SOURCE, "Bob"),
        ChangeLimits(SOURCE, {"EUR": 7500}),
    ]


def every_outcome() -> list[PaymentOutcome]:
    """Return one of each end of a payment."""
    wallets: dict[str, int] = {SOURCE: 7, TARGET: 4}
    return [
        PaymentCompleted(PAYMENT, PaymentKind.TRANSFER, 1025, "EUR", SOURCE, TARGET, wallets),
        PaymentFailed(PAYMENT, "insufficient_funds", {}),
        PaymentRefunded(PAYMENT, 3, REFUND, 400, 400, 1025, "EUR"),
    ]


def every_record() -> dict[str, bytes]:
    """Return one record of each event and command type, by type."""
    values = [requested_bytes()]
    values += [wire.encode_saga_event(e, causation_id=EVENT, append_ms=AT_MS) for e in every_saga_event()]
    values += [wire.encode_payment_outcome(o, causation_id=EVENT, append_ms=AT_MS) for o in every_outcome()]
    values += [wire.encode_command(c, causation_id=EVENT, append_ms=AT_MS) for c in every_leg()]
    values += [wire.encode_order(o, causation_id=EVENT, append_ms=AT_MS) for o in every_order()]
    values += [
        wire.encode_saga_command(c, causation_id=EVENT, append_ms=AT_MS) for c in every_refund_command()
    ]
    values += [
        wire.encode_settlement(settlement(), command_id=COMMAND, occurred_ms=AT_MS),
        wire.encode_expiry(expiry(), due_ms=EXPIRES_MS),
    ]
    values += [
        wire.encode_administrative(c, command_id=COMMAND, occurred_ms=AT_MS) for c in every_administrative()
    ]
    values += [
        wire.encode_wallet_event(e, state_after(e), command_id=COMMAND, append_ms=AT_MS)
        for e in every_wallet_event()
    ]
    return {wire.decode_envelope(value).event_type: value for value in values}
