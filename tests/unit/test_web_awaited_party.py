"""Awaited party: the party that a payment waits for, by its steps."""

from __future__ import annotations

import pytest

from ledger_streams.ports import PaymentView, StepView
from web.payments.awaited_party import Party, WaitingFor, waiting_for


def payment(kind: str, provider: str | None, *events: str, status: str = "pending") -> PaymentView:
    steps = tuple(StepView(event, str(second)) for second, event in enumerate(events))
    return PaymentView("p", kind, status, None, "1.00", "EUR", None, None, "", steps, None, provider)


START = ("PaymentRequested", "SagaStarted")


@pytest.mark.parametrize(
    ("kind", "provider", "steps", "party"),
    [
        ("transfer", None, ("PaymentRequested",), "ledger"),
        ("transfer", None, START, "wallet"),
        ("transfer", None, (*START, "WalletDeducted"), "wallet"),
        ("transfer", None, (*START, "WalletDeducted", "WalletCreditRefused"), "wallet"),
        ("transfer", None, (*START, "WalletDeducted", "WalletCredited"), "ledger"),
        ("deposit", None, START, "wallet"),
        ("deposit", "acme", START, "provider"),
        ("deposit", "acme", (*START, "ProviderApproved"), "wallet"),
        ("deposit", "acme", (*START, "ProviderApproved", "WalletCreditRefused"), "provider"),
        ("withdrawal", "acme", START, "wallet"),
        ("withdrawal", "acme", (*START, "WalletHeld"), "provider"),
        ("withdrawal", "acme", (*START, "WalletHeld", "ProviderDeclined"), "wallet"),
        ("withdrawal", "acme", (*START, "WalletHeld", "ProviderApproved", "WalletDeducted"), "ledger"),
        ("refund", None, START, "refunded_payment"),
        ("refund", None, (*START, "RefundGranted"), "wallet"),
        ("refund", "acme", (*START, "RefundGranted"), "provider"),
        ("refund", None, (*START, "RefundRefused"), "ledger"),
    ],
)
def test_the_last_step_determines_the_awaited_party(
    kind: str, provider: str | None, steps: tuple[str, ...], party: str
) -> None:
    waits = waiting_for(payment(kind, provider, *steps))
    name = provider if party == "provider" else None
    assert waits == WaitingFor(Party(party), str(len(steps) - 1), name)


def test_a_silent_provider_is_awaited_since_the_first_order() -> None:
    waits = waiting_for(payment("deposit", "acme", *START, "ProviderTimedOut", "ProviderTimedOut"))
    assert waits is not None
    assert (waits.what, waits.since, waits.provider) == ("provider", "1", "acme")


def test_a_payment_that_has_ended_or_has_no_step_has_no_awaited_party() -> None:
    assert waiting_for(payment("transfer", None, *START, status="completed")) is None
    assert waiting_for(payment("transfer", None)) is None
