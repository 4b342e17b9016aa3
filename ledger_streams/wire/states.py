"""States: what the tables keep, as bytes for RocksDB and the changelogs.

JSON all of them, so that a person can read a table: sagas and known payments as
objects, for their changelogs live long; wallets, rewritten at every event and mirrored
by wallet-events, as arrays.  What cannot be decoded here the system itself has written
wrongly: InvariantBroken.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ledger_streams.domain.payment import PaymentKnown
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.wallet import Wallet
from ledger_streams.errors import InvariantBroken

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_wallet = msgspec.json.Decoder(Wallet)
_saga = msgspec.json.Decoder(Saga)
_known = msgspec.json.Decoder(PaymentKnown)


def encode_wallet_state(wallet: Wallet) -> bytes:
    """Write a wallet as a compact array."""
    return _encode(wallet)


def decode_wallet_state(value: bytes) -> Wallet:
    """Read what `encode_wallet_state` wrote."""
    return _decode(_wallet, value)


def encode_saga_state(saga: Saga) -> bytes:
    """Write a saga as an object."""
    return _encode(saga)


def decode_saga_state(value: bytes) -> Saga:
    """Read what `encode_saga_state` wrote."""
    return _decode(_saga, value)


def encode_known_payment(known: PaymentKnown) -> bytes:
    """Write what is known of a payment as an object."""
    return _encode(known)


def decode_known_payment(value: bytes) -> PaymentKnown:
    """Read what `encode_known_payment` wrote."""
    return _decode(_known, value)


def _decode(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvariantBroken(f"a state cannot be read: {error}") from error
