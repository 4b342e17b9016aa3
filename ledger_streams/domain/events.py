"""Events: what has happened, in the past tense; the class's name is the event_type on the wire.

Wallet events belong to a wallet and carry its version after them.  Saga events belong to
a payment's saga, on saga-events; outcomes end a payment, on payment-events.  Money is
minor units here and decimal strings on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, UserId, WalletId


class WalletOpened(msgspec.Struct, frozen=True, gc=False):
    """A wallet begins, with every balance zero."""

    wallet_id: WalletId
    version: int
    user_id: UserId
    currencies: tuple[str, ...]
    overdraft_limits: Mapping[str, int]


class BalanceAdded(msgspec.Struct, frozen=True, gc=False):
    """Available went up; nothing else raises it."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty


class BalanceDeducted(msgspec.Struct, frozen=True, gc=False):
    """Available went down; nothing else lowers it."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty


class WalletFrozen(msgspec.Struct, frozen=True, gc=False):
    """Deductions are refused from here."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletUnfrozen(msgspec.Struct, frozen=True, gc=False):
    """Deductions are taken again."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletClosed(msgspec.Struct, frozen=True, gc=False):
    """The wallet, empty, has ended; only compensations still reach it."""

    wallet_id: WalletId
    version: int
    reason: str


class LimitsChanged(msgspec.Struct, frozen=True, gc=False):
    """The overdraft limits of these currencies are now these."""

    wallet_id: WalletId
    version: int
    overdraft_limits: Mapping[str, int]


class WalletCommandRefused(msgspec.Struct, frozen=True, gc=False):
    """An administrative command was refused; only the version moves."""

    wallet_id: WalletId
    version: int
    command: str
    reason: str
    detail: str


WalletEvent = (
    WalletOpened
    | BalanceAdded
    | BalanceDeducted
    | WalletFrozen
    | WalletUnfrozen
    | WalletClosed
    | LimitsChanged
    | WalletCommandRefused
)


class PaymentKind(StrEnum):
    """Between whom the money moves."""

    TRANSFER = "transfer"
    """From a source wallet to a target wallet."""
    DEPOSIT = "deposit"
    """From the outside world to a target wallet."""
    WITHDRAWAL = "withdrawal"
    """From a source wallet to the outside world."""


class PaymentRequest(msgspec.Struct, frozen=True, gc=False):
    """What a payment asks for; which wallets are set follows from the kind."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None = None
    target_wallet_id: WalletId | None = None
    provider: str | None = None
    user_id: UserId | None = None


class SagaStarted(msgspec.Struct, frozen=True, gc=False):
    """A payment sets out; `data` is the request's content as it came, JSON."""

    request: PaymentRequest
    data: msgspec.Raw
    version: int = 1

    @property
    def payment_id(self) -> PaymentId:
        """The payment it is about, as of every saga event."""
        return self.request.payment_id


class WalletDeducted(msgspec.Struct, frozen=True, gc=False):
    """The money has left the wallet, whose version is now `wallet_version`."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int


class WalletDeductionRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet keeps its money; `wallet_version` is what it was, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str


class WalletCredited(msgspec.Struct, frozen=True, gc=False):
    """The money is in the wallet, whose version is now `wallet_version`."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    compensates: bool = False


class WalletCreditRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet did not take the money; `wallet_version` is what it was, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str
    compensates: bool = False


class SagaCompensated(msgspec.Struct, frozen=True, gc=False):
    """The payer has the money back."""

    payment_id: PaymentId
    version: int
    amount_minor: int
    currency: str
    reason: str


class SagaCompleted(msgspec.Struct, frozen=True, gc=False):
    """The payment was carried out."""

    payment_id: PaymentId
    version: int
    amount_minor: int
    currency: str


class SagaFailed(msgspec.Struct, frozen=True, gc=False):
    """The payment was not carried out; of version 1 it never set out, and has no amount."""

    payment_id: PaymentId
    version: int
    reason: str
    amount_minor: int | None = None
    currency: str | None = None
    detail: str | None = None


WalletReply = WalletDeducted | WalletDeductionRefused | WalletCredited | WalletCreditRefused
SagaEnd = SagaCompensated | SagaCompleted | SagaFailed
SagaEvent = SagaStarted | WalletReply | SagaEnd


class PaymentCompleted(msgspec.Struct, frozen=True, gc=False):
    """The payment's end, with the version of each wallet it touched."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    wallets: Mapping[str, int]
    version: int = 2


class PaymentFailed(msgspec.Struct, frozen=True, gc=False):
    """The payment's end without effect; `wallets` has what was taken and given back."""

    payment_id: PaymentId
    reason: str
    wallets: Mapping[str, int]
    detail: str | None = None
    version: int = 2


PaymentOutcome = PaymentCompleted | PaymentFailed
