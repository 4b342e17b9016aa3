"""Envelope: the JSON object around every event and command, and its common rules.

`documents` first checks the whole record, so that PostgreSQL can store it.  Then this module
decodes the envelope with `data` as raw JSON, and the module of the topic decodes `data` by
event type.  An invalid record raises Unreadable, which names the field and repeats no input
text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from ledger_streams.domain.ids import is_canonical_id
from ledger_streams.domain.money import invalid
from ledger_streams.wire.documents import decode_with, encode, read_record

SCHEMA_VERSION: Final = 1
TIME_CHARACTERS: Final = len("2026-11-24T22:00:00.000000Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Version = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""Version of an aggregate: counts from 1, and fits a BIGINT."""


class Envelope(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Any record of the system, with `data` and `wallet` as raw JSON."""

    event_id: str
    """UUID of the record; a record that is read again has the same."""
    event_type: str
    """Name of the event or command."""
    aggregate_id: str
    """UUID of the payment or wallet; the record's key."""
    event_version: Version
    """Version of the payment's saga or of the wallet with this event; 1 in a request."""
    occurred_at: str
    """Append time of the record that caused this one; in a request, the gateway's time."""
    correlation_id: str | None
    """UUID of the payment or wallet in whose course this happened."""
    causation_id: str | None
    """`event_id` of the record that caused this one; null without one."""
    data: msgspec.Raw
    """Content; the type says which fields it has."""
    schema_version: int = SCHEMA_VERSION
    """Version of the type's fields."""
    wallet: msgspec.Raw = msgspec.Raw()
    """Empty except on wallet-events; msgspec has no optional Raw."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """The envelope for encoding, its fields in the contract's order."""

    event_id: str
    event_type: str
    schema_version: int
    aggregate_id: str
    event_version: int
    occurred_at: str
    correlation_id: str
    causation_id: str | None
    data: Any
    wallet: Any = msgspec.UNSET


_too_fine = re.compile(r"\.[0-9]{7}").search
_envelope = msgspec.json.Decoder(Envelope).decode


def decode_envelope(value: bytes | None) -> Envelope:
    """Decode a record of any type, and check the whole of it by the rules of `documents`."""
    return decode_whole(value)[0]


def decode_whole(value: bytes | None) -> tuple[Envelope, dict[str, Any]]:
    """Decode a record as `decode_envelope` does; also return its `data` as a dict."""
    document = read_record(value)
    envelope: Envelope = decode_with(_envelope, value or b"")
    if envelope.schema_version != SCHEMA_VERSION:
        raise invalid("schema_version", f"must be {SCHEMA_VERSION}, got {envelope.schema_version}")
    check_id(envelope.event_id, "event_id")
    check_id(envelope.aggregate_id, "aggregate_id")
    return envelope, data_of(document)


def data_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the `data` of a decoded record; raises Unreadable unless it is an object."""
    data = document.get("data")
    if not isinstance(data, dict):
        raise invalid("data", "must be a JSON object")
    return data


def decode_stored(value: bytes | None) -> Envelope:
    """Decode a record as `decode_envelope` does, and check the ids that PostgreSQL stores."""
    envelope = decode_envelope(value)
    check_optional_ids(envelope)
    return envelope


def check_id(value: str, field: str) -> None:
    """Raise Unreadable unless the id is a canonical UUID."""
    if not is_canonical_id(value):
        raise invalid(field, "must be a UUID, lower-case and hyphenated")


def check_optional_ids(envelope: Any) -> None:
    """Raise Unreadable unless correlation_id and causation_id are canonical UUIDs or null."""
    for field in ("correlation_id", "causation_id"):
        if getattr(envelope, field) is not None:
            check_id(getattr(envelope, field), field)


def check_key(key: bytes | None, value: str, field: str) -> None:
    """Raise Unreadable unless the record's key equals the id in `field`."""
    if key != value.encode():
        raise invalid(field, "differs from the record's key")


@lru_cache(maxsize=2_048)
def time_text(at_ms: int) -> str:
    """Return milliseconds since 1970 as UTC text with six digits; cached, since a batch has one time."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str, *, field: str = "occurred_at") -> datetime:
    """Return an RFC 3339 time as UTC; raises Unreadable for more than six digits of a second's fraction."""
    if len(text) > TIME_CHARACTERS and _too_fine(text):
        raise invalid(field, "must have at most 6 digits in the fraction of a second")
    try:
        at = msgspec.convert(text, datetime)
        if at.tzinfo is None:
            raise invalid(field, "must be an RFC 3339 time with Z or an offset")
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise invalid(field, "must be an RFC 3339 time, such as 2026-11-24T22:00:00Z") from None


def time_ms(at: datetime) -> int:
    """Return milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def encode_envelope(  # noqa: PLR0913  # the envelope has as many fields
    data: Any,
    *,
    event_id: str,
    event_type: str,
    aggregate_id: str,
    event_version: int,
    append_ms: int,
    correlation_id: str,
    causation_id: str | None,
    wallet: Any = msgspec.UNSET,
) -> bytes:
    """Encode a record; `append_ms` is the append time of the record that caused it."""
    return encode(
        Record(
            event_id,
            event_type,
            SCHEMA_VERSION,
            aggregate_id,
            event_version,
            time_text(append_ms),
            correlation_id,
            causation_id,
            data,
            wallet,
        )
    )
