"""Reopening a closed wallet with returned money: two people approve it, and a payment moves the money."""

from __future__ import annotations

import pytest

from ledger_streams import wire
from ledger_streams.domain.commands import (
    AddFunds,
    ApproveReopening,
    CloseWallet,
    Counterparty,
    DeductFunds,
    FreezeWallet,
    ProposeReopening,
    WalletCommand,
)
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.wallet import Reopening, Wallet, WalletStatus, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import WalletCommandRefused, WalletReopened, WalletReopeningProposed
from ledger_streams.errors import Unreadable
from tests.model.samples import AT_MS, COMMAND, PAYMENT, SOURCE, opened

TRANSIT = Counterparty.TRANSIT
TAKE = DeductFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 2)
GIVE = AddFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 3)
GIVE_BACK = AddFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 4, compensates=True)
CLOSE = CloseWallet(SOURCE, "left")
PROPOSE = ProposeReopening(SOURCE, "money came back", "Ada")
APPROVE = ApproveReopening(SOURCE, "Bob")


def after(wallet: Wallet, *commands: WalletCommand) -> Wallet:
    for command in commands:
        for event in decide(wallet, command).events:
            assert not isinstance(event, WalletCommandRefused), event
            wallet = evolve(wallet, event)
    return wallet


def refusal(wallet: Wallet, command: WalletCommand) -> str:
    (event,) = decide(wallet, command).events
    assert isinstance(event, WalletCommandRefused)
    return f"{event.reason}: {event.detail}"


STUCK = after(opened(), GIVE, TAKE, CLOSE, GIVE_BACK)


def test_a_payment_that_comes_back_after_the_close_leaves_its_money_in_a_closed_wallet() -> None:
    assert (STUCK.status, STUCK.balances["EUR"].available_minor) == (WalletStatus.CLOSED, 1025)
    reply = decide(STUCK, TAKE).reply
    assert getattr(reply, "reason", None) == "wallet_closed"


def test_two_people_reopen_the_wallet_and_a_payment_moves_the_money() -> None:
    proposed = after(STUCK, PROPOSE)
    assert (proposed.status, proposed.reopening) == (WalletStatus.CLOSED, Reopening("money came back", "Ada"))
    (event,) = decide(proposed, APPROVE).events
    assert event == WalletReopened(SOURCE, proposed.version + 1, "money came back", "Ada", "Bob")
    reopened = after(proposed, APPROVE)
    assert (reopened.status, reopened.reopening) == (WalletStatus.OPEN, None)
    (taken,) = decide(reopened, TAKE).events
    assert sum(posting.amount_minor for posting in postings_of(taken)) == 0
    assert after(reopened, TAKE, CLOSE).status is WalletStatus.CLOSED


@pytest.mark.parametrize("name", ["Ada", "ada", " Ada ", "A da"])
def test_a_proposal_cannot_be_approved_by_its_author(name: str) -> None:
    assert "may not approve" in refusal(after(STUCK, PROPOSE), ApproveReopening(SOURCE, name))


def test_an_approval_needs_a_proposal_and_the_opening_ends_the_proposal() -> None:
    assert "nobody has proposed" in refusal(STUCK, APPROVE)
    again = after(STUCK, PROPOSE, APPROVE, TAKE, CLOSE, GIVE_BACK)
    assert "nobody has proposed" in refusal(again, APPROVE)


@pytest.mark.parametrize("command", [PROPOSE, APPROVE])
def test_an_empty_closed_wallet_stays_closed_and_an_open_one_is_not_reopened(command: WalletCommand) -> None:
    assert refusal(after(opened(), CLOSE), command).startswith("wallet_closed: ")
    for wallet in (opened(), after(opened(), FreezeWallet(SOURCE, "x"))):
        assert "not closed" in refusal(wallet, command)
    assert decide(None, command).events == ()


def test_a_repeated_proposal_has_no_effect_and_a_different_one_replaces_it() -> None:
    proposed = after(STUCK, PROPOSE)
    assert decide(proposed, PROPOSE).events == ()
    (event,) = decide(proposed, ProposeReopening(SOURCE, "another reason", "Eve")).events
    assert isinstance(event, WalletReopeningProposed)
    assert evolve(proposed, event).reopening == Reopening("another reason", "Eve")


def test_a_proposal_survives_the_wire_and_the_table() -> None:
    (event,) = decide(STUCK, PROPOSE).events
    proposed = evolve(STUCK, event)
    assert wire.decode_wallet_state(wire.encode_wallet_state(proposed)) == proposed
    value = wire.encode_wallet_event(event, proposed, command_id=COMMAND, append_ms=AT_MS)
    assert wire.read_wallet(value) == proposed
    read = wire.read_wallet_event(value, key=SOURCE.encode())
    assert (read.event, read.wallet) == (event, proposed)


@pytest.mark.parametrize("by", ["", "  ", "A" * 101, "A\n", "A\u200b"])
def test_a_person_has_a_name_that_can_be_read(by: str) -> None:
    for command in (ProposeReopening(SOURCE, "why", by), ApproveReopening(SOURCE, by)):
        value = wire.encode_administrative(command, command_id=COMMAND, occurred_ms=AT_MS)
        with pytest.raises(Unreadable, match=r"data\.by"):
            wire.read_wallet_command(value, key=SOURCE.encode())
