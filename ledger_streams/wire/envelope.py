"""Envelope: the JSON object around every event and command, and the rules all of them share.

Bytes from Kafka are first found to be text of bearable size, then the envelope is read
with `data` left as it is, then `data` by the event type.  What is broken is Unreadable,
with the field named; a detail never repeats text from outside.  Nothing gets through
that PostgreSQL's jsonb could not store: U+0000, numbers out of range, bottomless nesting.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isinf
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec

from ledger_streams.domain.ids import is_canonical_id
from ledger_streams.domain.money import invalid

SCHEMA_VERSION: Final = 1
RECORD_BYTES_MAX: Final = 1_000_000
"""What an event adds around `data` still fits a record batch of 1 MiB."""
DEPTH_MAX: Final = 64
"""Nesting of a record; far below the recursion limits of Python and PostgreSQL."""
DETAIL_CHARACTERS_MAX: Final = 300
MANTISSA_CHARACTERS_MAX: Final = 1_000
EXPONENT_CHARACTERS_MAX: Final = 5
"""A sign and four digits: jsonb keeps 16,383 decimal places at most; what is zero to us is an error to it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUL_ESCAPED: Final = "\\u0000"
_NUL_ESCAPED_BYTES: Final = _NUL_ESCAPED.encode()
T = TypeVar("T")


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

    def data_object(self) -> dict[str, Any]:
        """Return `data` as a dict."""
        return read_object(self.data)


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


def _storable(number: str) -> float:
    """Read a number with a fraction or exponent, as long as jsonb can hold all of its digits."""
    mantissa, _, exponent = number.lower().partition("e")
    value = float(number)
    if len(mantissa) > MANTISSA_CHARACTERS_MAX or len(exponent) > EXPONENT_CHARACTERS_MAX or isinf(value):
        raise msgspec.ValidationError("holds a number out of range")
    return value


_envelope = msgspec.json.Decoder(Envelope).decode
_object = msgspec.json.Decoder(dict[str, Any], float_hook=_storable).decode
encode = msgspec.json.Encoder().encode
_broken = (msgspec.MsgspecError, ValueError, RecursionError)


def decode_envelope(value: bytes | None) -> Envelope:
    """Read a record the system wrote, of whatever type; `data` is looked into for U+0000 only."""
    text = text_of(value)
    envelope: Envelope = decode_with(_envelope, text)
    if envelope.schema_version != SCHEMA_VERSION:
        raise invalid("schema_version", f"must be {SCHEMA_VERSION}")
    check_id(envelope.event_id, "event_id")
    check_id(envelope.aggregate_id, "aggregate_id")
    if _NUL_ESCAPED in text:
        read_object(envelope.data)
    return envelope


def decode_stored(value: bytes | None) -> Envelope:
    """Read a record as `decode_envelope` does, and make sure that PostgreSQL can store its `data`."""
    envelope = decode_envelope(value)
    check_optional_ids(envelope)
    read_object(envelope.data)
    return envelope


def text_of(value: bytes | None) -> str:
    """Return a record's value as text: there, not too long, and UTF-8."""
    if value is None:
        raise invalid("value", "is empty; a record is a JSON object")
    if len(value) > RECORD_BYTES_MAX:
        raise invalid("value", f"is longer than {RECORD_BYTES_MAX} bytes")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise invalid("value", "is not UTF-8") from None


def decode_with(decoder: Callable[..., T], text: str | bytes | msgspec.Raw, at: str = "") -> T:
    """Decode JSON, turning every way of being broken into Unreadable; `at` goes before a field's name."""
    try:
        return decoder(text)
    except _broken as error:
        unreadable(error, at)


def unreadable(error: Exception, at: str = "") -> NoReturn:
    """Raise Unreadable with what msgspec says about the field, without what came from outside."""
    if isinstance(error, RecursionError):
        raise invalid(at.rstrip(".") or "value", f"is nested deeper than {DEPTH_MAX}") from None
    if not isinstance(error, msgspec.ValidationError):
        raise invalid(at.rstrip(".") or "value", "is not valid JSON") from None
    problem, _, path = str(error).partition(" - at `$")
    if problem.startswith("Invalid enum value"):
        problem = "is none of the values known"
    field = (at + path.rstrip("`").lstrip(".")).rstrip(".") or "value"
    raise invalid(field, problem[:DETAIL_CHARACTERS_MAX]) from None


def read_object(raw: msgspec.Raw, at: str = "data") -> dict[str, Any]:
    """Read an object all of which PostgreSQL can store, or raise Unreadable."""
    content: dict[str, Any] = decode_with(_object, raw, f"{at}.")
    text = bytes(raw)
    if text.count(b"{") + text.count(b"[") > DEPTH_MAX and _depth(content) > DEPTH_MAX:
        raise invalid(at, f"is nested deeper than {DEPTH_MAX}")
    if _NUL_ESCAPED_BYTES in text and _holds_nul(content):
        raise invalid(at, "holds the character U+0000, which cannot be stored")
    return content


def _depth(content: Any) -> int:
    level, depth = [content], 0
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth - 1


def _holds_nul(content: Any) -> bool:
    if isinstance(content, str):
        return "\0" in content
    if isinstance(content, dict) and any("\0" in key for key in content):
        return True
    return any(_holds_nul(child) for child in _children(content))


def _children(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return list(content.values())
    return content if isinstance(content, list) else []


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
    """Read an RFC 3339 time with its offset as UTC."""
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
