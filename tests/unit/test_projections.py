"""Projected, skipped and parked records; no query for parked records while none exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faust.types import TP

from ledger_streams import topics, wire
from ledger_streams.adapters.postgres.parked_rows import ParkedRow, Part
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.rows import Advance, TopicPartition
from ledger_streams.engine.batches import PartitionedTopic
from ledger_streams.engine.projection_batch import ProjectionBatch, RowsOf
from ledger_streams.engine.projection_parking import Parking
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from tables.read_model_rows import project_payment_event, project_saga_event, project_wallet_event

GOLDEN = Path(__file__).parents[1] / "golden" / "wire"
OF: dict[str, RowsOf] = {
    topics.PAYMENT_EVENTS: project_payment_event,
    topics.SAGA_EVENTS: project_saga_event,
    topics.WALLET_EVENTS: project_wallet_event,
}


def projected(topic: str, name: str, *, astray: int = 0, **changes: Any) -> ProjectionBatch:
    """Project the golden record of this name with other fields, so many partitions from its own."""
    event = msgspec.json.decode((GOLDEN / f"{name}.v1.json").read_bytes()) | changes
    key, count = event["aggregate_id"].encode(), topics.spec(topic).partitions
    tp = TP(topic, (PartitionedTopic(topic, count).for_key(key).partition + astray) % count)
    at_ms = wire.time_ms(wire.parse_time("2026-11-24T22:00:00Z"))
    batch = ProjectionBatch(tp, (), source_next=8)
    batch.rows_of = OF[topic]
    batch.project(SyntheticRecord(topic, tp.partition, 7, at_ms, key, msgspec.json.encode(event)))
    return batch


def row_count(batch: ProjectionBatch) -> int:
    rows = batch.rows
    return len(rows.events) + len(rows.payments) + len(rows.wallet_events) + len(rows.payment_outcomes)


@pytest.mark.parametrize("topic", OF)
def test_a_record_in_its_place_is_projected(topic: str) -> None:
    name = {topics.SAGA_EVENTS: "SagaStarted", topics.WALLET_EVENTS: "WalletOpened"}.get(topic)
    batch = projected(topic, name or "PaymentRequested")
    assert (batch.refused, row_count(batch) > 0) == ({}, True)


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (topics.PAYMENT_EVENTS, "PaymentRequested"),
        (topics.PAYMENT_EVENTS, "PaymentCompleted"),
        (topics.SAGA_EVENTS, "SagaStarted"),
    ],
)
def test_a_payment_in_a_wrong_partition_is_skipped_and_not_pending(topic: str, name: str) -> None:
    batch = projected(topic, name, astray=1)
    assert (batch.refused, row_count(batch)) == ({}, 0)


def test_a_wallet_event_in_a_wrong_partition_is_parked_since_no_worker_reads_it() -> None:
    batch = projected(topics.WALLET_EVENTS, "WalletOpened", astray=1)
    assert batch.refused[7].reason == "wrong_partition"


@pytest.mark.parametrize(
    ("topic", "name", "changes"),
    [
        (topics.PAYMENT_EVENTS, "PaymentCompleted", {"data": {}}),
        (topics.SAGA_EVENTS, "SagaStarted", {"correlation_id": "x"}),
        (topics.SAGA_EVENTS, "SagaStarted", {"occurred_at": "soon"}),
        (topics.WALLET_EVENTS, "WalletOpened", {"wallet": {}}),
    ],
)
def test_a_record_that_workers_read_and_the_projector_cannot_is_parked(
    topic: str, name: str, changes: dict[str, Any]
) -> None:
    batch = projected(topic, name, **changes)
    assert (batch.refused[7].reason, row_count(batch)) == ("invalid", 0)


class Unasked(PostgresParking):
    """Fails when it is asked after the takeover."""

    def __init__(self) -> None:
        self.asked = 0

    async def waiting(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        return {}

    async def write(
        self, partition: TopicPartition, advance: Advance, parts: Sequence[Part]
    ) -> list[ParkedRow] | None:
        raise AssertionError("nothing is parked")


async def test_without_parked_records_the_projector_makes_no_query_for_them() -> None:
    store = Unasked()
    parking, batch = Parking(store), projected(topics.SAGA_EVENTS, "SagaStarted")
    await parking.take_over([batch.tp])
    for _ in range(3):
        await parking.between_cycles()
        assert not parking.concerns(batch)
    assert store.asked == 1
