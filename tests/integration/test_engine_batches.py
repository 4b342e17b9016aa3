"""Transactions of unusual sizes, and what of them is written where."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.record_batches import BATCH_BYTES_MAX
from ledger_streams.kafka.records import Outbox
from tests.engine_app.audit import committed
from tests.engine_app.group import Group

INCOMPRESSIBLE = random.Random(447)


async def test_several_mebibytes_to_one_partition_arrive_whole_and_in_order(group: Group) -> None:
    target, other = group.partition(0), group.partition(1)
    values = [INCOMPRESSIBLE.randbytes(75_000) for _ in range(50)]
    assert sum(map(len, values)) > 3 * BATCH_BYTES_MAX
    outbox: Outbox = {target: [(b"key", value, ()) for value in values], other: [(b"key", b"1", ())]}

    await group.transactions.start()
    appended = await group.transactions.commit(outbox, {group.source: 1}, group.membership)

    log = await committed(group.settings, "toy-out")
    assert [record.value for record in log[0]] == values
    told = [
        (batch.tp, offset)
        for batch in appended
        for offset in range(batch.first_offset, batch.last_offset + 1)
    ]
    assert told == [(target, record.offset) for record in log[0]] + [(other, log[1][0].offset)]
    of_log = {(tp, record.offset): record.timestamp for tp in (target, other) for record in log[tp.partition]}
    assert {batch.append_ms == of_log[batch.tp, batch.last_offset] for batch in appended} == {True}


async def test_headers_count_for_the_size_of_a_batch(group: Group) -> None:
    headers: Any = (("about", INCOMPRESSIBLE.randbytes(10_000)), ("nothing", None))
    outbox: Outbox = {group.partition(0): [(b"key", b"%d" % number, headers) for number in range(300)]}
    await group.transactions.start()
    await group.transactions.commit(outbox, {group.source: 1}, group.membership)
    log = await committed(group.settings, "toy-out")
    assert [int(record.value) for record in log[0]] == list(range(300))
    assert {record.headers for record in log[0]} == {headers}


@pytest.mark.parametrize("value_bytes", [1_100_000, 2_000_000])
async def test_a_record_no_broker_takes_is_a_broken_invariant_not_a_reason_to_try_again(
    group: Group, value_bytes: int
) -> None:
    outbox: Outbox = {group.partition(0): [(b"key", INCOMPRESSIBLE.randbytes(value_bytes), ())]}
    await group.transactions.start()
    with pytest.raises(InvariantBroken):
        await group.transactions.commit(outbox, {group.source: 1}, group.membership)
    await group.transactions.drop()
    await group.commit(b"1", group.membership)
    assert [record.value for record in (await committed(group.settings, "toy-out"))[0]] == [b"1"]


async def test_a_transaction_of_hundreds_of_partitions_is_one_transaction(group: Group) -> None:
    wide, width = group.settings.topic("toy-wide"), 300
    admin = AIOKafkaAdminClient(bootstrap_servers=group.settings.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(wide, width, 1)])
        partitions = [group.partition(number, "toy-wide") for number in range(width)]
        outbox: Outbox = {tp: [(b"key", b"%d" % tp.partition, ())] for tp in partitions}
        await group.transactions.start()
        for times in (1, 2):
            await group.transactions.commit(outbox, {group.source: times}, group.membership)
        log = await committed(group.settings, "toy-wide", partitions=width)
        assert {number: [r.value for r in records] for number, records in log.items()} == {
            number: [b"%d" % number] * 2 for number in range(width)
        }
        assert await group.committed() == 2
    finally:
        await admin.delete_topics([wide])
        await admin.close()


async def test_a_cycle_that_causes_nothing_still_moves_the_position(group: Group) -> None:
    await group.transactions.start()
    assert await group.transactions.commit({}, {group.source: 5}, group.membership) == []
    assert await group.committed() == 5
    target = TopicPartition(*group.partition(0))
    assert await group.consumer.end_offsets([target]) == {target: 0}
