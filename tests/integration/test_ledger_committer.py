"""The committer by itself: what a cycle writes with its commit, and what a lost one leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from faust.types import TP

from ledger_streams.engine.batches import Cycle, PartitionBatch, PartitionedTopic
from ledger_streams.engine.ledger_committer import LedgerCommitter
from ledger_streams.engine.state.source_offset_log import SourceOffsetLogs
from ledger_streams.engine.state.store import Position
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.engine.transactions import CycleLost
from ledger_streams.kafka.synthetic_record import MadeRecord
from tests.engine_app.__main__ import SUMS
from tests.engine_app.audit import committed
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.group import Group
from tests.engine_app.harness import EngineWorkers

KEY = b"key"


@pytest.fixture
async def committer(workers: EngineWorkers, group: Group) -> AsyncIterator[LedgerCommitter]:
    """A committer of the toys' table that has taken over one partition."""
    changelogs = {SUMS.name: workers.settings.topic("toy-changelog")}
    committer = LedgerCommitter(
        tables={group.source.topic: SUMS},
        tables_dir=workers.tables_dir(),
        changelog_topics=changelogs,
        takeover=Takeover(
            bootstrap=workers.settings.kafka, group_id=workers.settings.app_id, changelog_topics=changelogs
        ),
        transactions=group.transactions,
    )
    await take_over(committer, group)
    yield committer
    await committer.close()


async def take_over(committer: LedgerCommitter, group: Group) -> int:
    """Take the partition over, again if it is owned, and return the position to read from."""
    positions = await committer.take_over(frozenset({group.source}), group.membership, TakeoverProgress())
    return positions[group.source]


def batch_of_one(committer: LedgerCommitter, group: Group) -> PartitionBatch:
    """Return the share of the source's first record."""
    record = MadeRecord(group.source.topic, group.source.partition, 0, 1_000, KEY, b"1")
    batch = committer.new_batch(group.source, [record], ())
    assert batch is not None
    return batch


def added_one(committer: LedgerCommitter, group: Group) -> PartitionBatch:
    """Return that share, with its number in the table and on the changelog."""
    batch = batch_of_one(committer, group)
    changelog = PartitionedTopic(group.settings.topic("toy-changelog"), PARTITIONS)
    batch.put_state(KEY, 1, stored=b"1", logged=b"1", changelog=changelog)
    return batch


def cycle_of(batch: PartitionBatch, group: Group, *, generation: int = 0) -> Cycle:
    """Return a decided cycle of one share, in the name of a generation so far from the present one."""
    membership = group.membership._replace(generation=group.membership.generation + generation)
    cycle = Cycle(membership, {batch.tp.topic: [batch]})
    with cycle.topic_batches[0]:
        return cycle


async def test_a_cycle_that_the_broker_refuses_is_not_in_the_table(
    workers: EngineWorkers, group: Group, committer: LedgerCommitter
) -> None:
    batch = added_one(committer, group)
    store = batch.store
    assert store is not None
    with pytest.raises(CycleLost):
        await committer.advance(cycle_of(batch, group, generation=1), lambda _tp: 1)
    assert (store.is_empty(), store.position) == (True, Position())
    assert await take_over(committer, group) == 0
    assert store.get(KEY) is None
    await committer.advance(cycle_of(added_one(committer, group), group), lambda _tp: 1)
    assert dict(store.items()) == {KEY: b"1"}
    assert store.position.source_next == 1
    changelog = await committed(workers.settings, "toy-changelog")
    assert [record.value for record in changelog[group.source.partition]] == [b"1"]


async def test_what_a_lost_cycle_has_sent_to_its_own_partition_is_forgotten_at_the_takeover(
    group: Group, committer: LedgerCommitter
) -> None:
    def start(_tp: TP) -> int:
        return 0

    sent = await group.transactions.send({group.source: [(KEY, b"1", ())]}, group.membership)
    committer.loopback.add(sent, {group.source})
    assert committer.loopback.has_ready(start)
    await committer.abort()
    await take_over(committer, group)
    assert not committer.loopback.has_ready(start)


async def test_a_cycle_without_a_table_writes_its_position_to_the_position_log(
    workers: EngineWorkers, group: Group
) -> None:
    settings = workers.settings
    committer = LedgerCommitter(
        tables={},
        tables_dir=workers.tables_dir(),
        changelog_topics={},
        takeover=Takeover(bootstrap=settings.kafka, group_id=settings.app_id, changelog_topics={}),
        transactions=group.transactions,
        source_offset_logs=SourceOffsetLogs({group.source.topic: settings.topic("toy-more")}),
    )
    await take_over(committer, group)
    await committer.advance(cycle_of(batch_of_one(committer, group), group), lambda _tp: 1)
    await committer.close()
    log = await committed(settings, "toy-more")
    assert [record.value for record in log[group.source.partition]] == [b"1"]
