"""Wire: the system's own records are decoded strictly; a contradiction in a record is Unreadable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger_streams import wire
from ledger_streams.errors import Unreadable
from tests.model.samples import EVENT, HOLD, PAYMENT, SOURCE, TARGET, every_record

KEY = PAYMENT.encode()
READERS: list[tuple[Callable[..., Any], str]] = [
    (wire.read_saga_event, "SagaStarted"),
    (wire.read_saga_event, "WalletDeducted"),
    (wire.read_saga_event, "SagaFailed"),
    (wire.read_wallet_command, "DeductFunds"),
    (wire.read_wallet_command, "OpenWallet"),
    (wire.read_wallet_command, "FreezeWallet"),
    (wire.read_wallet_event, "BalanceAdded"),
    (wire.read_payment_outcome, "PaymentCompleted"),
    (wire.read_payment_outcome, "PaymentRefunded"),
    (wire.read_saga_event, "WalletHeld"),
    (wire.read_saga_event, "ProviderDeclined"),
    (wire.read_saga_event, "RefundGranted"),
    (wire.read_saga_event, "RefundRefused"),
    (wire.read_wallet_command, "HoldFunds"),
    (wire.read_wallet_command, "CaptureHold"),
    (wire.read_wallet_command, "ReleaseHold"),
    (wire.read_wallet_command, "ExpireHold"),
    (wire.read_wallet_event, "FundsHeld"),
    (wire.read_wallet_event, "HoldCaptured"),
    (wire.read_wallet_event, "HoldReleased"),
    (wire.read_order, "CarryOutPayment"),
    (wire.read_order, "CancelPayment"),
    (wire.read_saga_command, "ReserveRefund"),
    (wire.read_saga_command, "EndRefund"),
    (wire.read_saga_command, "SettlePayment"),
]


@pytest.mark.parametrize(("reader", "event_type"), READERS)
def test_records_of_the_system_are_read_strictly(reader: Callable[..., Any], event_type: str) -> None:
    value = every_record()[event_type]
    key = wire.decode_envelope(value).aggregate_id.encode()
    assert reader(value, key=key)
    record = msgspec.json.decode(value)
    broken = [
        None,
        b"",
        b"[]",
        value[:-1],
        msgspec.json.encode({**record, "event_type": "Nothing"}),
        msgspec.json.encode({**record, "data": {}}),
        msgspec.json.encode({**record, "data": []}),
        msgspec.json.encode({**record, "event_id": "x"}),
        msgspec.json.encode({**record, "event_version": 0}),
        msgspec.json.encode({**record, "event_version": 2**63}),
        msgspec.json.encode({**record, "schema_version": 2}),
        msgspec.json.encode({**record, "aggregate_id": EVENT}),
        msgspec.json.encode({k: v for k, v in record.items() if k != "event_version"}),
    ]
    for bad in broken:
        with pytest.raises(Unreadable):
            reader(bad, key=key)
    for other in (None, b"", EVENT.encode()):
        with pytest.raises(Unreadable):
            reader(value, key=other)


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("DeductFunds", "wallet_id", TARGET),
        ("DeductFunds", "amount", "-1.00"),
        ("DeductFunds", "amount", 1),
        ("DeductFunds", "counterparty", "friend"),
        ("DeductFunds", "saga_version", 0),
        ("DeductFunds", "payment_id", "x"),
        ("AddFunds", "compensates", "no"),
        ("OpenWallet", "currencies", []),
        ("OpenWallet", "currencies", ["EUR", "EUR"]),
        ("OpenWallet", "currencies", ["EURO"]),
        ("OpenWallet", "overdraft_limits", {"USD": "1.00"}),
        ("OpenWallet", "overdraft_limits", {"EUR": "-1.00"}),
        ("OpenWallet", "user_id", "me"),
        ("FreezeWallet", "reason", "x" * 501),
        ("FreezeWallet", "reason", "a\0b"),
        ("ChangeLimits", "overdraft_limits", {"XXX": "1"}),
        ("HoldFunds", "hold_id", "mine"),
        ("HoldFunds", "amount", "0.00"),
        ("HoldFunds", "saga_version", None),
        ("HoldFunds", "saga_version", 0),
        ("HoldFunds", "payment_id", None),
        ("HoldFunds", "expires_at", "tomorrow"),
        ("HoldFunds", "expires_at", "1969-12-31T23:59:59Z"),
        ("HoldFunds", "expires_at", "0001-01-01T00:00:00Z"),
        ("CaptureHold", "hold_id", None),
        ("CaptureHold", "saga_version", 0),
        ("CaptureHold", "saga_version", 2**63),
        ("HoldFunds", "saga_version", 2**63),
        ("ReleaseHold", "saga_version", 0),
        ("DeductFunds", "saga_version", 2**63),
        ("AddFunds", "saga_version", 0),
        ("CaptureHold", "currency", "XXX"),
        ("ReleaseHold", "saga_version", None),
        ("ExpireHold", "expires_at", None),
        ("ExpireHold", "expires_at", "2026-11-24T22:00:00"),
    ],
)
def test_a_contradictory_command_is_unreadable(event_type: str, field: str, value: object) -> None:
    record = msgspec.json.decode(every_record()[event_type])
    record["data"][field] = value
    with pytest.raises(Unreadable):
        wire.read_wallet_command(msgspec.json.encode(record), key=record["aggregate_id"].encode())


@pytest.mark.parametrize("version", [0, 2**63])
def test_a_version_that_no_reply_could_have_is_unreadable_in_a_command(version: int) -> None:
    record = msgspec.json.decode(every_record()["ReserveRefund"])
    record["data"]["saga_version"] = version
    with pytest.raises(Unreadable, match=r"data\.saga_version: Expected"):
        wire.read_saga_command(msgspec.json.encode(record), key=record["aggregate_id"].encode())


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("HoldCaptured", "left", "some"),
        ("HoldCaptured", "left", "-0.25"),
        ("HoldCaptured", "amount", "0.00"),
        ("FundsHeld", "expires_at", "0001-01-01T00:00:00Z"),
        ("HoldReleased", "currency", "XXX"),
    ],
)
def test_a_contradictory_event_of_a_hold_is_unreadable(event_type: str, field: str, value: object) -> None:
    record = msgspec.json.decode(every_record()[event_type])
    record["data"][field] = value
    with pytest.raises(Unreadable):
        wire.read_wallet_event(msgspec.json.encode(record), key=record["aggregate_id"].encode())


@pytest.mark.parametrize("reason", ["", " \n", "x" * 501, 7])
def test_a_settlement_without_a_reason_is_unreadable(reason: object) -> None:
    record = msgspec.json.decode(every_record()["SettlePayment"])
    record["data"]["reason"] = reason
    with pytest.raises(Unreadable, match=r"data\.reason"):
        wire.read_saga_command(msgspec.json.encode(record), key=KEY)


@pytest.mark.parametrize("hold", [{"amount": "x"}, {"currency": "XXX"}, {"expires_at": "soon"}])
def test_a_state_whose_holds_cannot_be_read_is_unreadable(hold: dict[str, str]) -> None:
    record = msgspec.json.decode(every_record()["FundsHeld"])
    record["wallet"]["holds"][HOLD] |= hold
    with pytest.raises(Unreadable, match="wallet"):
        wire.read_wallet(msgspec.json.encode(record))


@pytest.mark.parametrize("change", [{"currency": None}, {"currency": "XXX"}, {"amount": "0"}, {"amount": 4}])
def test_a_reservation_s_amount_has_its_currency(change: dict[str, Any]) -> None:
    record = msgspec.json.decode(every_record()["ReserveRefund"])
    record["data"] = {name: value for name, value in (record["data"] | change).items() if value is not None}
    with pytest.raises(Unreadable):
        wire.read_saga_command(msgspec.json.encode(record), key=KEY)


@pytest.mark.parametrize(
    "change", [{"version": 9}, {"status": "ajar"}, {"balances": {"EUR": {}}}, {"balances": {"XXX": {}}}]
)
def test_a_state_that_does_not_agree_with_its_event_is_unreadable(change: dict[str, Any]) -> None:
    record = msgspec.json.decode(every_record()["BalanceAdded"])
    record["wallet"] |= change
    with pytest.raises(Unreadable, match="wallet"):
        wire.read_wallet_event(msgspec.json.encode(record), key=SOURCE.encode())
