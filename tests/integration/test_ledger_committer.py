"""The committer by itself: what a cycle writes with its commit, and what a lost one leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from faust.types import TP

from ledger_streams.engine.batches import Cycle, Destination, Share
from ledger_streams.engine.ledger_committer import LedgerCommitter
from ledger_streams.engine.state.source_offset_log import PositionLogs
from ledger_streams.engine.state.store import Position
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.engine.state.takeover_progress import Phases
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.kafka.transactions import CycleLost
from tests.engine_app.__main__ import SUMS
from tests.engine_app.audit import committed
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.group import Group
from tests.engine_app.harness import Toys

KEY = b"key"


@pytest.fixture
async def committer(toys: Toys, group: Group) -> AsyncIterator[LedgerCommitter]:
    """A committer of the toys' table that has taken over one partition."""
    changelogs = {SUMS.name: toys.settings.topic("toy-changelog")}
    committer = LedgerCommitter(
        tables={group.source.topic: SUMS},
        tables_dir=toys.tables_dir(),
        changelog_topics=changelogs,
        takeover=Takeover(
            bootstrap=toys.settings.kafka, group_id=toys.settings.app_id, changelog_topics=changelogs
        ),
        transactions=group.transactions,
    )
    await take_over(committer, group)
    yield committer
    await committer.close()


async def take_over(committer: LedgerCommitter, group: Group) -> int:
    """Take the partition over, again if it is owned, and return the position to read from."""
    positions = await committer.take_over(frozenset({group.source}), group.membership, Phases())
    return positions[group.source]


def share_of_one(committer: LedgerCommitter, group: Group) -> Share:
    """Return the share of the source's first record."""
    record = SyntheticRecord(group.source.topic, group.source.partition, 0, 1_000, KEY, b"1")
    share = committer.share(group.source, [record], ())
    assert share is not None
    return share


def added_one(committer: LedgerCommitter, group: Group) -> Share:
    """Return that share, with its number in the table and on the changelog."""
    share = share_of_one(committer, group)
    changelog = Destination(group.settings.topic("toy-changelog"), PARTITIONS)
    share.change(KEY, 1, stored=b"1", logged=b"1", changelog=changelog)
    return share


def cycle_of(share: Share, group: Group, *, generation: int = 0) -> Cycle:
    """Return a decided cycle of one share, in the name of a generation so far from the present one."""
    membership = group.membership._replace(generation=group.membership.generation + generation)
    cycle = Cycle(membership, {share.tp.topic: [share]})
    with cycle.frames[0]:
        return cycle


async def test_a_cycle_that_the_broker_refuses_is_not_in_the_table(
    toys: Toys, group: Group, committer: LedgerCommitter
) -> None:
    share = added_one(committer, group)
    store = share.store
    assert store is not None
    with pytest.raises(CycleLost):
        await committer.carry_on(cycle_of(share, group, generation=1), lambda _tp: 1)
    assert (store.is_empty(), store.position) == (True, Position())
    assert await take_over(committer, group) == 0
    assert store.get(KEY) is None
    await committer.carry_on(cycle_of(added_one(committer, group), group), lambda _tp: 1)
    assert dict(store.items()) == {KEY: b"1"}
    assert store.position.source_next == 1
    changelog = await committed(toys.settings, "toy-changelog")
    assert [record.value for record in changelog[group.source.partition]] == [b"1"]


async def test_what_a_lost_cycle_has_sent_to_its_own_partition_is_forgotten_at_the_takeover(
    group: Group, committer: LedgerCommitter
) -> None:
    def start(_tp: TP) -> int:
        return 0

    sent = await group.transactions.send({group.source: [(KEY, b"1", ())]}, group.membership)
    committer.ahead.add(sent, {group.source})
    assert committer.ahead.is_next(start)
    await committer.give_up()
    await take_over(committer, group)
    assert not committer.ahead.is_next(start)


async def test_a_cycle_without_a_table_writes_its_position_to_the_position_log(
    toys: Toys, group: Group
) -> None:
    settings = toys.settings
    committer = LedgerCommitter(
        tables={},
        tables_dir=toys.tables_dir(),
        changelog_topics={},
        takeover=Takeover(bootstrap=settings.kafka, group_id=settings.app_id, changelog_topics={}),
        transactions=group.transactions,
        position_logs=PositionLogs({group.source.topic: settings.topic("toy-more")}),
    )
    await take_over(committer, group)
    await committer.carry_on(cycle_of(share_of_one(committer, group), group), lambda _tp: 1)
    await committer.close()
    log = await committed(settings, "toy-more")
    assert [record.value for record in log[group.source.partition]] == [b"1"]
