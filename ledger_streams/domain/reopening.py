"""Reopening: releases money that a compensation has returned to a closed wallet.

A payment may debit a wallet, be refused by the payee, and compensate the wallet after somebody
closed it in between.  A closed wallet accepts compensations, so it can be closed with a balance.
Two people with different names then reopen it, and an ordinary payment moves the money.  An empty
closed wallet stays closed.
"""

from __future__ import annotations

from ledger_streams.domain.commands import ApproveReopening, ProposeReopening
from ledger_streams.domain.hold_decisions import refused
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.wallet import Reopening, Wallet, WalletStatus
from ledger_streams.domain.wallet_events import WalletCommandRefused, WalletReopened, WalletReopeningProposed

ReopeningEvent = WalletReopeningProposed | WalletReopened | WalletCommandRefused


def decide_reopening(wallet: Wallet, command: ProposeReopening | ApproveReopening) -> ReopeningEvent | None:
    """Return the decision of a closed wallet with a balance on a proposal or an approval."""
    if wallet.status is not WalletStatus.CLOSED:
        return refused(wallet, command, Reason.INVALID, f"the wallet is {wallet.status}, not closed")
    if not any(balance.available_minor or balance.held_minor for balance in wallet.balances.values()):
        return refused(wallet, command, Reason.WALLET_CLOSED, "the wallet is empty and closed for ever")
    if isinstance(command, ProposeReopening):
        if wallet.reopening == Reopening(command.reason, command.by):
            return None
        return WalletReopeningProposed(wallet.wallet_id, wallet.version + 1, command.reason, command.by)
    return _approved(wallet, command)


def _approved(wallet: Wallet, command: ApproveReopening) -> ReopeningEvent:
    proposed = wallet.reopening
    if proposed is None:
        return refused(wallet, command, Reason.INVALID, "nobody has proposed to reopen the wallet")
    if _is_same_person(proposed.by, command.by):
        return refused(wallet, command, Reason.INVALID, "the person who has proposed it may not approve it")
    version = wallet.version + 1
    return WalletReopened(wallet.wallet_id, version, proposed.reason, proposed.by, command.by)


def _is_same_person(one: str, other: str) -> bool:
    """Compare names without case and blanks, which one person types in different ways."""
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()
