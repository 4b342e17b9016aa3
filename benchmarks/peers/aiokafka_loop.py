"""aiokafka: consume, process, produce; one transaction per poll, with the offsets in it.

Exactly once while the process lives.  The state is a dict.  The events contain the state
after them and so serve as changelog; a successor would have to read them first, which this
program does not do.
"""

from __future__ import annotations

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.peers.task import POLL_RECORDS, State, Task, carry_out, given, outcome_of, say_begin

RETRY_MS = 5
"""Back-off before a new transaction while the markers of the last one are being written; default 100 ms."""
LINGER_MS = 5
BATCH_BYTES = 262_144


async def main(task: Task) -> None:
    consumer = AIOKafkaConsumer(
        task.commands,
        bootstrap_servers=task.kafka,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=task.kafka,
        transactional_id=task.group,
        compression_type="lz4",
        linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES,
        retry_backoff_ms=RETRY_MS,
    )
    wallets: dict[bytes, State] = {}
    async with consumer, producer:
        while True:
            polled = await consumer.getmany(timeout_ms=1_000, max_records=POLL_RECORDS)
            if not polled:
                continue
            if not wallets:
                say_begin()
            async with producer.transaction():
                for records in polled.values():
                    for record in records:
                        await credit(producer, wallets, record, task)
                positions = {tp: records[-1].offset + 1 for tp, records in polled.items()}
                await producer.send_offsets_to_transaction(positions, task.group)


async def credit(
    producer: AIOKafkaProducer, wallets: dict[bytes, State], record: ConsumerRecord, task: Task
) -> None:
    wallets[record.key], event = carry_out(msgspec.json.decode(record.value), wallets.get(record.key))
    outcome = outcome_of(event)
    await producer.send(task.events, msgspec.json.encode(event), record.key, partition=record.partition)
    await producer.send(task.outcomes, msgspec.json.encode(outcome), outcome["aggregate_id"].encode())


if __name__ == "__main__":
    uvloop.run(main(given()))
