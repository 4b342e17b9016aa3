"""Record batches: the records of one partition, cut to the size the broker takes, with their offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.broker_clock import LOG_APPEND_TIME
from ledger_streams.kafka.fenced_offsets import FencedProducer
from ledger_streams.kafka.records import AppendedBatch, Outbox, Outgoing
from ledger_streams.kafka.transactional_producer import noted, placed

BATCH_BYTES_MAX = 1_000_000
"""Size of a record batch before compression; the broker takes 1 MiB (message.max.bytes)."""


class Sent(NamedTuple):
    """A record batch in flight."""

    tp: TopicPartition
    records: Sequence[Outgoing]
    delivered: asyncio.Future[RecordMetadata]


async def queued(producer: FencedProducer, outbox: Outbox) -> list[Sent]:
    """Hand the records to the producer in batches; add a partition without records to the transaction."""
    sent = []
    for tp, records in outbox.items():
        if not records:
            if tp.partition not in await producer.client._wait_on_metadata(tp.topic):
                raise InvariantBroken(f"the broker has no {tp}")
            producer.announce(tp)
            continue
        for batch, its_records in record_batches(producer, records):
            delivered = await producer.send_batch(batch, tp.topic, partition=tp.partition)
            delivered.add_done_callback(noted)
            for waiting in producer._message_accumulator._batches.get(tp, ()):
                waiting._drain_waiter.add_done_callback(noted)  # fails as well when the producer is fenced
            sent.append(Sent(tp, its_records, delivered))
    return sent


async def acknowledged(sent: Sequence[Sent]) -> list[AppendedBatch]:
    """Wait until the broker has acknowledged all batches, and return them with their offsets.

    Raises KafkaError, also for an acknowledgement without an offset.
    """
    appended = []
    for tp, records, delivered in sent:
        said = placed(await delivered)
        append_ms = said.timestamp if said.timestamp_type == LOG_APPEND_TIME else None
        appended.append(AppendedBatch(tp, said.offset, append_ms, records))
    return appended


def record_batches(
    producer: AIOKafkaProducer, records: list[Outgoing]
) -> list[tuple[object, list[Outgoing]]]:
    """Return record batches, each as full as `max_batch_size` allows, with their records."""
    batches = []
    batch, begin = producer.create_batch(), 0
    append = batch.append
    for number, (key, value, headers) in enumerate(records):
        if append(timestamp=None, key=key, value=value, headers=list(headers)) is not None:
            continue
        batches.append((batch, records[begin:number]))
        batch, begin = producer.create_batch(), number
        append = batch.append
        if append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
            raise InvariantBroken(f"a record of {len(value or b'')} bytes does not fit a batch")
    batches.append((batch, records[begin:]))
    return batches
