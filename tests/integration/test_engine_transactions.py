"""Failed transactions: the broker's error, and its consequence for the worker."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from faust.types import TP

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.fenced_offsets import FencedProducer, Membership
from ledger_streams.kafka.records import AppendedBatch, Outbox
from ledger_streams.kafka.transactions import PRODUCERS, CycleLost, Transactions
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.group import Group, transactions_of
from tests.engine_app.harness import EngineWorkers
from tests.live import eventually

TIMEOUT_MS = 1_000


class LateTransactions(Transactions):
    """Ends its first transaction when the broker has done so already."""

    def __init__(self, group: Group) -> None:
        group_id = group.settings.app_id
        super().__init__(
            bootstrap=group.settings.kafka,
            transactional_id=group_id,
            group_id=group_id,
            transaction_timeout_ms=TIMEOUT_MS,
            topics=(),
            clock=BrokerClock(),
        )
        self._group = group
        self._is_late = True

    async def _send(
        self, producer: FencedProducer, outbox: Outbox, sources: Mapping[TP, int], membership: Membership
    ) -> list[AppendedBatch]:
        appended = await super()._send(producer, outbox, sources, membership)
        if self._is_late:
            await self._group.committed()  # which waits until no transaction on it is open
            self._is_late = False
        return appended


async def test_a_transaction_timed_out_by_the_broker_is_a_lost_cycle_and_the_next_one_commits(
    workers: EngineWorkers, group: Group
) -> None:
    late = group._replace(transactions=LateTransactions(group))
    with pytest.raises(CycleLost, match="ProducerFenced"):
        await late.commit(b"666", group.membership)
    await late.commit(b"1", group.membership)
    await late.transactions.drop()
    assert await workers.outputs() == {"key": [1]}


async def test_a_start_writes_no_marker_where_no_transaction_is_open(
    workers: EngineWorkers, group: Group
) -> None:
    out = group.settings.topic("toy-out")
    places = [group.partition(number) for number in range(PARTITIONS)]
    starting = transactions_of(group.settings, [out, group.settings.topic("never-created")])
    await starting.start()
    assert set((await group.consumer.end_offsets(places)).values()) == {0}
    await group._replace(transactions=starting).commit(b"1", group.membership, source_next=1)
    await starting.drop()
    assert await workers.outputs() == {"key": [1]}


async def test_a_transaction_fenced_by_another_process_is_a_lost_cycle(
    workers: EngineWorkers, group: Group
) -> None:
    """The broker says the same of a transaction that took too long, so nothing else follows from it."""
    await group.commit(b"1", group.membership, source_next=1)
    other = transactions_of(group.settings)
    await group._replace(transactions=other).commit(b"2", group.membership, source_next=2)
    with pytest.raises(CycleLost, match="ProducerFenced"):
        await group.commit(b"666", group.membership, source_next=3)
    await other.drop()
    assert await workers.outputs() == {"key": [1, 2]}


async def break_off(transactions: Transactions) -> None:
    """Let aiokafka meet an abortable error in the open transaction, once it has told the broker all of it."""
    assert transactions._open is not None
    manager = transactions._open._txn_manager

    async def all_is_told() -> bool:
        return manager._txn_consumer_group is not None and not manager._pending_txn_offsets

    await eventually(all_is_told, what="the group is part of the transaction")
    manager.error_transaction(GroupAuthorizationFailedError("any"))


@pytest.mark.parametrize("is_in_error", [True, False])
async def test_an_abandoned_round_is_never_committed_by_a_later_one_even_after_an_abortable_error(
    workers: EngineWorkers, group: Group, is_in_error: bool
) -> None:
    """After such an error aiokafka says that it has aborted, and the broker has not been told."""
    transactions = group.transactions
    await transactions.start()
    await transactions.send({group.partition(0): [(b"key", b"666", ())]}, group.membership)
    if is_in_error:
        await break_off(transactions)
    await transactions.give_up()
    for number in range(1, PRODUCERS + 1):  # one by each producer
        await group.commit(b"%d" % number, group.membership, source_next=number)
    assert await workers.outputs() == {"key": [1, 2]}


async def test_sending_after_an_abortable_error_is_a_lost_cycle(group: Group) -> None:
    outboxes: list[Outbox] = [{group.partition(0): [(b"key", b"666", ())]}, {group.partition(1): []}]
    for outbox in outboxes:
        await group.transactions.start()
        await group.transactions.send({group.partition(0): [(b"key", b"666", ())]}, group.membership)
        await break_off(group.transactions)
        with pytest.raises(CycleLost):
            await group.transactions.send(outbox, group.membership)


async def test_an_added_partition_joins_the_transaction_at_once_and_may_stay_empty(
    workers: EngineWorkers, group: Group
) -> None:
    first, later, never = (group.partition(number) for number in range(3))
    transactions = group.transactions
    await transactions.start()
    before = await group.consumer.end_offsets([never])
    await transactions.send({first: [(b"one", b"1", ())], later: [], never: []}, group.membership)
    assert transactions._open is not None
    assert transactions._open._txn_manager.txn_partitions == {first, later, never}
    await transactions.send({later: [(b"other", b"2", ())]}, group.membership)
    await transactions.commit({}, {group.source: 1}, group.membership)
    assert await workers.outputs() == {"one": [1], "other": [2]}
    assert await group.committed() == 1

    async def marked() -> bool:
        ends: Mapping[TP, int] = await group.consumer.end_offsets([never])
        return ends == {never: before[never] + 1}

    await eventually(marked, what="it has a marker and nothing else")


async def test_a_partition_unknown_to_the_broker_is_not_added_to_the_transaction(group: Group) -> None:
    await group.transactions.start()
    outbox: Outbox = {group.partition(0): [(b"key", b"1", ())], group.partition(PARTITIONS): []}
    with pytest.raises(InvariantBroken, match="the broker has no"):
        await group.transactions.send(outbox, group.membership)


async def test_producers_with_markers_possibly_in_flight_are_discarded(
    workers: EngineWorkers, group: Group
) -> None:
    await group.commit(b"1", group.membership, source_next=1)
    group.transactions._scan.is_spoilt = True
    with pytest.raises(CycleLost):
        await group.transactions.commit({}, {group.source: 2}, group.membership)
    await group.commit(b"2", group.membership, source_next=2)
    assert await workers.outputs() == {"key": [1, 2]}
