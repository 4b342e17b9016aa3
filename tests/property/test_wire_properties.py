"""Wire: written records are read back, and decoding raises nothing but Unreadable."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderTimedOut,
    RefundGranted,
    RefundRefused,
)
from ledger_streams.domain.commands import (
    AddFunds,
    CaptureHold,
    Counterparty,
    DeductFunds,
    ExpireHold,
    HoldFunds,
    LegCommand,
    ReleaseHold,
)
from ledger_streams.domain.events import (
    PaymentRefunded,
    Reply,
    SagaFailed,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.ids import EventId, HoldId, PaymentId, WalletId, derived_id
from ledger_streams.domain.money import AMOUNT_MINOR_MAX, CURRENCIES
from ledger_streams.domain.payment import fingerprint
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import (
    CancelPayment,
    CarryOutPayment,
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SettlePayment,
)
from ledger_streams.errors import Unreadable
from tests.model.samples import AT_MS, EVENT, PAYMENT, content, every_record, requested_bytes

ids = st.uuids().map(str)
payment_ids, wallet_ids, hold_ids = ids.map(PaymentId), ids.map(WalletId), ids.map(HoldId)
texts = st.text().map(lambda text: text.replace("\0", ""))
reasons = texts.filter(str.strip)
"""They say something."""
"""U+0000 is in none that the system has."""
versions = st.integers(1, 2**63 - 1)
amounts = st.integers(1, AMOUNT_MINOR_MAX)
currencies = st.sampled_from(sorted(CURRENCIES))
times = st.integers(0, 4_000_000_000_000)
money = (wallet_ids, amounts, currencies, versions)
asked = (payment_ids, versions, texts, amounts, currencies)
kinds, counterparties = st.sampled_from(PaymentKind), st.sampled_from(Counterparty)
replies: st.SearchStrategy[Reply] = st.one_of(
    st.builds(WalletDeducted, payment_ids, versions, *money),
    st.builds(WalletDeductionRefused, payment_ids, versions, *money, texts),
    st.builds(WalletCredited, payment_ids, versions, *money, st.booleans()),
    st.builds(WalletCreditRefused, payment_ids, versions, *money, texts, st.booleans()),
    st.builds(WalletHeld, payment_ids, versions, *money, hold_ids),
    st.builds(WalletReleased, payment_ids, versions, *money, hold_ids),
    st.builds(ProviderApproved, *asked, st.none() | texts),
    st.builds(ProviderDeclined, *asked, texts, st.none() | texts),
    st.builds(ProviderTimedOut, *asked, st.none() | texts),
    st.builds(
        RefundGranted,
        payment_ids,
        versions,
        payment_ids,
        amounts,
        currencies,
        kinds,
        st.none() | wallet_ids,
        st.none() | wallet_ids,
        st.none() | texts,
    ),
    st.builds(RefundRefused, payment_ids, versions, payment_ids, texts, texts),
)
legs: st.SearchStrategy[LegCommand] = st.one_of(
    st.builds(
        DeductFunds, wallet_ids, payment_ids, amounts, currencies, st.sampled_from(Counterparty), versions
    ),
    st.builds(
        AddFunds,
        wallet_ids,
        payment_ids,
        amounts,
        currencies,
        st.sampled_from(Counterparty),
        versions,
        st.booleans(),
    ),
    st.builds(HoldFunds, wallet_ids, hold_ids, amounts, currencies, payment_ids, versions),
    st.builds(CaptureHold, wallet_ids, payment_ids, hold_ids, amounts, currencies, counterparties, versions),
    st.builds(ReleaseHold, wallet_ids, hold_ids, texts, payment_ids, versions),
)
callers_holds: st.SearchStrategy[HoldFunds | ReleaseHold] = st.one_of(
    st.builds(HoldFunds, wallet_ids, hold_ids, amounts, currencies, expires_ms=st.none() | times),
    st.builds(ReleaseHold, wallet_ids, hold_ids, texts),
)
attempts = st.integers(1, 2**31)
orders: st.SearchStrategy[ProviderOrder] = st.one_of(
    st.builds(CarryOutPayment, payment_ids, texts, kinds, amounts, currencies, versions, attempts),
    st.builds(CancelPayment, payment_ids, texts, amounts, currencies, versions, attempts, texts),
)
reservations = st.one_of(
    st.builds(ReserveRefund, payment_ids, payment_ids, amounts, currencies, versions),
    st.builds(ReserveRefund, payment_ids, payment_ids, st.just(0), currencies | st.just(""), versions),
)
refund_ends = st.builds(EndRefund, payment_ids, payment_ids, st.booleans())
refunded = st.builds(
    PaymentRefunded, payment_ids, versions, payment_ids, amounts, amounts, amounts, currencies
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(replies, ids, times)
def test_a_reply_is_read_as_it_was_written(reply: Reply, cause: str, append_ms: int) -> None:
    value, told = wire.write_saga_event(reply, causation_id=cause, append_ms=append_ms)
    assert told.event == reply
    assert wire.read_saga_event(value, key=reply.payment_id.encode()) == told


@given(payment_ids, texts)
def test_a_detail_of_any_text_comes_back(payment_id: PaymentId, detail: str) -> None:
    failed = SagaFailed(payment_id, 1, "invalid", detail=detail)
    value, told = wire.write_saga_event(failed, causation_id=None, append_ms=AT_MS)
    assert told.event == failed
    assert wire.read_saga_event(value, key=payment_id.encode()) == told


@given(legs, ids, times)
def test_a_leg_is_read_as_it_was_written(leg: LegCommand, cause: str, append_ms: int) -> None:
    value, asked = wire.write_command(leg, causation_id=cause, append_ms=append_ms)
    assert asked == wire.CommandRecord(EventId(wire.command_id(leg)), leg)
    assert wire.read_wallet_command(value, key=leg.wallet_id.encode()) == asked


@given(callers_holds, ids.map(EventId), times)
def test_a_caller_s_hold_is_read_as_it_was_written(
    command: HoldFunds | ReleaseHold, command_id: EventId, occurred_ms: int
) -> None:
    value = wire.encode_administrative(command, command_id=command_id, occurred_ms=occurred_ms)
    read = wire.read_wallet_command(value, key=command.wallet_id.encode())
    assert read == wire.CommandRecord(command_id, command)


@given(wallet_ids, hold_ids, times)
def test_an_expiry_is_read_as_it_was_written(wallet_id: WalletId, hold_id: HoldId, expires_ms: int) -> None:
    command = ExpireHold(wallet_id, hold_id, expires_ms)
    value = wire.encode_expiry(command, due_ms=expires_ms)
    assert wire.read_wallet_command(value, key=wallet_id.encode()).command == command


@given(orders, ids, times)
def test_an_order_is_read_as_it_was_written(order: ProviderOrder, cause: str, append_ms: int) -> None:
    value = wire.encode_order(order, causation_id=cause, append_ms=append_ms)
    assert wire.read_order(value, key=order.payment_id.encode()).order == order


@given(reservations | refund_ends, ids, times)
def test_a_refund_s_command_is_read_as_it_was_written(
    command: ReserveRefund | EndRefund, cause: str, append_ms: int
) -> None:
    value = wire.encode_saga_command(command, causation_id=cause, append_ms=append_ms)
    assert wire.read_saga_command(value, key=command.payment_id.encode()).command == command


@given(st.builds(SettlePayment, payment_ids, st.booleans(), reasons), ids, times)
def test_a_settlement_is_read_as_it_was_written(
    command: SettlePayment, command_id: str, occurred_ms: int
) -> None:
    value = wire.encode_settlement(command, command_id=command_id, occurred_ms=occurred_ms)
    read = wire.read_saga_command(value, key=command.payment_id.encode())
    assert read == wire.SagaCommandRecord(EventId(command_id), command)


@given(refunded, ids, times)
def test_a_refund_s_message_to_its_payment_is_read_as_it_was_written(
    outcome: PaymentRefunded, cause: str, append_ms: int
) -> None:
    value = wire.encode_payment_outcome(outcome, causation_id=cause, append_ms=append_ms)
    assert wire.read_payment_outcome(value, key=outcome.payment_id.encode()).outcome == outcome


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_metadata_of_any_kind_is_kept_or_unreadable(metadata: dict[str, Any]) -> None:
    data = content(metadata=metadata)
    value = json.dumps({**msgspec.json.decode(requested_bytes()), "data": data}).encode()
    try:
        read = wire.read_payment_event(value, key=PAYMENT.encode(), append_ms=AT_MS)
    except Unreadable:
        assert "\0" in str(metadata) or "\\x00" in repr(metadata) or "\\ud" in repr(metadata)
        return
    assert read is not None
    assert json.loads(bytes(read.data)) == data
    assert read.fingerprint == fingerprint(data)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.sampled_from(sorted(content())), json_values)
def test_content_of_any_kind_is_a_request_or_unreadable(
    extra: dict[str, Any], field: str, value: object
) -> None:
    record = {**msgspec.json.decode(requested_bytes()), "data": {**extra, **content(), field: value}}
    readable_or_unreadable(json.dumps(record).encode())


@given(st.sampled_from(sorted(every_record())), st.data())
def test_a_record_with_bytes_changed_is_read_or_unreadable(event_type: str, draw: st.DataObject) -> None:
    value = bytearray(every_record()[event_type])
    for _ in range(draw.draw(st.integers(1, 4))):
        value[draw.draw(st.integers(0, len(value) - 1))] = draw.draw(st.integers(0, 255))
    readable_or_unreadable(bytes(value))


@given(st.sampled_from(sorted(every_record())), st.data())
def test_a_record_with_a_field_changed_is_read_or_unreadable(event_type: str, draw: st.DataObject) -> None:
    record = msgspec.json.decode(every_record()[event_type])
    field = draw.draw(st.sampled_from(sorted(record["data"])))
    record["data"][field] = draw.draw(json_values | st.sampled_from(["0.00", "-1.00", "1970-01-01", ""]))
    readable_or_unreadable(json.dumps(record).encode(), key=record["aggregate_id"].encode())
    del record["data"][field]
    readable_or_unreadable(json.dumps(record).encode(), key=record["aggregate_id"].encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_unreadable(value: bytes) -> None:
    readable_or_unreadable(value)


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_written_is_read_back(at_ms: int) -> None:
    assert wire.time_ms(wire.parse_time(wire.time_text(at_ms))) == at_ms


@given(st.text(max_size=50))
def test_a_derived_id_is_canonical_and_always_the_same(text: str) -> None:
    assert derived_id(text) == derived_id(text)
    assert len(derived_id(text)) == len(EVENT)


def readable_or_unreadable(value: bytes, *, key: bytes = PAYMENT.encode()) -> None:
    """Read the bytes in every way there is; an exception but Unreadable fails the test."""
    readers: list[Any] = [
        lambda: wire.read_payment_event(value, key=key, append_ms=AT_MS),
        lambda: wire.read_payment_outcome(value, key=key),
        lambda: wire.read_saga_event(value, key=key),
        lambda: wire.read_wallet_command(value, key=key),
        lambda: wire.read_wallet_event(value, key=key),
        lambda: wire.read_wallet(value),
        lambda: wire.read_order(value, key=key),
        lambda: wire.read_saga_command(value, key=key),
        lambda: wire.decode_stored(value),
    ]
    for read in readers:
        try:
            read()
        except Unreadable as error:
            assert "\0" not in error.detail
