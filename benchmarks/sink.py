"""Sink: a projector's batches into an empty database with all indexes.

The batches are transfers between many wallets, with whole payments in a batch.  They are
created before the clock starts, so the figure is that of the sink and PostgreSQL.  The case
`audit` then closes a day with all of them and verifies every chain and root.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from benchmarks.history import migrated_database
from ledger_streams import topics
from ledger_streams.adapters.postgres.migrations import upgrade
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.audit.day_close import close_and_publish
from ledger_streams.audit.verification import verify_history
from ledger_streams.settings import Settings
from tests.projected import Story

WALLETS: Final = 2_000
PAYMENTS_A_BATCH: Final = 500
STEPS: Final = ("SagaStarted", "WalletDeducted", "WalletCredited", "SagaCompleted")


class SinkTiming(msgspec.Struct):
    """Throughput of the batches."""

    payments: int
    seconds: float
    payments_per_s: float


class AuditTiming(msgspec.Struct):
    """Time to close and verify the history."""

    rows: int
    """Rows in events and wallet_events."""
    closing_s: float
    verify_s: float
    rows_per_s: float
    """Rows verified per second."""


async def sink(stack: Settings, *, payments: int) -> SinkTiming:
    """Write `payments` transfers into a new database."""
    async with migrated_database(stack) as dsn:
        return await write_all(dsn, batches(Story(), payments))


async def time_audit(settings: Settings, *, payments: int) -> AuditTiming:
    """Write `payments` transfers, close their day, verify it."""
    await upgrade(settings.postgres)
    story = Story()
    story.name_wallet_topic(settings.topic(topics.WALLET_EVENTS))
    await write_all(settings.postgres, batches(story, payments))
    began_s = time.perf_counter()
    await close_and_publish(settings)
    closing_s = time.perf_counter() - began_s
    result = await verify_history(settings, None, None)
    assert (result.findings, result.days) == ([], 1)
    rows = result.events + result.wallet_events
    return AuditTiming(rows, round(closing_s, 3), result.seconds, round(rows / result.seconds, 1))


def batches(story: Story, payments: int) -> list[SinkBatch]:
    """Return the batches: first the opening of the wallets, then the payments."""
    random = Random(payments)
    wallets = [story.open() for _ in range(WALLETS)]
    batches = [story.batch()]
    for _ in range(payments // PAYMENTS_A_BATCH):
        for _ in range(PAYMENTS_A_BATCH):
            source, target = random.sample(wallets, 2)
            payment_id = story.transfer(source, target, 1025)
            for version, step in enumerate(STEPS, start=1):
                story.payment_event(payment_id, step, version, {"payment_id": payment_id, "amount": "10.25"})
        batches.append(story.batch())
    return batches


async def write_all(dsn: str, batches: Sequence[SinkBatch]) -> SinkTiming:
    """Write the first batch, then time the others."""
    async with await create_pool(dsn) as pool:
        writer = PostgresSink(pool)
        await writer.write(batches[0])
        began = time.perf_counter()
        for batch in batches[1:]:
            await writer.write(batch)
        seconds = time.perf_counter() - began
    written = (len(batches) - 1) * PAYMENTS_A_BATCH
    return SinkTiming(written, round(seconds, 2), round(written / seconds, 1))
