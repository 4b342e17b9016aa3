"""Invalid records, each wrong in one way, with the result that the contract demands."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.e2e.outside import KeyValue, new_id, now_text, record, requested

Content = dict[str, Any]


class BadRecord(msgspec.Struct, frozen=True):
    """A way to be wrong: `at` is what the dead letter's detail names.

    `fails` says whether a payment fails of it: its payment_id is readable and its key is that.
    """

    name: str
    at: str
    fails: bool
    make: Callable[[Content], KeyValue]
    """Made from the data of a payment that could be carried out."""


def in_data(name: str, field: str, value: Any, *, at: str | None = None) -> BadRecord:
    return BadRecord(
        name, at or f"data.{field}", True, lambda data: record(requested({**data, field: value}))
    )


def in_envelope(name: str, field: str, value: Any, *, fails: bool = True) -> BadRecord:
    return BadRecord(name, field, fails, lambda data: record(requested(data, **{field: value})))


def without(field: str, *, in_: str) -> BadRecord:
    def make(data: Content) -> KeyValue:
        envelope = requested(dict(data))
        (envelope["data"] if in_ == "data" else envelope).pop(field)
        return data["payment_id"].encode(), msgspec.json.encode(envelope)

    return BadRecord(f"without {field}", field, field not in ("payment_id", "event_type", "data"), make)


def as_bytes(name: str, change: Callable[[bytes], bytes | None], *, at: str = "value") -> BadRecord:
    def make(data: Content) -> KeyValue:
        key, value = record(requested(data))
        assert value is not None
        return key, change(value)

    return BadRecord(name, at, False, make)


def keyed(name: str, key: Callable[[Content], bytes | None]) -> BadRecord:
    return BadRecord(name, "payment_id", False, lambda data: (key(data), record(requested(data))[1]))


def named(name: str, payment_id: Callable[[Content], Any]) -> BadRecord:
    """Another payment_id than a canonical one, under a key that is the same text."""

    def make(data: Content) -> KeyValue:
        value = payment_id(data)
        envelope = requested({**data, "payment_id": value}, aggregate_id=data["payment_id"])
        return str(value).encode(), msgspec.json.encode(envelope)

    return BadRecord(name, "payment_id", False, make)


def incompressible(size_bytes: int) -> str:
    return base64.b64encode(random.Random(size_bytes).randbytes(size_bytes)).decode()[:size_bytes]


def nested(levels: int) -> Callable[[bytes], bytes]:
    return lambda value: value.replace(b'"1.00"', b"[" * levels + b"]" * levels)


def literal(text: str) -> Callable[[bytes], bytes]:
    return lambda value: value.replace(b'"1.00"', text.encode())


def twice(once: bytes, both: bytes) -> Callable[[bytes], bytes]:
    return lambda value: value.replace(once, both)


def metadata(name: str, text: str) -> BadRecord:
    """Return a record whose metadata has the JSON text, at some depth."""

    def make(data: Content) -> KeyValue:
        key, value = record(requested({**data, "metadata": {"x": "PLACE"}}))
        assert value is not None
        return key, value.replace(b'"PLACE"', text.encode())

    return BadRecord(name, "data.metadata.x", True, make)


AMOUNTS: Final[dict[str, Any]] = {
    "a float": 10.25,
    "an integer": 10,
    "negative": "-1.00",
    "zero": "0.00",
    "with too many digits": "1.234",
    "with an exponent": "1e3",
    "with a sign": "+1.00",
    "with a space": " 1.00",
    "with a comma": "1,00",
    "with digits of another script": "١.00",
    "not a number": "NaN",
    "beyond every bank": "9" * 40,
    "empty": "",
    "null": None,
    "true": True,
    "a list": ["1.00"],
}

BAD_RECORDS: Final = (
    as_bytes("no value at all", lambda value: None),
    as_bytes("an empty value", lambda value: b""),
    as_bytes("half of its JSON", lambda value: value[: len(value) // 2]),
    as_bytes("bytes that are no UTF-8", lambda value: value.replace(b"transfer", b"\xff\xfe")),
    as_bytes("UTF-16", lambda value: value.decode().encode("utf-16")),
    as_bytes("a list", lambda value: b"[" + value + b"]"),
    as_bytes("a string", lambda value: b'"payment"'),
    as_bytes("NaN for a number", literal("NaN")),
    as_bytes("brackets without bottom", nested(100_000), at=""),
    as_bytes("an amount that stands twice", twice(b'"amount"', b'"amount":"1.00","amount"')),
    as_bytes("a key twice, once escaped", twice(b'"amount"', b'"\\u0061mount" : "9.00" , "amount"')),
    as_bytes("a key twice in the envelope", twice(b'"data"', b'"data":{},"data"')),
    as_bytes("a key twice at depth", twice(b'"kind"', b'"x":[{"a":1,"b":{},"a":1}],"kind"')),
    keyed("the key of another payment", lambda data: new_id().encode()),
    keyed("no key", lambda data: None),
    keyed("a key that is no text", lambda data: b"\xff\x00"),
    named("a payment_id that is no UUID", lambda data: "payment-1"),
    named("a payment_id in capitals", lambda data: data["payment_id"].upper()),
    named("a payment_id that is a number", lambda data: 17),
    in_envelope("an event_type nobody knows", "event_type", "PaymentRequestedTwice", fails=False),
    in_envelope("an event_type that is a number", "event_type", 1, fails=False),
    without("payment_id", in_="data"),
    without("event_type", in_="envelope"),
    without("data", in_="envelope"),
    *(in_data(f"an amount that is {name}", "amount", value) for name, value in AMOUNTS.items()),
    in_data("too many digits for yen", "currency", "JPY", at="data.amount"),
    in_data("a currency nobody knows", "currency", "XXQ"),
    in_data("a currency in small letters", "currency", "eur"),
    in_data("a currency that is a number", "currency", 978),
    in_data("a kind nobody knows", "kind", "gift"),
    in_data("a kind that is a list", "kind", ["transfer"]),
    in_data("a source that is no wallet_id", "source_wallet_id", "ada"),
    in_data("a target that is a number", "target_wallet_id", 7),
    in_data("a deposit with a source", "kind", "deposit", at="data.source_wallet_id"),
    in_data("a provider that is a number", "provider", 1),
    in_data("a user_id that is no UUID", "user_id", "ada"),
    in_data("metadata that is a list", "metadata", [1]),
    in_data("NUL in a text", "metadata", {"note": "a\0b"}, at="data"),
    in_data("NUL in a field's name", "metadata", {"a\0b": 1}, at="data"),
    metadata("a number of 10,000 digits, written out", "1e-9999"),
    metadata("33 levels of brackets", "[" * 31 + "]" * 31),
    without("amount", in_="data"),
    without("currency", in_="data"),
    without("kind", in_="data"),
    without("source_wallet_id", in_="data"),
    without("target_wallet_id", in_="data"),
    without("event_id", in_="envelope"),
    without("aggregate_id", in_="envelope"),
    without("occurred_at", in_="envelope"),
    in_envelope("an event_id that is no UUID", "event_id", "1"),
    in_envelope("the aggregate of another", "aggregate_id", new_id()),
    in_envelope("a schema_version of tomorrow", "schema_version", 2),
    in_envelope("an event_version that is text", "event_version", "1"),
    in_envelope("a correlation_id that is no UUID", "correlation_id", "x"),
    in_envelope("an occurred_at of 32 days ago", "occurred_at", now_text(days=-32)),
    in_envelope("an occurred_at in an hour", "occurred_at", now_text(hours=1)),
    in_envelope("an occurred_at that is no time", "occurred_at", "yesterday"),
    in_envelope("an occurred_at with seven digits", "occurred_at", now_text().replace("Z", "0Z")),
    in_envelope("an occurred_at without an offset", "occurred_at", "2026-11-25T01:00:00"),
)
