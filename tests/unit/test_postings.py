"""Postings: two legs that sum to zero, or none."""

from __future__ import annotations

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.postings import Posting, postings_of
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, WalletFrozen
from tests.model.samples import PAYMENT, SOURCE


@pytest.mark.parametrize("counterparty", Counterparty)
@pytest.mark.parametrize(("event_type", "sign"), [(BalanceAdded, 1), (BalanceDeducted, -1)])
def test_a_movement_has_the_wallets_leg_and_its_opposite(
    counterparty: Counterparty, event_type: type[BalanceAdded | BalanceDeducted], sign: int
) -> None:
    assert postings_of(event_type(SOURCE, 2, PAYMENT, 500, "EUR", counterparty)) == (
        Posting(f"wallet:{SOURCE}", "EUR", sign * 500),
        Posting(f"{counterparty.value}:EUR", "EUR", -sign * 500),
    )


def test_an_event_without_money_has_no_postings() -> None:
    assert postings_of(WalletFrozen(SOURCE, 2, "fraud")) == ()
