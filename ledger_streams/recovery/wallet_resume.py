"""Resume of a wallet: its last known state and the lost legs that other records prove.

Versions named in other records keep their numbers; an unknown version between them is filled with an
event of reason `lost`.  A lost credit cannot be restored, so a proven debit of it may leave the wallet
below its limit; the debit is applied all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain import wallet as wallets
from ledger_streams.domain.commands import AddFunds, CaptureHold, DeductFunds, HoldFunds, LegCommand
from ledger_streams.domain.ids import derived_id
from ledger_streams.domain.wallet import Wallet
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    WalletCommandRefused,
    WalletEvent,
)
from ledger_streams.errors import InvariantBroken
from ledger_streams.recovery.saga_resume_facts import LostLeg

LOST: Final = "lost"
"""Reason of an event that stands for an unknown one; it changes only the version."""


class ReissuedEvent(msgspec.Struct, frozen=True):
    """An event written again and the wallet after it."""

    wallet: Wallet
    value: bytes


def reissue_lost_legs(wallet: Wallet | None, lost: Sequence[LostLeg]) -> list[ReissuedEvent]:
    """Return the events that apply the lost legs to the wallet, in order.

    Raises InvariantBroken when the wallet is unknown, or when its own events contradict a leg.
    """
    written: list[ReissuedEvent] = []
    for leg in sorted(lost, key=lambda leg: (not leg.is_half_known, leg.wallet_version)):
        command = leg.command
        if wallet is None:
            raise InvariantBroken(
                f"wallet {command.wallet_id}: payment {command.payment_id} has moved its money, "
                "and that it was opened is not known"
            )
        if 0 < leg.wallet_version <= wallet.version and not written:
            raise InvariantBroken(
                f"wallet {wallet.wallet_id} is known up to version {wallet.version}, payment "
                f"{command.payment_id} names version {leg.wallet_version}, which is another event"
            )
        for event, command_id in _events(wallet, leg):
            wallet = wallets.evolve(wallet, event)
            value = wire.encode_wallet_event(event, wallet, command_id=command_id, append_ms=leg.at_ms)
            written.append(ReissuedEvent(wallet, value))
    return written


def _events(wallet: Wallet, leg: LostLeg) -> Iterator[tuple[WalletEvent, str]]:
    """Yield fill-in events for unknown versions, then the leg's events."""
    if leg.is_half_known and isinstance(leg.command, CaptureHold):
        yield _capture_event(wallet, leg.command, wallet.version + 1), wire.command_id(leg.command)
        return
    count = len(_leg_events(wallet, leg.command, wallet.version + 1))
    first = max(wallet.version + 1, leg.wallet_version - count + 1)
    for version in range(wallet.version + 1, first):
        detail = "what this version was is lost"
        yield _lost_event(wallet, version, detail), derived_id(f"{wallet.wallet_id}:{LOST}:{version}")
    for event in _leg_events(wallet, leg.command, first):
        yield event, wire.command_id(leg.command)


def _capture_event(wallet: Wallet, command: CaptureHold, version: int) -> HoldCaptured:
    """Return the second event of a capture whose first event is known."""
    left_minor = wallet.holds[command.hold_id].amount_minor
    money = (command.amount_minor, command.currency)
    return HoldCaptured(wallet.wallet_id, version, command.hold_id, *money, command.payment_id, left_minor)


def _lost_event(wallet: Wallet, version: int, detail: str) -> WalletCommandRefused:
    return WalletCommandRefused(wallet.wallet_id, version, "unknown", LOST, detail)


def _leg_events(wallet: Wallet, command: LegCommand, version: int) -> list[WalletEvent]:
    """Return the leg's events; a capture of a lost hold is a deduction from the available balance."""
    payment_id, hold_id = command.payment_id, getattr(command, "hold_id", None)
    assert payment_id is not None, "a leg of a payment"
    hold = None if hold_id is None else wallet.holds.get(hold_id)
    at = (wallet.wallet_id, version)
    match command:
        case AddFunds():
            money = (command.amount_minor, command.currency)
            return [BalanceAdded(*at, payment_id, *money, command.counterparty)]
        case HoldFunds():
            money = (command.amount_minor, command.currency)
            return [FundsHeld(*at, command.hold_id, *money, payment_id, command.expires_ms)]
        case DeductFunds() | CaptureHold():
            money = (command.amount_minor, command.currency)
            if (
                not isinstance(command, CaptureHold)
                or hold is None
                or hold.amount_minor < command.amount_minor
            ):
                return [BalanceDeducted(*at, payment_id, *money, command.counterparty)]
            deducted = BalanceDeducted(*at, payment_id, *money, command.counterparty, command.hold_id)
            after = wallets.evolve(msgspec.structs.replace(wallet, version=version - 1), deducted)
            return [deducted, _capture_event(after, command, version + 1)]
        case _ if hold is None:
            return [_lost_event(wallet, version, "the release of a hold that is lost")]
        case _:
            money = (hold.amount_minor, hold.currency)
            return [HoldReleased(*at, command.hold_id, *money, payment_id, command.reason)]
