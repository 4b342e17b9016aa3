"""Postings: two legs that sum to zero, or none."""

from __future__ import annotations

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.postings import Posting, postings_of
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    WalletEvent,
    WalletFrozen,
)
from tests.model.samples import HOLD, PAYMENT, SOURCE


@pytest.mark.parametrize("counterparty", Counterparty)
@pytest.mark.parametrize(("event_type", "sign"), [(BalanceAdded, 1), (BalanceDeducted, -1)])
def test_a_movement_has_the_wallets_leg_and_its_opposite(
    counterparty: Counterparty, event_type: type[BalanceAdded | BalanceDeducted], sign: int
) -> None:
    assert postings_of(event_type(SOURCE, 2, PAYMENT, 500, "EUR", counterparty)) == (
        Posting(f"wallet:{SOURCE}", "EUR", sign * 500),
        Posting(f"{counterparty.value}:EUR", "EUR", -sign * 500),
    )


def test_a_capture_moves_money_once_by_its_deduction() -> None:
    external = Counterparty.EXTERNAL
    deducted = BalanceDeducted(SOURCE, 3, PAYMENT, 500, "EUR", external, HOLD)
    legs = (Posting(f"wallet:{SOURCE}", "EUR", -500), Posting("external:EUR", "EUR", 500))
    assert postings_of(deducted) == legs
    assert postings_of(HoldCaptured(SOURCE, 4, HOLD, 500, "EUR", PAYMENT, 0)) == ()


@pytest.mark.parametrize(
    "event",
    [
        WalletFrozen(SOURCE, 2, "fraud"),
        FundsHeld(SOURCE, 2, HOLD, 500, "EUR", None, None),
        HoldReleased(SOURCE, 3, HOLD, 500, "EUR", None, "expired"),
    ],
)
def test_an_event_that_moves_no_money_has_no_postings(event: WalletEvent) -> None:
    assert postings_of(event) == ()
