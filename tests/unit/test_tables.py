"""Tables: the due time of a state is decoded from its stored form, without the rest of it."""

from __future__ import annotations

import msgspec
import pytest

from ledger_streams import wire
from ledger_streams.domain.ids import HoldId, derived_id
from ledger_streams.domain.saga.state import PATIENCE_MS
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_events import FundsHeld
from tables.sagas import SAGAS
from tables.wallets import WALLETS
from tests.model.samples import AT_MS, EXPIRES_MS, SOURCE, deposit, opened, started
from tests.unit.saga_course import run
from tests.unit.test_saga_providers import declined, timed_out


def holding(*expiries_ms: int | None) -> Wallet:
    """Return a wallet with a hold for each of the times."""
    wallet = opened(limit_minor=1_000)
    for number, expires_ms in enumerate(expiries_ms):
        hold_id = HoldId(derived_id(str(number)))
        wallet = evolve(wallet, FundsHeld(SOURCE, wallet.version + 1, hold_id, 5, "EUR", None, expires_ms))
    return wallet


@pytest.mark.parametrize("provider", ["acme", '"due_ms":5', '","due_ms":5,"x":"'])
def test_a_saga_s_due_time_is_read_with_any_provider_name(provider: str) -> None:
    asked, _ = run(started(deposit(provider="acme")))
    saga = msgspec.structs.replace(asked, provider=provider)
    assert SAGAS.due_ms_of(wire.encode_saga_state(saga)) == AT_MS + PATIENCE_MS


def test_a_saga_that_waits_for_no_time_is_never_due() -> None:
    asked = started(deposit(provider="acme"))
    waiting, _ = run(asked, timed_out(2))
    ended, _ = run(asked, declined(2))
    assert SAGAS.due_ms_of(wire.encode_saga_state(waiting)) == waiting.due_ms
    for saga in (ended, run(started())[0]):
        assert SAGAS.due_ms_of(wire.encode_saga_state(saga)) is None


def test_a_wallet_is_due_when_its_first_hold_expires() -> None:
    for expiries_ms, due_ms in (
        ((), None),
        ((None,), None),
        ((None, EXPIRES_MS), EXPIRES_MS),
        ((EXPIRES_MS + 5, EXPIRES_MS, EXPIRES_MS + 9), EXPIRES_MS),
    ):
        assert WALLETS.due_ms_of(wire.encode_wallet_state(holding(*expiries_ms))) == due_ms


def test_a_wallet_s_stored_form_is_taken_from_its_event() -> None:
    wallet = holding(EXPIRES_MS)
    (hold_id,) = wallet.holds
    event = FundsHeld(SOURCE, 2, hold_id, 5, "EUR", None, EXPIRES_MS)
    written = wire.encode_wallet_event(event, wallet, command_id=derived_id("command"), append_ms=AT_MS)
    assert WALLETS.decode(WALLETS.stored_form(written)) == wallet
