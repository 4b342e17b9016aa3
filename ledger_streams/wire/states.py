"""States: encodes table values as bytes for RocksDB and the changelogs.

All values are JSON, so that a person can read a table.  Sagas and known payments are
objects, because their changelogs live long.  Wallets are compact arrays: each event rewrites
them, and wallet-events has a copy.  Only the system writes these values, so a value that
cannot be decoded raises InvariantBroken.
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
    """Encode a wallet as a compact array."""
    return _encode(wallet)


def decode_wallet_state(value: bytes) -> Wallet:
    """Decode a value of `encode_wallet_state`."""
    return _decode(_wallet, value)


def encode_saga_state(saga: Saga) -> bytes:
    """Encode a saga as an object."""
    return _encode(saga)


def decode_saga_state(value: bytes) -> Saga:
    """Decode a value of `encode_saga_state`."""
    return _decode(_saga, value)


def encode_known_payment(known: PaymentKnown) -> bytes:
    """Encode a known payment as an object."""
    return _encode(known)


def decode_known_payment(value: bytes) -> PaymentKnown:
    """Decode a value of `encode_known_payment`."""
    return _decode(_known, value)


def _decode(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvariantBroken(
            f"a table value of type {decoder.type.__name__} cannot be decoded: {error}"
        ) from error
