"""Documents: accepted content can be sent, read and stored; other content is refused with its field named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import msgspec
import pytest

from ledger_streams import wire
from ledger_streams.domain.payment import decide as decide_request
from ledger_streams.domain.saga.decisions import decide
from ledger_streams.domain.saga.state import PATIENCE_MS
from ledger_streams.errors import Unreadable
from ledger_streams.wire.documents import ENVELOPE_BYTES_MAX
from tests.model.samples import AT_MS, EVENT, PAYMENT, content, every_record, requested_bytes
from tests.unit.test_wire_strictness import READERS

KEY = PAYMENT.encode()
WIDE = [1e300] * 3_500
"""21 kB, and more than a megabyte when written out."""


def nested(levels: int) -> Any:
    inner: Any = 1
    for _ in range(levels):
        inner = {"a": inner}
    return inner


UNSENDABLE: dict[str, tuple[str, dict[Any, Any]]] = {
    "NUL in a text": ("metadata.note", {"note": "a\0b"}),
    "NUL in a list": ("metadata.notes", {"notes": [["a\0b"]]}),
    "NUL in a name": ("metadata.deep", {"deep": {"a\0": 1}}),
    "half a surrogate pair": ("metadata.note", {"note": "\ud83d"}),
    "half a pair in a name": ("metadata", {"\ude00": 1}),
    "33 levels": ("metadata", {"a": nested(31)}),
    "10,000 levels": ("metadata", {"a": nested(10_000)}),
    "not a number": ("metadata.n", {"n": nan}),
    "infinity": ("metadata.n", {"n": [-inf]}),
    "bytes": ("metadata.n", {"n": b"text"}),
    "a name that is no text": ("metadata", {1: 1}),
    "a text that grows when it is encoded": ("metadata", {"n": "\x01" * 180_000}),
    "quotes that grow when they are encoded": ("metadata", {"n": '"' * 600_000}),
    "more than fits": ("metadata", {"n": "x" * wire.DATA_BYTES_MAX}),
    "numbers that grow when they are written out": ("value", {"n": WIDE}),
    "a number of 5,000 digits": ("value", {"n": 10**4_999}),
}


@pytest.mark.parametrize("case", UNSENDABLE)
def test_a_value_that_cannot_be_sent_read_or_stored_is_refused_with_its_field(case: str) -> None:
    field, metadata = UNSENDABLE[case]
    with pytest.raises(Unreadable) as caught:
        wire.check_sendable(content(metadata=metadata))
    assert (caught.value.reason, caught.value.detail.partition(":")[0].split(".a")[0]) == ("invalid", field)
    assert caught.value.detail.isprintable()


SENDABLE: dict[str, dict[str, Any]] = {
    "32 levels": {"a": nested(30)},
    "every character": {"n": "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x10000)])) + "\U0001f600"},
    "a large integer": {"n": 10**4_000},
    "doubles": {"n": [5e-324, 1.7976931348623157e308, -0.0, 2.2250738585072014e-308]},
    "names of any kind": {"": 1, "a:b": 2, 'say "a":': {" ": None}},
    "a thousand wide numbers": {"n": [1e300] * 1_000},
}


@pytest.mark.parametrize("case", SENDABLE)
def test_sendable_content_is_decoded_as_a_request_and_as_its_saga_start(case: str) -> None:
    data = content(metadata=SENDABLE[case])
    wire.check_sendable(data)
    start = start_of(wire.encode_payment_request(data, event_id=EVENT, occurred_ms=AT_MS))
    read = msgspec.json.decode(bytes(wire.decode_stored(start).data))
    assert read["metadata"] == msgspec.json.decode(msgspec.json.encode(SENDABLE[case]))


def start_of(value: bytes) -> bytes:
    """Return the SagaStarted that a request leads to, after its saga has read it and gone on."""
    requested = wire.read_payment_event(value, key=KEY, append_ms=AT_MS)
    assert requested is not None
    event = decide_request(None, requested, providers=())
    assert event is not None
    start = wire.encode_saga_event(event, causation_id=requested.event_id, append_ms=AT_MS)
    read = wire.read_saga_event(start, key=KEY).event
    assert decide(None, read, at_ms=AT_MS, patience_ms=PATIENCE_MS).saga is not None
    return start


LEAST = ("event_id", "event_type", "aggregate_id", "occurred_at", "data")


@pytest.mark.parametrize("over", [0, 1])
def test_a_request_that_is_accepted_leaves_room_for_the_events_that_carry_its_content(over: int) -> None:
    """The envelope around it is the shortest that may come, and grows to the longest there is."""
    room = wire.DATA_BYTES_MAX - len(msgspec.json.encode(content(metadata={"n": ""}))) + over
    data = content(metadata={"n": "x" * room})
    record = msgspec.json.decode(requested_bytes(data))
    value = msgspec.json.encode({field: record[field] for field in LEAST})
    if over:
        for refuse in (lambda: wire.check_sendable(data), lambda: start_of(value)):
            with pytest.raises(Unreadable, match=str(wire.DATA_BYTES_MAX)):
                refuse()
    else:
        wire.check_sendable(data)
        assert len(start_of(value)) < wire.RECORD_BYTES_MAX


def test_the_longest_envelope_fits_its_reserved_space() -> None:
    ids = dict.fromkeys(("event_id", "aggregate_id", "correlation_id", "causation_id"), EVENT)
    longest = max(every_record(), key=len)
    value = wire.encode_envelope({}, event_type=longest, event_version=2**63 - 1, append_ms=AT_MS, **ids)
    assert len(value) < ENVELOPE_BYTES_MAX


@pytest.mark.parametrize(
    "numbers", ["1e-9999", "1e-1001", "1E-5000", "0e-99999", "-1e9999", "0." + "0" * 1_000]
)
def test_a_number_is_bounded_when_it_is_written_out(numbers: str) -> None:
    text = b'{"metadata":{"a":[%s]}}' % numbers.encode()
    with pytest.raises(Unreadable, match=r"metadata\.a: contains a number out of range"):
        wire.read_document(text)
    value = requested_bytes(content(metadata={"a": "PLACE"})).replace(b'"PLACE"', numbers.encode())
    with pytest.raises(Unreadable, match=r"data\.metadata\.a: contains a number out of range"):
        wire.read_payment_event(value, key=KEY, append_ms=AT_MS)


def test_the_numbers_of_a_document_are_bounded_together_when_they_are_written_out() -> None:
    many = ",".join(["1e-990"] * 1_100)
    with pytest.raises(Unreadable, match="with its numbers written out"):
        wire.read_document(b'{"a":[%s]}' % many.encode())
    value = requested_bytes(content(metadata={"a": "PLACE"})).replace(b'"PLACE"', b"[%s]" % many.encode())
    with pytest.raises(Unreadable, match="with its numbers written out"):
        wire.read_payment_event(value, key=KEY, append_ms=AT_MS)
    in_a_text = msgspec.json.encode({"a": many})
    assert wire.read_document(in_a_text) == {"a": many}


@pytest.mark.parametrize(("reader", "event_type"), READERS)
@pytest.mark.parametrize(
    "twice",
    [
        (b'{"event_id"', b'{"event_type":"Other","event_id"'),
        (b'"data":{', b'"data":{"wallet_id":1,"payment_id":1,"\\u0077allet_id":1,"payment_i\\u0064":1,'),
        (b'"data":{', b'"data":{"note":{"a":[{"b":1 , "b" :1}]},'),
        (b'"data":{', b'"x":1,"x":1,"data":{'),
    ],
    ids=["envelope", "data", "deep", "unknown"],
)
def test_a_repeated_key_makes_any_record_unreadable(
    reader: Callable[..., Any], event_type: str, twice: tuple[bytes, bytes]
) -> None:
    value = every_record()[event_type]
    key = wire.decode_envelope(value).aggregate_id.encode()
    assert reader(value, key=key)
    with pytest.raises(Unreadable, match=r"repeats (the key|a key)"):
        reader(value.replace(*twice, 1), key=key)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}',
        '{ "a" : 1 ,\n\t"b" :\r{ } }',
        '{"a":"\\":","b":":","c":"\\u0061","d":"\\/","e":1.50,"f":1e3}',
        '{"a":"a\\":1,\\"a","A":1," a":2}',
        '{"\\u00e9":1,"é":{"é":2}}',
    ],
)
def test_unique_keys_are_accepted_in_every_spelling(text: str) -> None:
    if text.startswith('{"\\u00e9'):
        with pytest.raises(wire.RepeatedKey):
            wire.read_document(text.encode())
    else:
        assert wire.read_document(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", [b"{", b"\xff", b'{"a":"\\ud800"}', b'{"a":1e999,}', b"[" * 5_000, b""])
def test_invalid_json_and_json_that_cannot_be_stored_are_different_errors(text: bytes) -> None:
    with pytest.raises(wire.NotJson):
        wire.read_document(text)
    for other in (b"[]", b'{"a":"\\u0000"}', b'{"a":1e999}', b"1"):
        with pytest.raises(Unreadable) as caught:
            wire.read_document(other)
        assert not isinstance(caught.value, wire.NotJson)


def test_a_key_is_named_only_if_it_is_a_plain_name() -> None:
    for text, said in ((b'{"amount":1,"amount":2}', "the key amount"), (b'{"a\\n":1,"a\\n":2}', "a key")):
        with pytest.raises(wire.RepeatedKey, match=f"value: repeats {said} in one object"):
            wire.read_document(text)


TIME = "2026-11-24T22:00:00"


@pytest.mark.parametrize("fraction", [".1234567", ".0000000", ".123456789", ".1234560"])
@pytest.mark.parametrize("zone", ["Z", "+01:00"])
def test_digits_after_the_sixth_in_a_time_are_refused_and_not_cut(fraction: str, zone: str) -> None:
    time = TIME + fraction + zone
    with pytest.raises(Unreadable, match=r"^invalid: data\.expires_at: must have at most 6 digits"):
        wire.parse_time(time, field="data.expires_at")
    with pytest.raises(Unreadable, match="occurred_at: must have at most 6 digits"):
        wire.read_payment_event(requested_bytes(occurred_at=time), key=KEY, append_ms=AT_MS)
    hold = msgspec.json.decode(every_record()["HoldFunds"])
    hold["data"]["expires_at"] = time
    with pytest.raises(Unreadable, match=r"data\.expires_at: must have at most 6 digits"):
        wire.read_wallet_command(msgspec.json.encode(hold), key=hold["aggregate_id"].encode())


def test_six_digits_in_a_time_are_kept() -> None:
    expected = datetime(2026, 11, 24, 22, 0, 0, 123456, tzinfo=UTC)
    assert wire.parse_time(f"{TIME}.123456Z") == expected
    assert wire.parse_time("2026-11-24T23:00:00.123456+01:00") == expected


def test_a_reason_that_cannot_be_written_is_refused_before_it_is_sent() -> None:
    for reason in ("caf\udce9", "a\0b"):
        with pytest.raises(Unreadable, match=r"--reason: contains .*, which cannot be stored"):
            wire.settlement_reason(reason, at="--")
