"""Wallets: a replay equals the fold, holds sum to the held amount, no money is made, lost or overdrawn."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.domain.commands import (
    AddFunds,
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
    WalletCommand,
)
from ledger_streams.domain.hold_decisions import NOTHING, WalletDecision
from ledger_streams.domain.ids import HoldId, PaymentId, derived_id
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldReleased,
    WalletEvent,
)
from tests.model.samples import AT_MS, EXPIRES_MS, PAYMENT, SOURCE, USER, opened

CALLERS = [HoldId(derived_id(f"hold {number}")) for number in range(3)]
PAYMENTS = [PAYMENT, PaymentId(derived_id("other payment"))]
ENOUGH = AddFunds(SOURCE, PAYMENT, 2_000, "EUR", Counterparty.EXTERNAL, 2)

some_currency = st.sampled_from(["EUR", "EUR", "USD", "JPY"])
some_minor = st.integers(1, 2_000)
limits = st.dictionaries(some_currency, st.integers(0, 1_000), max_size=2)
reasons = st.sampled_from(["a", "b"])
source, counterparties = st.just(SOURCE), st.sampled_from(Counterparty)
payments, callers = st.sampled_from(PAYMENTS), st.sampled_from(CALLERS)
own = payments.map(lambda payment_id: HoldFunds(SOURCE, HoldId(payment_id), 700, "EUR", payment_id, 2))
expiries = st.sampled_from([None, EXPIRES_MS])
money_commands: st.SearchStrategy[WalletCommand] = st.one_of(
    st.builds(
        AddFunds, source, payments, some_minor, some_currency, counterparties, st.just(2), st.booleans()
    ),
    st.builds(DeductFunds, source, payments, some_minor, some_currency, counterparties, st.just(2)),
    st.builds(HoldFunds, source, callers, some_minor, some_currency, expires_ms=expiries),
    own,
    st.builds(CaptureHold, source, payments, callers, some_minor, some_currency, counterparties, st.just(2)),
    own.map(lambda held: CaptureHold(SOURCE, PAYMENT, held.hold_id, 700, "EUR", Counterparty.EXTERNAL, 4)),
    st.builds(ReleaseHold, source, callers, reasons),
    payments.map(lambda payment_id: ReleaseHold(SOURCE, HoldId(payment_id), "no", payment_id, 4)),
    st.builds(ExpireHold, source, callers, st.just(EXPIRES_MS)),
)
people = st.sampled_from(["Ada", "Bob"])
wallet_commands: st.SearchStrategy[WalletCommand] = st.one_of(
    money_commands,
    money_commands,
    st.builds(FreezeWallet, source, reasons),
    st.builds(UnfreezeWallet, source, reasons),
    st.builds(CloseWallet, source, reasons),
    st.builds(ChangeLimits, source, limits),
    st.builds(ProposeReopening, source, reasons, people),
    st.builds(ApproveReopening, source, people),
    st.builds(OpenWallet, source, st.just(USER), st.sampled_from([("EUR",), ("EUR", "USD")]), st.just({})),
)
histories = st.lists(wallet_commands, max_size=40)
open_ones = st.sampled_from([opened(), opened(limit_minor=900, currencies=("EUR", "USD"))])
beginnings = st.none() | open_ones


def is_sent(wallet: Wallet | None, command: WalletCommand) -> bool:
    """Tell whether anybody would send this: a payment releases and captures what it holds alone."""
    if not isinstance(command, ReleaseHold) or command.payment_id is None:
        return True
    return wallet is not None and command.hold_id in wallet.holds


def decided(wallet: Wallet | None, commands: list[WalletCommand]) -> list[WalletEvent]:
    """Return all events that the commands cause, one after the other."""
    events: list[WalletEvent] = []
    for command in commands:
        for event in decide(wallet, command).events if is_sent(wallet, command) else ():
            wallet = evolve(wallet, event)
            events.append(event)
    return events


@given(beginnings, histories)
def test_a_replay_of_the_wire_equals_the_fold(wallet: Wallet | None, commands: list[WalletCommand]) -> None:
    replayed = wallet
    for number, event in enumerate(decided(wallet, commands)):
        wallet = evolve(wallet, event)
        cause = derived_id(str(number))
        value = wire.encode_wallet_event(event, wallet, command_id=cause, append_ms=AT_MS)
        read = wire.read_wallet_event(value, key=SOURCE.encode())
        replayed = evolve(replayed, read.event)
        assert wallet == replayed == read.wallet == wire.read_wallet(value)
        assert wire.decode_wallet_state(wire.encode_wallet_state(wallet)) == wallet
        assert sum(posting.amount_minor for posting in postings_of(event)) == 0


@given(beginnings, histories)
def test_no_wallet_is_overdrawn_and_its_holds_sum_to_the_held_amount(
    wallet: Wallet | None, commands: list[WalletCommand]
) -> None:
    for command in commands:
        for event in decide(wallet, command).events if is_sent(wallet, command) else ():
            wallet = evolve(wallet, event)
        sums: Counter[str] = Counter()
        for hold in wallet.holds.values() if wallet is not None else ():
            assert hold.amount_minor > 0
            sums[hold.currency] += hold.amount_minor
        for currency, balance in wallet.balances.items() if wallet is not None else ():
            assert balance.available_minor >= -balance.overdraft_limit_minor
            assert balance.held_minor == sums[currency]


@given(beginnings, histories)
def test_balances_equal_credits_minus_deductions(
    wallet: Wallet | None, commands: list[WalletCommand]
) -> None:
    sums: Counter[str] = Counter()
    for event in decided(wallet, commands):
        wallet = evolve(wallet, event)
        if isinstance(event, BalanceAdded):
            sums[event.currency] += event.amount_minor
        elif isinstance(event, BalanceDeducted):
            sums[event.currency] -= event.amount_minor
    for currency, balance in wallet.balances.items() if wallet is not None else ():
        assert balance.balance_minor == sums[currency]


@given(beginnings, histories)
def test_captures_and_releases_never_exceed_the_hold(
    wallet: Wallet | None, commands: list[WalletCommand]
) -> None:
    left: Counter[HoldId] = Counter()
    for event in decided(wallet, commands):
        if isinstance(event, FundsHeld):
            left[event.hold_id] += event.amount_minor
        elif isinstance(event, BalanceDeducted) and event.hold_id is not None:
            left[event.hold_id] -= event.amount_minor
        elif isinstance(event, HoldReleased):
            left[event.hold_id] -= event.amount_minor
            assert left[event.hold_id] == 0
        assert all(minor >= 0 for minor in left.values())


@given(beginnings, histories, wallet_commands)
def test_a_leg_of_a_payment_is_answered_once_and_nothing_else_is(
    wallet: Wallet | None, commands: list[WalletCommand], last: WalletCommand
) -> None:
    for event in decided(wallet, commands):
        wallet = evolve(wallet, event)
    assume(is_sent(wallet, last))
    decision = decide(wallet, last)
    assert decision == decide(wallet, last)
    if isinstance(last, LegCommand) and last.saga_version is not None:
        assert_answers(decision, last)
        assert len(decision.events) <= 2
    else:
        assert decision.reply is None
        assert len(decision.events) <= 1


def assert_answers(decision: WalletDecision, leg: LegCommand) -> None:
    reply = decision.reply
    assert reply is not None
    assert (reply.payment_id, reply.version, reply.wallet_id) == (leg.payment_id, leg.saga_version, SOURCE)
    if not isinstance(leg, ReleaseHold):
        assert (reply.amount_minor, reply.currency) == (leg.amount_minor, leg.currency)
    if decision.events:
        assert reply.wallet_version == decision.events[-1].version


@given(open_ones, histories, callers, some_minor, expiries)
def test_a_caller_s_hold_asked_for_twice_in_a_row_is_one(
    wallet: Wallet,
    commands: list[WalletCommand],
    hold_id: HoldId,
    amount_minor: int,
    expires_ms: int | None,
) -> None:
    hold = HoldFunds(SOURCE, hold_id, amount_minor, "EUR", expires_ms=expires_ms)
    events = decided(wallet, [*commands, UnfreezeWallet(SOURCE, "a"), ENOUGH, hold])
    for event in events:
        wallet = evolve(wallet, event)
    assume(isinstance(events[-1], FundsHeld) if events else False)
    assert decide(wallet, hold) == NOTHING
