"""Offsets of acknowledged records."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.structs import RecordMetadata, TopicPartition
from faust.types import TP

from ledger_streams.kafka.broker_clock import LOG_APPEND_TIME
from ledger_streams.kafka.record_batches import Sent, acknowledged
from ledger_streams.kafka.records import AppendedBatch, Outgoing
from ledger_streams.kafka.transactional_producer import OffsetUnknown

TO = TP("topic", 3)
RECORDS: list[Outgoing] = [(b"key", b"value", ())]


async def answered(offset: int) -> Sent:
    """Return a batch that the broker has answered with this offset."""
    delivered: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
    at = TopicPartition(*TO)
    delivered.set_result(RecordMetadata(*at, at, offset, 1_700_000_000_000, LOG_APPEND_TIME, 0))
    return Sent(TO, RECORDS, delivered)


async def test_a_batch_has_the_offsets_of_the_acknowledgement() -> None:
    (appended,) = await acknowledged([await answered(7)])
    assert appended == AppendedBatch(TO, 7, 1_700_000_000_000, RECORDS)


async def test_an_answer_with_offset_minus_1_is_a_lost_cycle() -> None:
    """It is a KafkaError, as which a transaction ends: nothing is carried out from a place unknown."""
    with pytest.raises(OffsetUnknown, match="topic-3 has a record at an offset that is not known"):
        await acknowledged([await answered(7), await answered(-1)])
