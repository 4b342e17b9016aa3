"""Wallets and sagas: a replay is the fold, every saga ends, and money is never made or lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.domain.commands import (
    AddFunds,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    FreezeWallet,
    LegCommand,
    OpenWallet,
    UnfreezeWallet,
    WalletCommand,
)
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentOutcome,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletReply,
)
from ledger_streams.domain.ids import derived_id
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.saga import ENDS, Saga, decide
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_decisions import decide as decide_wallet
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, WalletEvent
from tests.model.samples import AT_MS, PAYMENT, SOURCE, USER, content, deposit, started, withdrawal

some_currency = st.sampled_from(["EUR", "USD", "JPY"])
some_minor = st.integers(1, 2_000)
limits = st.dictionaries(some_currency, st.integers(0, 1_000), max_size=2)
reasons = st.sampled_from(["a", "b"])
wallet_commands: st.SearchStrategy[WalletCommand] = st.one_of(
    st.builds(
        AddFunds,
        st.just(SOURCE),
        st.just(PAYMENT),
        some_minor,
        some_currency,
        st.sampled_from(Counterparty),
        st.just(2),
        st.booleans(),
    ),
    st.builds(
        DeductFunds,
        st.just(SOURCE),
        st.just(PAYMENT),
        some_minor,
        some_currency,
        st.sampled_from(Counterparty),
        st.just(2),
    ),
    st.builds(FreezeWallet, st.just(SOURCE), reasons),
    st.builds(UnfreezeWallet, st.just(SOURCE), reasons),
    st.builds(CloseWallet, st.just(SOURCE), reasons),
    st.builds(ChangeLimits, st.just(SOURCE), limits),
    st.builds(
        OpenWallet, st.just(SOURCE), st.just(USER), st.sampled_from([("EUR",), ("EUR", "USD")]), st.just({})
    ),
)


@given(st.lists(wallet_commands, max_size=40))
def test_a_replay_of_the_wire_is_the_fold_and_the_invariants_hold(commands: list[WalletCommand]) -> None:
    wallet: Wallet | None = None
    replayed: Wallet | None = None
    for number, command in enumerate(commands):
        decision = decide_wallet(wallet, command)
        assert decision == decide_wallet(wallet, command)
        if decision.event is None:
            continue
        wallet = evolve(wallet, decision.event)
        cause = derived_id(str(number))
        value = wire.encode_wallet_event(decision.event, wallet, command_id=cause, append_ms=AT_MS)
        read = wire.read_wallet_event(value, key=SOURCE.encode())
        replayed = evolve(replayed, read.event)
        assert wallet == replayed == read.wallet == wire.read_wallet(value)
        assert wire.decode_wallet_state(wire.encode_wallet_state(wallet)) == wallet
        for balance in wallet.balances.values():
            assert balance.available_minor >= -balance.overdraft_limit_minor
        assert sum(posting.amount_minor for posting in postings_of(decision.event)) == 0


@given(st.lists(wallet_commands, max_size=40))
def test_balances_are_what_was_added_less_what_was_deducted(commands: list[WalletCommand]) -> None:
    wallet: Wallet | None = None
    sums: Counter[str] = Counter()
    for command in commands:
        event = decide_wallet(wallet, command).event
        wallet = evolve(wallet, event) if event is not None else wallet
        if isinstance(event, BalanceAdded):
            sums[event.currency] += event.amount_minor
        elif isinstance(event, BalanceDeducted):
            sums[event.currency] -= event.amount_minor
    for currency, balance in wallet.balances.items() if wallet is not None else ():
        assert balance.balance_minor == sums[currency]


@given(st.sampled_from([content(), deposit(), withdrawal()]), st.lists(st.booleans(), min_size=4, max_size=4))
def test_every_saga_ends_whatever_the_wallets_say_and_its_postings_sum_to_zero(
    data: dict[str, object], answers: list[bool]
) -> None:
    saga, outcomes, moved = play(data, answers)
    assert saga.status in ENDS
    assert len(outcomes) == 1
    accounts: Counter[str] = Counter()
    for event in moved:
        for posting in postings_of(event):
            accounts[posting.account] += posting.amount_minor
    assert sum(accounts.values()) == 0
    assert accounts["transit:EUR"] == 0
    if not isinstance(outcomes[0], PaymentCompleted):
        assert not any(accounts.values())


def play(
    data: dict[str, object], answers: list[bool]
) -> tuple[Saga, list[PaymentOutcome], list[WalletEvent]]:
    """Run a saga against wallets that take or refuse what they are asked; each reply comes twice."""
    decision = decide(None, started(data), at_ms=AT_MS)
    outcomes: list[PaymentOutcome] = []
    moved: list[WalletEvent] = []
    saga = decision.saga
    while decision.command is not None:
        reply, event = answer(decision.command, takes=answers.pop(0))
        moved += [event] if event is not None else []
        decision = decide(saga, reply, at_ms=AT_MS)
        saga = decision.saga
        assert saga is not None
        assert wire.decode_saga_state(wire.encode_saga_state(saga)) == saga
        assert decide(saga, reply, at_ms=AT_MS).saga is None
        outcomes += [decision.outcome] if decision.outcome is not None else []
    assert saga is not None
    return saga, outcomes, moved


def answer(command: LegCommand, *, takes: bool) -> tuple[WalletReply, WalletEvent | None]:
    """Answer as a wallet: a compensation is always taken."""
    money = (command.wallet_id, command.amount_minor, command.currency, 5)
    legs = (command.wallet_id, 5, PAYMENT, command.amount_minor, command.currency, command.counterparty)
    if isinstance(command, DeductFunds):
        if takes:
            return WalletDeducted(PAYMENT, command.saga_version, *money), BalanceDeducted(*legs)
        return WalletDeductionRefused(PAYMENT, command.saga_version, *money, "wallet_frozen"), None
    if takes or command.compensates:
        return WalletCredited(PAYMENT, command.saga_version, *money, command.compensates), BalanceAdded(*legs)
    return WalletCreditRefused(PAYMENT, command.saga_version, *money, "wallet_closed"), None
