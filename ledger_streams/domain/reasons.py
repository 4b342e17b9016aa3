"""Reasons: the closed list of causes of failures, refusals and parked records.

The reasons are part of the contract: events, dead letters, responses and labels of metrics carry
them.  A new reason is a change of the contract.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a payment failed, a command was refused or a record was parked.

    The text below a value says what it means, and then what the caller can do.
    """

    INSUFFICIENT_FUNDS = "insufficient_funds"
    """The wallet, or the hold, has less than the amount available, overdraft included.

    Put money in, or ask for less under a new id.
    """
    WALLET_NOT_FOUND = "wallet_not_found"
    """A wallet of the payment was never opened.

    Check the id, or open the wallet.
    """
    WALLET_FROZEN = "wallet_frozen"
    """The wallet pays nothing while it is frozen.

    Unfreeze it, and ask again under a new id.
    """
    WALLET_CLOSED = "wallet_closed"
    """The wallet is closed.

    Use another wallet.
    """
    CURRENCY_MISMATCH = "currency_mismatch"
    """A wallet does not hold the currency, or a refund is in another currency than its payment.

    Use a wallet and a currency that fit.
    """
    LIMIT_EXCEEDED = "limit_exceeded"
    """More than is left of the payment to refund, or more money or holds than a wallet may have.

    Ask for less.
    """
    SAME_WALLET = "same_wallet"
    """Source and target are one wallet.

    Name two wallets.
    """
    PROVIDER_DECLINED = "provider_declined"
    """The provider declined the payment; `detail` has its words.

    Use another means of payment, under a new id.
    """
    PROVIDER_TIMEOUT = "provider_timeout"
    """The provider did not answer in time, and has then cancelled the payment.

    Try later, under a new id.
    """
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    """A record named a provider that is not configured; over HTTP that is `invalid`.

    Check the name, or LEDGER_PROVIDERS.
    """
    DUPLICATE_MISMATCH = "duplicate_mismatch"
    """The id or the key is known with other content; the first content is unchanged.

    Use a new id for a new payment.
    """
    INVALID = "invalid"
    """The content breaks the contract; `field` or `detail` says where.

    Correct the content.
    """
    NOT_EMPTY = "not_empty"
    """Only of CloseWallet: the wallet still holds or owes money.

    Empty it first.
    """
    WRONG_PARTITION = "wrong_partition"
    """Only of dead letters and parked records: the record's partition is not its key's.

    Set the producer's partitioner to murmur2, then redrive the dead letter.
    """
