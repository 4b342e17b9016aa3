"""Golden records: the permanent form of each type on the wire.

A file is never changed once it was released: a changed type is a new version with a file
of its own, and the old file must still be read.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ledger_streams import wire
from tests.model.samples import (
    AT_MS,
    every_administrative,
    every_leg,
    every_order,
    every_outcome,
    every_record,
    every_refund_command,
    every_saga_event,
    every_wallet_event,
    expiry,
    request,
    settlement,
    state_after,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "wire"


def golden(event_type: str) -> bytes:
    return (GOLDEN / f"{event_type}.v1.json").read_bytes()


def key_of(value: bytes) -> bytes:
    return wire.decode_envelope(value).aggregate_id.encode()


@pytest.mark.parametrize("event_type", sorted(every_record()))
def test_each_type_is_written_as_in_its_golden_file(event_type: str) -> None:
    assert msgspec.json.format(every_record()[event_type], indent=2) + b"\n" == golden(event_type)


def test_each_golden_file_has_a_type() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.v1.json" for name in every_record()}


def test_the_golden_request_is_read() -> None:
    value = golden("PaymentRequested")
    read = wire.read_payment_event(value, key=key_of(value), append_ms=AT_MS)
    assert read is not None
    assert read.request == request()


@pytest.mark.parametrize("event", every_saga_event(), ids=lambda event: type(event).__name__)
def test_golden_saga_events_are_read(event: object) -> None:
    value = golden(type(event).__name__)
    read = wire.read_saga_event(value, key=key_of(value)).event
    if type(event).__name__ == "SagaStarted":
        assert getattr(read, "request", None) == request()
    else:
        assert read == event


@pytest.mark.parametrize(
    "command", [*every_leg(), *every_administrative(), expiry()], ids=lambda c: type(c).__name__
)
def test_golden_commands_are_read(command: object) -> None:
    value = golden(type(command).__name__)
    assert wire.read_wallet_command(value, key=key_of(value)).command == command


@pytest.mark.parametrize("order", every_order(), ids=lambda order: type(order).__name__)
def test_golden_orders_are_read(order: object) -> None:
    value = golden(type(order).__name__)
    assert wire.read_order(value, key=key_of(value)).order == order


@pytest.mark.parametrize("command", [*every_refund_command(), settlement()], ids=lambda c: type(c).__name__)
def test_golden_saga_commands_are_read(command: object) -> None:
    value = golden(type(command).__name__)
    assert wire.read_saga_command(value, key=key_of(value)).command == command


@pytest.mark.parametrize("event", every_wallet_event(), ids=lambda event: type(event).__name__)
def test_golden_wallet_events_are_read_with_their_state(event: object) -> None:
    value = golden(type(event).__name__)
    read = wire.read_wallet_event(value, key=key_of(value))
    assert read.event == event
    assert read.wallet == state_after(read.event) == wire.read_wallet(value)


@pytest.mark.parametrize("outcome", every_outcome(), ids=lambda outcome: type(outcome).__name__)
def test_golden_outcomes_are_read(outcome: object) -> None:
    value = golden(type(outcome).__name__)
    assert wire.read_payment_outcome(value, key=key_of(value)).outcome == outcome
