"""A backlog: a worker ends the payments in flight before it begins new ones."""

from __future__ import annotations

import pytest

from benchmarks.load import KafkaLoad, wallet_ids
from benchmarks.transfers import send_all, transfers
from benchmarks.visibility import outcomes
from ledger_streams import topics
from ledger_streams.engine.consumer_thread import IN_FLIGHT_MAX
from ledger_streams.settings import Settings
from tests.engine_app.audit import committed
from tests.live import running

pytestmark = pytest.mark.slow

PAYMENTS = 16_000


async def test_payments_in_flight_end_before_new_ones_begin(migrated: Settings) -> None:
    async with running(migrated, workers=1) as live:
        wallets = wallet_ids(100)
        await KafkaLoad(live.settings).open_wallets(wallets)
        live.processes["projector-1"].stop()
        live.processes["worker-1"].stop()
        await send_all(live.settings, transfers(PAYMENTS, wallets, seed=1))
        async with outcomes(live.settings) as ended:
            live.start("worker")
            await ended.read(PAYMENTS)
    steps: list[tuple[int, int]] = []
    partitions = topics.spec(topics.SAGA_EVENTS).partitions
    for records in (await committed(live.settings, topics.SAGA_EVENTS, partitions=partitions)).values():
        begun = [(record.timestamp, 1) for record in records if b'"SagaStarted"' in record.value]
        over = [(record.timestamp, -1) for record in records if b'"SagaCompleted"' in record.value]
        assert len(begun) == len(over)
        steps += begun + over
    under_way = most = 0
    for _, step in sorted(steps):
        under_way += step
        most = max(most, under_way)
    assert most < 3 * IN_FLIGHT_MAX, "a poll or two beyond what is under way"
