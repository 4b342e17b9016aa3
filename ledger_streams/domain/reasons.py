"""Reasons: the closed list of causes of failures, refusals and parked records.

The reasons are part of the contract: events, dead letters, responses and labels of metrics carry
them.  A new reason is a change of the contract.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a payment failed, a command was refused or a record was parked."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    WALLET_NOT_FOUND = "wallet_not_found"
    WALLET_FROZEN = "wallet_frozen"
    WALLET_CLOSED = "wallet_closed"
    CURRENCY_MISMATCH = "currency_mismatch"
    LIMIT_EXCEEDED = "limit_exceeded"
    SAME_WALLET = "same_wallet"
    PROVIDER_DECLINED = "provider_declined"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    DUPLICATE_MISMATCH = "duplicate_mismatch"
    INVALID = "invalid"
    NOT_EMPTY = "not_empty"
    """Only of CloseWallet: a wallet that still holds or owes money stays."""
    WRONG_PARTITION = "wrong_partition"
    """Only of dead letters and parked records: the record's partition is not its key's."""
