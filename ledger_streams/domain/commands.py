"""Commands to a wallet: what it is asked to do, in the imperative.

Legs are steps of a payment, sent by its saga: to take, give, hold, capture or release;
the others are administrative, callers' holds among them.  A command carries no state and
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
    """When it is released by itself, ms since 1970; a payment's hold is not."""


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
    """Make available again what is left of a hold; without a payment a caller asks, for a caller's hold."""

    wallet_id: WalletId
    hold_id: HoldId
    reason: str
    payment_id: PaymentId | None = None
    saga_version: int | None = None


class ExpireHold(msgspec.Struct, frozen=True, gc=False):
    """Release a hold whose time has come; the wallets agent asks for it."""

    wallet_id: WalletId
    hold_id: HoldId
    expires_ms: int


class OpenWallet(msgspec.Struct, frozen=True, gc=False):
    """Open a wallet; `overdraft_limits` are minor units by currency, one left out is zero."""

    wallet_id: WalletId
    user_id: UserId
    currencies: tuple[str, ...]
    overdraft_limits: Mapping[str, int]


class FreezeWallet(msgspec.Struct, frozen=True, gc=False):
    """Refuse deductions from now on; credits are taken."""

    wallet_id: WalletId
    reason: str


class UnfreezeWallet(msgspec.Struct, frozen=True, gc=False):
    """Take deductions again."""

    wallet_id: WalletId
    reason: str


class CloseWallet(msgspec.Struct, frozen=True, gc=False):
    """Close an empty wallet for ever, unless a payment under way gives money back to it afterwards."""

    wallet_id: WalletId
    reason: str


class ChangeLimits(msgspec.Struct, frozen=True, gc=False):
    """Set the overdraft limits of the currencies named, in minor units; the others stay."""

    wallet_id: WalletId
    overdraft_limits: Mapping[str, int]


class ProposeReopening(msgspec.Struct, frozen=True, gc=False):
    """Ask a second person to reopen a closed wallet to which money has come back; `by` is the first one."""

    wallet_id: WalletId
    reason: str
    by: str


class ApproveReopening(msgspec.Struct, frozen=True, gc=False):
    """Reopen the wallet, as another person than `by` has proposed."""

    wallet_id: WalletId
    by: str


FundsCommand = DeductFunds | AddFunds
HoldCommand = HoldFunds | CaptureHold | ReleaseHold | ExpireHold
LegCommand = FundsCommand | HoldFunds | CaptureHold | ReleaseHold
"""A leg of a payment; answered on saga-events."""
ReopeningCommand = ProposeReopening | ApproveReopening
AdministrativeCommand = (
    OpenWallet | FreezeWallet | UnfreezeWallet | CloseWallet | ChangeLimits | ReopeningCommand
)
WalletCommand = FundsCommand | HoldCommand | AdministrativeCommand
