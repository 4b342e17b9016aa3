"""Golden states: this release reads the states that the first one wrote to tables and changelogs.

A changelog's records stay until the next state of their key, which may be never.
"""

from __future__ import annotations

from pathlib import Path

from ledger_streams import wire
from ledger_streams.domain.events import PaymentCompleted
from ledger_streams.domain.saga.decisions import decide
from ledger_streams.domain.saga.transitions import Course
from tests.model.samples import AT_MS, SOURCE, TARGET, opened, started
from tests.unit.saga_course import run
from tests.unit.test_saga import CREDITED, DEDUCTED

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "states"


def test_a_saga_under_way_since_before_providers_goes_on() -> None:
    saga = wire.decode_saga_state((GOLDEN / "Saga.v1.json").read_bytes())
    assert saga == run(started(), DEDUCTED)[0]
    assert (saga.course, saga.due_ms, saga.reserved) == (Course.TRANSFER, None, {})
    ended = decide(saga, CREDITED, at_ms=AT_MS).outcome
    assert isinstance(ended, PaymentCompleted)
    assert ended.wallets == {SOURCE: 7, TARGET: 4}


def test_a_wallet_from_before_holds_has_none() -> None:
    wallet = wire.decode_wallet_state((GOLDEN / "Wallet.v1.json").read_bytes())
    assert wallet == opened(limit_minor=5000)
    assert wallet.holds == {}
