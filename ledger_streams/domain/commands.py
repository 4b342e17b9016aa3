"""Commands to a wallet, in the imperative.

A saga sends the legs of its payment: deduct, add, hold, capture, release.  The other commands are
administrative, callers' holds among them.  A command carries no state and
no outcome; `saga_version` is the version that the reply on saga-events will bear.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId


class Counterparty(StrEnum):
    """The account opposite to the wallet in a movement."""

    TRANSIT = "transit"
    EXTERNAL = "external"


class DeductFunds(msgspec.Struct, frozen=True, gc=False):
    """Take money out of a wallet, down to its overdraft limit."""

    wallet_id: WalletId
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty
    saga_version: int


class AddFunds(msgspec.Struct, frozen=True, gc=False):
    """Give money to a wallet; `compensates` when it gives back what the same payment took."""

    wallet_id: WalletId
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty
    saga_version: int
    compensates: bool = False


class HoldFunds(msgspec.Struct, frozen=True, gc=False):
    """Set money aside in a wallet, for a payment or, without one, for a caller."""

    wallet_id: WalletId
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId | None = None
    saga_version: int | None = None
    expires_ms: int | None = None
    """Expiry in ms since 1970; None, as for a payment's hold, never expires."""


class CaptureHold(msgspec.Struct, frozen=True, gc=False):
    """Take money out of a hold, at most what is left in it; the rest stays held."""

    wallet_id: WalletId
    payment_id: PaymentId
    hold_id: HoldId
    amount_minor: int
    currency: str
    counterparty: Counterparty
    saga_version: int


class ReleaseHold(msgspec.Struct, frozen=True, gc=False):
    """Release the rest of a hold; without a payment it is a caller's command for a caller's hold."""

    wallet_id: WalletId
    hold_id: HoldId
    reason: str
    payment_id: PaymentId | None = None
    saga_version: int | None = None


class ExpireHold(msgspec.Struct, frozen=True, gc=False):
    """Release an expired hold; the wallets agent sends it."""

    wallet_id: WalletId
    hold_id: HoldId
    expires_ms: int


class OpenWallet(msgspec.Struct, frozen=True, gc=False):
    """Open a wallet; `overdraft_limits` are minor units by currency, zero for a currency left out."""

    wallet_id: WalletId
    user_id: UserId
    currencies: tuple[str, ...]
    overdraft_limits: Mapping[str, int]


class FreezeWallet(msgspec.Struct, frozen=True, gc=False):
    """Refuse deductions from now on; the wallet still accepts credits."""

    wallet_id: WalletId
    reason: str


class UnfreezeWallet(msgspec.Struct, frozen=True, gc=False):
    """Allow deductions again."""

    wallet_id: WalletId
    reason: str


class CloseWallet(msgspec.Struct, frozen=True, gc=False):
    """Close an empty wallet; only a compensation of a payment in flight makes it reopenable."""

    wallet_id: WalletId
    reason: str


class ChangeLimits(msgspec.Struct, frozen=True, gc=False):
    """Set the overdraft limits of the currencies named, in minor units; the others stay."""

    wallet_id: WalletId
    overdraft_limits: Mapping[str, int]


class ProposeReopening(msgspec.Struct, frozen=True, gc=False):
    """Propose to reopen a closed wallet that holds compensated money; `by` is the first person."""

    wallet_id: WalletId
    reason: str
    by: str


class ApproveReopening(msgspec.Struct, frozen=True, gc=False):
    """Approve the reopening; `by` must differ from the proposer."""

    wallet_id: WalletId
    by: str


FundsCommand = DeductFunds | AddFunds
HoldCommand = HoldFunds | CaptureHold | ReleaseHold | ExpireHold
LegCommand = FundsCommand | HoldFunds | CaptureHold | ReleaseHold
"""A leg of a payment; the wallet replies on saga-events."""
ReopeningCommand = ProposeReopening | ApproveReopening
AdministrativeCommand = (
    OpenWallet | FreezeWallet | UnfreezeWallet | CloseWallet | ChangeLimits | ReopeningCommand
)
WalletCommand = FundsCommand | HoldCommand | AdministrativeCommand
