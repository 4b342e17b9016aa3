"""Envelope: the JSON object around every event and command, and the rules all of them share.

The whole record is first checked as `documents` says, so that nothing gets through that
PostgreSQL could not store.  Then the envelope is read with `data` left as it is, then `data`
by the event type.  What is broken is Unreadable, with the field named; a detail never
repeats text from outside.
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
"""Of an aggregate: counts from 1, and fits a BIGINT."""


class Envelope(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Any record of the system, `data` and `wallet` as the JSON they came in."""

    event_id: str
    event_type: str
    aggregate_id: str
    event_version: Version
    occurred_at: str
    correlation_id: str | None
    causation_id: str | None
    data: msgspec.Raw
    schema_version: int = SCHEMA_VERSION
    wallet: msgspec.Raw = msgspec.Raw()
    """Empty but on wallet-events; msgspec knows no optional Raw."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """The envelope as it is written, the fields in the contract's order."""

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
    """Read a record of whatever type; the whole of it is checked, as `documents` says."""
    return decode_whole(value)[0]


def decode_whole(value: bytes | None) -> tuple[Envelope, dict[str, Any]]:
    """Read a record as `decode_envelope` does; return with it its `data` as a dict."""
    document = read_record(value)
    envelope: Envelope = decode_with(_envelope, value or b"")
    if envelope.schema_version != SCHEMA_VERSION:
        raise invalid("schema_version", f"must be {SCHEMA_VERSION}")
    check_id(envelope.event_id, "event_id")
    check_id(envelope.aggregate_id, "aggregate_id")
    return envelope, data_of(document)


def data_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the `data` of a record that was read, which has to be an object."""
    data = document.get("data")
    if not isinstance(data, dict):
        raise invalid("data", "must be a JSON object")
    return data


def decode_stored(value: bytes | None) -> Envelope:
    """Read a record as `decode_envelope` does, and make sure that PostgreSQL can store it as an event."""
    envelope = decode_envelope(value)
    check_optional_ids(envelope)
    return envelope


def check_id(value: str, field: str) -> None:
    """Raise Unreadable unless the id is canonical."""
    if not is_canonical_id(value):
        raise invalid(field, "must be a UUID, lower-case and hyphenated")


def check_optional_ids(envelope: Any) -> None:
    """Raise Unreadable unless what the record names as its cause and its whole is canonical or null."""
    for field in ("correlation_id", "causation_id"):
        if getattr(envelope, field) is not None:
            check_id(getattr(envelope, field), field)


def check_key(key: bytes | None, value: str, field: str) -> None:
    """Raise Unreadable unless the record's key is the id."""
    if key != value.encode():
        raise invalid(field, "is not the record's key")


@lru_cache(maxsize=2_048)
def time_text(at_ms: int) -> str:
    """Write milliseconds since 1970 as the contract's time, UTC with six digits; a batch shares one."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str, *, field: str = "occurred_at") -> datetime:
    """Read an RFC 3339 time with its offset as UTC; more than six digits of a second are refused, not cut."""
    if len(text) > TIME_CHARACTERS and _too_fine(text):
        raise invalid(field, "must have at most six digits after the second")
    try:
        at = msgspec.convert(text, datetime)
        if at.tzinfo is None:
            raise invalid(field, "must be a time of RFC 3339 with an offset")
        return at.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise invalid(field, "must be a time of RFC 3339") from None


def time_ms(at: datetime) -> int:
    """Return milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def seal(  # noqa: PLR0913  # the envelope has as many fields
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
    """Write a record; `append_ms` is when the record that caused it was appended."""
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
