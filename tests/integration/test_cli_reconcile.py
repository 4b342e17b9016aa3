"""`reconcile` and `dlq list` on real servers, with data written as a projector writes it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.rows import Advance, SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.cli.dlq import dead_letters
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.ports import BalanceView, WalletView
from ledger_streams.reconciliation.comparison import Reconciliation, compare
from ledger_streams.settings import Settings
from tests.projected import Story


class Written:
    """A story of two wallets in the log, in PostgreSQL and in Redis."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.topic("wallet-events")
        self.story = Story()
        self.one, self.other = self.story.open(), self.story.open()
        self.story.deposit(self.one, 1_000)
        self.story.transfer(self.one, self.other, 250)
        self.batch = self.story.batch()

    async def write(self, *, logged: SinkBatch | None = None, next_offset: int | None = None) -> None:
        events = (logged or self.batch).wallet_events
        await in_transaction(
            self.settings,
            self.log,
            [
                (
                    event.wallet_id.encode(),
                    json.dumps(
                        {"aggregate_id": event.wallet_id, "wallet": json.loads(event.wallet_state)}
                    ).encode(),
                )
                for event in events
            ],
        )
        position = len(events) if next_offset is None else next_offset
        await self.project(
            dataclasses.replace(self.batch, positions={(self.log, 0): Advance(None, position)})
        )

    async def project(self, batch: SinkBatch) -> None:
        pool = await create_pool(self.settings.postgres)
        sink = PostgresSink(pool)
        await sink.ensure_partitions()
        await sink.write(batch)
        await self.cache(list((await snapshots(pool)).values()))
        await pool.close()

    async def cache(self, views: list[WalletView]) -> None:
        redis = connect(self.settings.redis)
        await RedisBalances(redis, ttl_s=60).put(views)
        await redis.aclose()

    async def forget_cached(self, wallet_id: str) -> None:
        redis = connect(self.settings.redis)
        await redis.delete(f"wallet:{wallet_id}")
        await redis.aclose()

    async def view(self, wallet_id: str) -> WalletView:
        pool = await create_pool(self.settings.postgres)
        view = (await snapshots(pool, [wallet_id]))[wallet_id]
        await pool.close()
        return view

    async def compare(self, *, wait_s: float = 5.0) -> Reconciliation:
        return await compare(self.settings, wait_s=wait_s, rocksdb=False)


async def in_transaction(settings: Settings, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"{topic}-writer")
    await producer.start()
    async with producer.transaction():
        for key, value in records:
            await producer.send_and_wait(topic, value, key=key, partition=0)
    await producer.stop()


async def test_matching_objects_are_counted_and_trailing_markers_are_no_lag(
    migrated: Settings,
) -> None:
    written = Written(migrated)
    await written.write()
    result = await written.compare()
    assert (result.differences, result.lagging, result.exit_code) == ([], {}, 0)
    assert (result.wallets, result.cached, result.totals) == (2, 2, {"EUR": "10.00"})


async def test_a_balance_that_differs_in_the_log_is_named_with_both_figures(migrated: Settings) -> None:
    written = Written(migrated)
    last = written.batch.wallet_events[-1]
    state = json.loads(last.wallet_state)
    state["balances"]["EUR"]["balance"] = "99.00"
    changed = [*written.batch.wallet_events[:-1], last._replace(wallet_state=json.dumps(state))]
    await written.write(logged=dataclasses.replace(written.batch, wallet_events=changed))
    (difference,) = (await written.compare()).differences
    assert (difference.kind, difference.subject) == ("log_is_snapshot", f"{written.other} EUR")
    assert "balance 99.00" in difference.detail
    assert "balance 2.50" in difference.detail


async def test_a_cached_wallet_with_other_content_or_of_an_older_version_differs(migrated: Settings) -> None:
    written = Written(migrated)
    await written.write()
    one, other = await written.view(written.one), await written.view(written.other)
    wrong = BalanceView("0.00", "0.00", "0.00", "0.00")
    for view in (
        WalletView(one.wallet_id, one.user_id, one.status, one.version, {"EUR": wrong}, one.as_of),
        WalletView(other.wallet_id, other.user_id, other.status, 1, other.balances, other.as_of),
    ):
        await written.forget_cached(view.wallet_id)
        await written.cache([view])
    found = (await written.compare()).differences
    assert {(difference.kind, difference.subject) for difference in found} == {
        ("cache_is_snapshot", f"{written.one} EUR"),
        ("cache_is_snapshot", written.other),
    }


async def test_a_wallet_that_is_not_cached_is_no_difference(migrated: Settings) -> None:
    written = Written(migrated)
    await written.write()
    await written.forget_cached(written.one)
    result = await written.compare()
    assert (result.cached, result.exit_code) == (1, 0)


async def test_a_lagging_projector_is_named_and_makes_the_exit_code_1(migrated: Settings) -> None:
    written = Written(migrated)
    await written.write(next_offset=3)
    result = await written.compare(wait_s=0.0)
    assert result.lagging == {f"{written.log}[0]": len(written.batch.wallet_events) - 3}
    assert result.exit_code == 1


async def test_differences_within_postgresql_are_reported(migrated: Settings) -> None:
    written = Written(migrated)
    del written.batch.postings[-2:]  # both legs of an event: one alone would be refused
    await written.write()
    kinds = {difference.kind for difference in (await written.compare()).differences}
    assert "event_that_moves_money_has_postings" in kinds


async def test_dead_letters_are_listed_from_all_topics_and_from_one(topics_only: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=topics_only.kafka)
    await producer.start()
    headers = [
        ("dlq.topic", b"payment-events"),
        ("dlq.reason", b"invalid"),
        ("dlq.detail", b"data.amount: no"),
    ]
    await producer.send_and_wait(topics_only.topic("payment-events.dlq"), b"{", key=b"k", headers=headers)
    await producer.send_and_wait(topics_only.topic("saga-events.dlq"), None, key=b"\xff", headers=headers)
    await producer.stop()
    letters = await dead_letters(topics_only, ["payment-events", "saga-events", "wallet-commands"])
    assert [(letter.key, letter.value_bytes, letter.reason) for letter in letters] == [
        ("k", 1, "invalid"),
        ("0xff", 0, "invalid"),
    ]
    assert len(await dead_letters(topics_only, ["saga-events"])) == 1


async def test_reading_an_aborted_transaction_ends_without_its_records(topics_only: Settings) -> None:
    topic = topics_only.topic("wallet-events")
    producer = AIOKafkaProducer(bootstrap_servers=topics_only.kafka, transactional_id=f"{topic}-aborting")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"never", key=b"k", partition=0)
    await producer.abort_transaction()
    await producer.stop()
    async with opened_log(topics_only.kafka) as log:
        ends = await log.ends([topic])
        assert ends[topic, 0] == 2
        assert [records async for _, records in log.read(ends)] == []


async def test_a_missing_topic_is_reported(alone: Settings) -> None:
    async with opened_log(alone.kafka) as log:
        with pytest.raises(Unavailable, match="no such topic"):
            await log.ends([alone.topic("wallet-events")])
