"""Reopening of a closed wallet: its commands on wallet-commands and its events on wallet-events."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.domain.commands import ApproveReopening, ProposeReopening
from ledger_streams.domain.ids import WalletId
from ledger_streams.domain.money import invalid
from ledger_streams.domain.wallet_events import WalletReopened, WalletReopeningProposed
from ledger_streams.wire.documents import decode_with

NAME_CHARACTERS_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 500
COMMANDS: Final = frozenset({"ProposeReopening", "ApproveReopening"})
EVENTS: Final = frozenset({"WalletReopeningProposed", "WalletReopened"})


class _Propose(msgspec.Struct, gc=False):
    wallet_id: WalletId
    reason: str
    by: str


class _Approve(msgspec.Struct, gc=False):
    wallet_id: WalletId
    by: str


class _Proposed(msgspec.Struct, gc=False):
    payment_id: None
    reason: str
    by: str


class _Reopened(msgspec.Struct, gc=False):
    payment_id: None
    reason: str
    proposed_by: str
    approved_by: str


_propose = msgspec.json.Decoder(_Propose).decode
_approve = msgspec.json.Decoder(_Approve).decode
_proposed = msgspec.json.Decoder(_Proposed).decode
_reopened = msgspec.json.Decoder(_Reopened).decode


def read_reopening_command(name: str, data: msgspec.Raw) -> ProposeReopening | ApproveReopening:
    """Decode a command of `COMMANDS`; raises Unreadable."""
    if name == "ProposeReopening":
        proposal: _Propose = decode_with(_propose, data, "data.")
        reason = checked_words(proposal.reason, "data.reason", characters_max=REASON_CHARACTERS_MAX)
        return ProposeReopening(proposal.wallet_id, reason, checked_name(proposal.by, at="data."))
    approval: _Approve = decode_with(_approve, data, "data.")
    return ApproveReopening(approval.wallet_id, checked_name(approval.by, at="data."))


def checked_name(name: str, *, at: str) -> str:
    """Return the name of a person; raises Unreadable for an empty, long or unprintable one."""
    return checked_words(name, f"{at}by", characters_max=NAME_CHARACTERS_MAX)


def checked_words(text: str, field: str, *, characters_max: int = REASON_CHARACTERS_MAX) -> str:
    """Return text of one printable line; raises Unreadable for an empty, long or unprintable one."""
    if not text.strip() or not text.isprintable() or len(text) > characters_max:
        raise invalid(
            field, f"must be printable text of 1 to {characters_max} characters, got {len(text)} characters"
        )
    return text


def reopening_command_data(command: ProposeReopening | ApproveReopening) -> _Propose | _Approve:
    """Return a command's `data`."""
    if isinstance(command, ProposeReopening):
        return _Propose(command.wallet_id, command.reason, command.by)
    return _Approve(command.wallet_id, command.by)


def read_reopening_event(
    name: str, data: msgspec.Raw, wallet_id: WalletId, version: int
) -> WalletReopeningProposed | WalletReopened:
    """Decode an event of `EVENTS`; raises Unreadable."""
    if name == "WalletReopeningProposed":
        proposed: _Proposed = decode_with(_proposed, data, "data.")
        return WalletReopeningProposed(wallet_id, version, proposed.reason, proposed.by)
    reopened: _Reopened = decode_with(_reopened, data, "data.")
    people = reopened.proposed_by, reopened.approved_by
    return WalletReopened(wallet_id, version, reopened.reason, *people)


def reopening_event_data(event: WalletReopeningProposed | WalletReopened) -> _Proposed | _Reopened:
    """Return an event's `data`."""
    if isinstance(event, WalletReopeningProposed):
        return _Proposed(None, event.reason, event.by)
    return _Reopened(None, event.reason, event.proposed_by, event.approved_by)
