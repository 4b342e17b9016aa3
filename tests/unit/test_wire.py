"""Wire: requests are decoded leniently; every invalid record raises Unreadable and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ledger_streams import wire
from ledger_streams.domain.commands import ExpireHold, HoldFunds, ReleaseHold
from ledger_streams.domain.ids import HoldId, derived_id
from ledger_streams.domain.payment import PaymentKnown, PaymentRequested
from ledger_streams.domain.saga.decisions import decide
from ledger_streams.errors import InvariantBroken, Unreadable
from tests.model.samples import (
    AT_MS,
    COMMAND,
    EVENT,
    EXPIRES_MS,
    HOLD,
    PAYMENT,
    SOURCE,
    content,
    deposit,
    every_leg,
    every_order,
    every_record,
    every_saga_event,
    opened,
    requested_bytes,
    started,
)

KEY = PAYMENT.encode()


def read(value: bytes | None, *, key: bytes | None = KEY, append_ms: int = AT_MS) -> PaymentRequested | None:
    return wire.read_payment_event(value, key=key, append_ms=append_ms)


def error_of(value: bytes | None, *, key: bytes | None = KEY, append_ms: int = AT_MS) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(value, key=key, append_ms=append_ms)
    assert caught.value.reason == "invalid"
    return caught.value


def with_metadata(literal: bytes) -> bytes:
    """Return a request whose metadata has the JSON text at some depth."""
    value = requested_bytes(content(metadata={"x": "PLACE"}))
    return value.replace(b'"PLACE"', literal)


def test_a_request_from_outside_may_leave_half_of_the_envelope_out() -> None:
    data = {k: v for k, v in content().items() if k not in ("provider", "user_id", "metadata")}
    envelope = {
        "event_id": EVENT,
        "event_type": "PaymentRequested",
        "aggregate_id": PAYMENT,
        "occurred_at": "2026-11-24T23:00:00+01:00",
        "data": data,
    }
    requested = read(msgspec.json.encode(envelope))
    full = read(requested_bytes())
    assert requested is not None
    assert full is not None
    assert (requested.request, requested.fingerprint) == (full.request, full.fingerprint)
    assert (requested.correlation_id, requested.causation_id) == (PAYMENT, None)


def test_unknown_fields_are_kept_byte_for_byte_up_to_the_saga() -> None:
    raw = msgspec.json.encode(content(colour="red", metadata={"booked": "1993-01-05", "n": 1.50}))
    value = requested_bytes().replace(msgspec.json.encode(content()), raw.replace(b"{", b"{ ", 1))
    requested = read(value)
    assert requested is not None
    assert bytes(requested.data) == raw.replace(b"{", b"{ ", 1)
    event = started()
    assert wire.decode_envelope(
        wire.encode_saga_event(event, causation_id=EVENT, append_ms=AT_MS)
    ).data == msgspec.Raw(bytes(event.data))


@pytest.mark.parametrize("outcome", ["PaymentCompleted", "PaymentFailed", "PaymentRefunded"])
def test_an_outcome_is_no_request(outcome: str) -> None:
    assert read(every_record()[outcome]) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": "x"}, "event_id"),
        ({"event_id": EVENT.upper()}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"aggregate_id": EVENT}, "aggregate_id"),
        ({"aggregate_id": 1}, "aggregate_id"),
        ({"schema_version": 2}, "schema_version"),
        ({"schema_version": "1"}, "schema_version"),
        ({"event_version": 2}, "event_version"),
        ({"event_version": 0}, "event_version"),
        ({"event_version": 1.5}, "event_version"),
        ({"correlation_id": "x"}, "correlation_id"),
        ({"causation_id": "x"}, "causation_id"),
        ({"occurred_at": 5}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-11-24T22:00:00"}, "occurred_at"),
        ({"occurred_at": "2026-11-24"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "occurred_at"),
    ],
)
def test_a_broken_envelope_is_unreadable_and_names_its_payment(change: dict[str, Any], field: str) -> None:
    error = error_of(requested_bytes(**change))
    assert error.detail.startswith(f"{field}: ")
    assert error.payment_id == PAYMENT


@pytest.mark.parametrize("field", ["event_id", "aggregate_id", "occurred_at"])
def test_a_missing_required_field_is_named(field: str) -> None:
    envelope = msgspec.json.decode(requested_bytes())
    del envelope[field]
    assert field in error_of(msgspec.json.encode(envelope)).detail


@pytest.mark.parametrize(
    ("append_ms", "word"),
    [(AT_MS + 31 * 86_400_000 + 1, "31 days"), (AT_MS - 5 * 60_000 - 1, "5 minutes")],
)
def test_a_request_has_occurred_about_when_it_was_appended(append_ms: int, word: str) -> None:
    assert word in error_of(requested_bytes(), append_ms=append_ms).detail
    towards = 1 if append_ms < AT_MS else -1
    assert read(requested_bytes(), append_ms=append_ms + towards) is not None


@pytest.mark.parametrize("event_type", ["", "PaymentPondered", "SagaStarted", "paymentrequested"])
def test_another_event_type_is_unreadable_and_no_payment_fails_of_it(event_type: str) -> None:
    error = error_of(requested_bytes(event_type=event_type))
    assert (error.detail[:10], error.payment_id) == ("event_type", None)


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"null", b"[]", b"1", b'"text"', b"{", b"{}", b"\xff\xfe", b"\x00", b"not json"),
        *(b"\xef\xbb\xbf{}", b"{}{}", b"[" * 400_000, b" " * 1_000_001, b'{"data":' * 2_000),
    ],
)
def test_a_value_that_is_no_json_object_names_no_payment(value: bytes | None) -> None:
    assert error_of(value).payment_id is None


@pytest.mark.parametrize("key", [None, b"", SOURCE.encode(), KEY.upper(), KEY + b" ", b"\xff"])
def test_another_key_than_the_payment_is_parked_without_failing_it(key: bytes | None) -> None:
    for value in (requested_bytes(), requested_bytes(content(amount="-1")), requested_bytes(event_id="x")):
        assert error_of(value, key=key).payment_id is None


@pytest.mark.parametrize(
    "literal",
    [
        b'"a\\u0000b"',
        b'{"\\u0000": 1}',
        b'[["\\u0000"]]',
        b"1e-99999",
        b"0e-99999",
        b"1e999",
        b"0." + b"0" * 17_000 + b"1",
        b"[" * 31 + b"]" * 31,
        b'{"a":' * 31 + b"1" + b"}" * 31,
        b"[" * 5_000 + b"]" * 5_000,
    ],
)
def test_a_value_that_postgresql_cannot_store_is_unreadable(literal: bytes) -> None:
    error = error_of(with_metadata(literal))
    assert len(error.detail) < 400
    assert "\0" not in error.detail


@pytest.mark.parametrize(
    "literal",
    [
        b"NaN",
        b"Infinity",
        b'"\\ud800"',
        b'"\\udc00x"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\x01"',
        b"01",
        b"'a'",
    ],
)
def test_invalid_json_is_found_at_any_depth(literal: bytes) -> None:
    assert error_of(with_metadata(literal)).payment_id is None


@pytest.mark.parametrize(
    "literal",
    [
        b'"a\\\\u0000b"',
        b'"\\ud83d\\ude00"',
        b'"\\u0001"',
        b"1e-999",
        b"18446744073709551616",
        b"[" * 30 + b"]" * 30,
    ],
)
def test_an_odd_value_that_can_be_stored_is_kept(literal: bytes) -> None:
    requested = read(with_metadata(literal))
    assert requested is not None
    assert literal in bytes(requested.data)


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        (b'"amount":"10.25"', b'"amount":"99","amount":"10.25"'),
        (b'"amount":"10.25"', b'"\\u0061mount":"99","amount":"10.25"'),
        (b'"metadata":{}', b'"metadata":{"a":[{"b":1,"c":{},"b":1}]}'),
        (b'"schema_version":1', b'"schema_version":1 , "schema_version" : 1'),
        (b'"event_id"', b'"note":1,"note":2,"event_id"'),
        (b'"event_id"', b'"note":{"x":"\\":","x":2},"event_id"'),
        (b'"data":{', b'"data":{},"data":{'),
    ],
)
def test_a_repeated_key_makes_a_record_unreadable_and_fails_no_payment(once: bytes, twice: bytes) -> None:
    value = requested_bytes()
    assert once in value
    error = error_of(value.replace(once, twice))
    assert ("repeats" in error.detail, error.payment_id) == (True, None)


def test_an_error_message_carries_no_foreign_text_into_headers() -> None:
    error = error_of(requested_bytes(event_type="x\0\n" * 1000))
    assert "\n" not in error.detail


def test_a_request_is_decoded_as_it_was_encoded() -> None:
    for event in every_saga_event():
        value, told = wire.write_saga_event(event, causation_id=COMMAND, append_ms=AT_MS)
        assert wire.read_saga_event(value, key=event.payment_id.encode()) == told
    for leg in every_leg():
        value, asked = wire.write_command(leg, causation_id=COMMAND, append_ms=AT_MS)
        assert wire.read_wallet_command(value, key=leg.wallet_id.encode()) == asked


def test_a_caller_s_hold_is_written_under_the_id_that_its_sender_gave_it() -> None:
    held = HoldFunds(SOURCE, HOLD, 1025, "EUR", None, None, EXPIRES_MS)
    for command in (held, ReleaseHold(SOURCE, HOLD, "changed my mind")):
        value = wire.encode_administrative(command, command_id=COMMAND, occurred_ms=AT_MS)
        assert wire.read_wallet_command(value, key=SOURCE.encode()) == wire.CommandRecord(COMMAND, command)
        assert b"payment_id" not in value


def test_the_same_expiry_is_the_same_record_however_often_it_is_written() -> None:
    command = ExpireHold(SOURCE, HoldId(HOLD), EXPIRES_MS)
    first, again = (wire.encode_expiry(command, due_ms=EXPIRES_MS) for _ in range(2))
    assert first == again


def test_a_provider_knows_a_payment_under_one_key_and_each_order_has_an_id_of_its_own() -> None:
    carried_out, cancelled = every_order()
    assert wire.idempotency_key(PAYMENT) == derived_id(f"{PAYMENT}:provider")
    again = msgspec.structs.replace(carried_out, attempt=2)
    values = [
        wire.encode_order(o, causation_id=None, append_ms=AT_MS) for o in (carried_out, again, cancelled)
    ]
    assert len({wire.read_order(value, key=KEY).event_id for value in values}) == 3


def test_a_saga_event_with_a_character_that_cannot_be_stored_is_unreadable() -> None:
    record = msgspec.json.decode(every_record()["SagaFailed"])
    record["data"]["detail"] = "a\0b"
    with pytest.raises(Unreadable, match=r"U\+0000"):
        wire.read_saga_event(msgspec.json.encode(record), key=KEY)


def test_ids_of_derived_records_are_derived_from_their_names() -> None:
    leg = every_leg()[0]
    assert wire.command_id(leg) == derived_id(f"{PAYMENT}:DeductFunds:2")
    assert wire.saga_event_id(every_saga_event()[1]) == derived_id(f"{PAYMENT}:WalletDeducted:2")
    assert wire.wallet_event_id(COMMAND, "BalanceAdded") == derived_id(f"{COMMAND}:BalanceAdded")


def test_a_derived_record_bears_the_append_time_of_its_cause() -> None:
    value = wire.encode_saga_event(every_saga_event()[1], causation_id=COMMAND, append_ms=AT_MS + 7)
    envelope = wire.decode_envelope(value)
    assert envelope.occurred_at == "2026-11-24T22:00:00.007000Z"
    assert (envelope.correlation_id, envelope.causation_id) == (PAYMENT, COMMAND)
    assert wire.time_ms(wire.parse_time(envelope.occurred_at)) == AT_MS + 7


def test_times_are_read_with_their_offset() -> None:
    assert wire.parse_time("2026-11-24T23:00:00.5+01:00") == datetime(2026, 11, 24, 22, 0, 0, 500_000, UTC)


def test_states_come_back() -> None:
    wallet = opened(limit_minor=5, currencies=("EUR", "JPY"))
    saga = decide(None, started(), at_ms=AT_MS).saga
    assert saga is not None
    assert wire.decode_wallet_state(wire.encode_wallet_state(wallet)) == wallet
    assert wire.decode_saga_state(wire.encode_saga_state(saga)) == saga
    asking = decide(None, started(deposit(provider="acme")), at_ms=AT_MS).saga
    assert asking is not None
    asking = msgspec.structs.replace(asking, reserved={PAYMENT: 5}, refunded_minor=7, refunds=1)
    assert wire.decode_saga_state(wire.encode_saga_state(asking)) == asking
    known = PaymentKnown("f")
    assert wire.decode_known_payment(wire.encode_known_payment(known)) == known


@pytest.mark.parametrize(
    "decode", [wire.decode_wallet_state, wire.decode_saga_state, wire.decode_known_payment]
)
def test_a_state_that_cannot_be_read_breaks_the_invariant(decode: Callable[[bytes], object]) -> None:
    for value in (b"", b"{}", b"[1]", b"\xff"):
        with pytest.raises(InvariantBroken):
            decode(value)
