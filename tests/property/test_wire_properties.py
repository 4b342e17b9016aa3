"""The wire's two promises: what is written is read back, and what is read raises Unreadable at most."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.domain.commands import AddFunds, Counterparty, DeductFunds, LegCommand
from ledger_streams.domain.events import (
    SagaFailed,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletReply,
)
from ledger_streams.domain.ids import EventId, PaymentId, WalletId, derived_id
from ledger_streams.domain.money import AMOUNT_MINOR_MAX, CURRENCIES
from ledger_streams.domain.payment import fingerprint
from ledger_streams.errors import Unreadable
from tests.model.samples import AT_MS, EVENT, PAYMENT, content, every_record, requested_bytes

ids = st.uuids().map(str)
payment_ids, wallet_ids = ids.map(PaymentId), ids.map(WalletId)
versions = st.integers(1, 2**63 - 1)
amounts = st.integers(1, AMOUNT_MINOR_MAX)
currencies = st.sampled_from(sorted(CURRENCIES))
times = st.integers(0, 4_000_000_000_000)
money = (wallet_ids, amounts, currencies, versions)
replies: st.SearchStrategy[WalletReply] = st.one_of(
    st.builds(WalletDeducted, payment_ids, versions, *money),
    st.builds(WalletDeductionRefused, payment_ids, versions, *money, st.text()),
    st.builds(WalletCredited, payment_ids, versions, *money, st.booleans()),
    st.builds(WalletCreditRefused, payment_ids, versions, *money, st.text(), st.booleans()),
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
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(replies, ids, times)
def test_a_reply_is_read_as_it_was_written(reply: WalletReply, cause: str, append_ms: int) -> None:
    reply = clean(reply)
    value = wire.encode_saga_event(reply, causation_id=cause, append_ms=append_ms)
    assert wire.read_saga_event(value, key=reply.payment_id.encode()).event == reply


@given(payment_ids, st.text().filter(lambda text: "\0" not in text))
def test_a_detail_of_any_text_comes_back(payment_id: PaymentId, detail: str) -> None:
    failed = SagaFailed(payment_id, 1, "invalid", detail=detail)
    value = wire.encode_saga_event(failed, causation_id=None, append_ms=AT_MS)
    assert wire.read_saga_event(value, key=payment_id.encode()).event == failed


@given(legs, ids, times)
def test_a_leg_is_read_as_it_was_written(leg: LegCommand, cause: str, append_ms: int) -> None:
    value = wire.encode_command(leg, causation_id=cause, append_ms=append_ms)
    read = wire.read_wallet_command(value, key=leg.wallet_id.encode())
    assert read == wire.CommandRecord(EventId(wire.command_id(leg)), leg)


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


def clean(reply: WalletReply) -> WalletReply:
    """Return the reply with a reason as the system has them: U+0000 is in none."""
    reason = getattr(reply, "reason", None)
    return reply if reason is None else msgspec.structs.replace(reply, reason=reason.replace("\0", ""))


def readable_or_unreadable(value: bytes) -> None:
    """Read the bytes in every way there is; an exception but Unreadable fails the test."""
    key = PAYMENT.encode()
    readers: list[Any] = [
        lambda: wire.read_payment_event(value, key=key, append_ms=AT_MS),
        lambda: wire.read_payment_outcome(value, key=key),
        lambda: wire.read_saga_event(value, key=key),
        lambda: wire.read_wallet_command(value, key=key),
        lambda: wire.read_wallet_event(value, key=key),
        lambda: wire.read_wallet(value),
        lambda: wire.decode_stored(value),
    ]
    for read in readers:
        try:
            read()
        except Unreadable as error:
            assert "\0" not in error.detail
